-- Lets bursts of `capacity` through and `refill_per_s` on the long run: a bucket of tokens, full at first,
-- that each call takes `cost` from. One small hash for each bucket, whatever the limit.
--
-- KEYS   bucket        hash of the tokens left and when that was; gone once it would be full again
-- ARGV   capacity      tokens that it holds, 1 to 1000000
--        refill_per_s  tokens that come back each second, 0.001 to 1000000, fractions too
--        cost          tokens that this call takes, 1 to `capacity`; 1 when left out
-- reply  [allowed, remaining, retry_after_ms]
--        allowed is 1 or 0; a refused call takes none. After retry_after_ms the
--        same call fits, if no other comes before.
--
-- description=Rate limit that allows bursts, by a token bucket
-- tags=ratelimit
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local bucket = args:key(1, 'bucket')
local capacity = args:integer(1, 'capacity', 1, 1000000)
local refill_per_s = args:number(2, 'refill_per_s', 0.001, 1000000)
local cost = args:integer(3, 'cost', 1, capacity, 1)
args:no_more(1, 3)

-- A token that is whole but for the last bits of a double is whole.
local ROUNDING = 1e-6

local function ms_until(missing)
  return math.ceil(missing * 1000 / refill_per_s - ROUNDING)
end

local now = Args.now_ms()
local held = redis.call('HMGET', bucket, 'tokens', 'at_ms')
local tokens = capacity
if held[1] and held[2] then
  local elapsed_ms = math.max(0, now - held[2]) -- a clock put back gives nothing and takes nothing
  tokens = math.min(capacity, held[1] + elapsed_ms * refill_per_s / 1000)
end

if tokens + ROUNDING < cost then
  return { 0, math.floor(tokens + ROUNDING), math.max(1, ms_until(cost - tokens)) }
end

tokens = math.max(0, tokens - cost)
redis.call('HSET', bucket, 'tokens', string.format('%.17g', tokens), 'at_ms', Args.digits(now))
redis.call('PEXPIRE', bucket, Args.digits(math.max(1, ms_until(capacity - tokens))))
return { 1, math.floor(tokens + ROUNDING), 0 }
