-- Takes a lock for a limited time. With it comes a fencing token, larger than any given before: send it
-- along with each write to what the lock protects, and refuse there a token smaller than the largest seen.
-- That alone is safe against an owner that slept past its time and wakes up believing that it still holds
-- the lock.
--
-- An owner that asks again while it holds the lock (after a lost reply, say) gets the same token and the
-- full time again. So the owner must be a name that nobody else takes, best a random one for each attempt.
--
-- KEYS   lock    hash of owner and token; gone when nobody holds it
--        fence   the last token given. It must stay: without it tokens start from 1 again
-- ARGV   owner   who asks
--        ttl_ms  for how long, up to a day
-- reply  [token, ms]
--        a token from 1 up, and the time that you have; or 0 and the time that another owner has still
--
-- description=Take a lock with a time limit and a fencing token
-- tags=lock
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local lock = args:key(1, 'lock')
local fence = args:key(2, 'fence')
local owner = args:text(1, 'owner')
local ttl_ms = args:integer(2, 'ttl_ms', 1, Args.DAY_MS)
args:no_more(2, 2)

local held = redis.call('HMGET', lock, 'owner', 'token')
if held[1] and held[1] ~= owner then
  return { 0, redis.call('PTTL', lock) }
end

local token = tonumber(held[2]) or redis.call('INCR', fence)
redis.call('HSET', lock, 'owner', owner, 'token', token)
redis.call('PEXPIRE', lock, ttl_ms)
return { token, ttl_ms }
