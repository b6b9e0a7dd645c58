-- Gives the holder of a lock more time, counted from now; never less than it has. Who lost the lock learns
-- it here, and must stop what it does.
--
-- KEYS   lock    as in lock/acquire.lua
-- ARGV   owner   who holds it
--        token   that acquire gave
--        ttl_ms  for how long from now, up to a day
-- reply  the milliseconds left; 0 when the lock isn't yours any more
--
-- description=Hold a lock for longer
-- tags=lock
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local lock = args:key(1, 'lock')
local owner = args:text(1, 'owner')
local token = args:integer(2, 'token', 1)
local ttl_ms = args:integer(3, 'ttl_ms', 1, Args.DAY_MS)
args:no_more(1, 3)

local held = redis.call('HMGET', lock, 'owner', 'token')
if held[1] ~= owner or tonumber(held[2]) ~= token then
  return 0
end
redis.call('PEXPIRE', lock, ttl_ms, 'GT')
return redis.call('PTTL', lock)
