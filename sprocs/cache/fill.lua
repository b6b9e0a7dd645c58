-- Stores a value that was computed under a lease of cache/get_or_lease.lua, and ends the lease.
--
-- KEYS   value, lease, as there
-- ARGV   owner     who holds the lease
--        value     any bytes
--        fresh_ms  for how long all get it, up to a year
--        stale_ms  for how long after that it serves while one computes it anew, 0 to a year
-- reply  1, or 0 and nothing stored when the lease isn't yours any more: it ran
--        out, or the value was made invalid meanwhile
--
-- description=Store a value computed under a lease
-- tags=cache
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local value_key = args:key(1, 'value')
local lease_key = args:key(2, 'lease')
local owner = args:text(1, 'owner')
local value = args:value(2, 'value')
local fresh_ms = args:integer(3, 'fresh_ms', 1, Args.YEAR_MS)
local stale_ms = args:integer(4, 'stale_ms', 0, Args.YEAR_MS)
args:no_more(2, 4)

if redis.call('GET', lease_key) ~= owner then
  return 0
end
redis.call('HSET', value_key, 'value', value, 'fresh_until_ms', Args.digits(Args.now_ms() + fresh_ms))
redis.call('PEXPIRE', value_key, fresh_ms + stale_ms)
redis.call('DEL', lease_key)
return 1
