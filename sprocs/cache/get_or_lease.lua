-- Reads a cached value so that one caller alone computes it anew. When it is missing or no longer fresh,
-- the first one to ask gets a lease: it computes and stores the value with cache/fill.lua. The others get
-- the stale value meanwhile, or, when there is none, the time after which to ask again. If the one with the
-- lease dies, the next to ask after `lease_ms` gets it.
--
-- To make a value invalid, DEL both keys: who computes just then holds no lease any more, and can't store
-- what it read before.
--
-- KEYS   value     hash, written by cache/fill.lua
--        lease     string, the owner of the lease; gone when nobody computes
-- ARGV   owner     who asks: a name that nobody else takes, best a random one for each call
--        lease_ms  how long computing may take, up to a day
-- reply  [status, value, ms]
--        fresh  here it is; for so long it stays fresh
--        lease  compute it and call cache/fill.lua within ms; the value is the stale one, or nil
--        stale  another computes it; here is the old one; ask again after ms at most
--        wait   another computes it and there is no old one, the value is nil; ask again after ms at most
--
-- description=Read a cached value, or get the lease to compute it
-- tags=cache
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local value_key = args:key(1, 'value')
local lease_key = args:key(2, 'lease')
local owner = args:text(1, 'owner')
local lease_ms = args:integer(2, 'lease_ms', 1, Args.DAY_MS)
args:no_more(2, 2)

local cached = redis.call('HMGET', value_key, 'value', 'fresh_until_ms')
local value = cached[1]
local fresh_ms = (tonumber(cached[2]) or 0) - Args.now_ms()
if value and fresh_ms > 0 then
  return { 'fresh', value, fresh_ms }
end

local holder = redis.call('GET', lease_key)
if not holder or holder == owner then
  redis.call('SET', lease_key, owner, 'PX', lease_ms)
  return { 'lease', value, lease_ms }
end
return { value and 'stale' or 'wait', value, redis.call('PTTL', lease_key) }
