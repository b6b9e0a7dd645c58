-- Lets at most `limit` calls through in any stretch of `window_ms`: exact, with no burst where one window
-- meets the next. It keeps one entry for each call let through, so it suits limits up to some thousands;
-- ratelimit/token_bucket.lua takes the same little memory for any limit.
--
-- KEYS   calls      sorted set of the calls let through; gone one window after the last
-- ARGV   limit      calls in a window, 1 to 100000
--        window_ms  the window's length, up to a day
--        cost       for how many this call counts, 1 to `limit` and 1000; 1 when left out
-- reply  [allowed, remaining, retry_after_ms]
--        allowed is 1 or 0; a refused call doesn't count. After retry_after_ms the
--        same call fits, if no other comes before.
--
-- description=Rate limit, exact, over a sliding window
-- tags=ratelimit
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local calls = args:key(1, 'calls')
local limit = args:integer(1, 'limit', 1, 100000)
local window_ms = args:integer(2, 'window_ms', 1, Args.DAY_MS)
local cost = args:integer(3, 'cost', 1, math.min(limit, 1000), 1)
args:no_more(1, 3)

-- Time never goes back for one set: a clock that was put back a little stands still until it has caught up.
-- One put back by more than a window would refuse for as long as that, so then the set begins anew.
local now = Args.now_ms()
local last = tonumber(redis.call('ZRANGE', calls, -1, -1, 'WITHSCORES')[2] or now)
if last > now + window_ms then
  redis.call('DEL', calls)
else
  now = math.max(now, last)
end

redis.call('ZREMRANGEBYSCORE', calls, '-inf', now - window_ms)
local count = redis.call('ZCARD', calls)

local surplus = count + cost - limit
if surplus > 0 then
  local leaves = redis.call('ZRANGE', calls, surplus - 1, surplus - 1, 'WITHSCORES')[2]
  return { 0, math.max(limit - count, 0), leaves + window_ms - now }
end

-- Those of one millisecond leave together, so counting them makes names that nobody has.
local same = redis.call('ZCOUNT', calls, now, now)
for n = same + 1, same + cost do
  redis.call('ZADD', calls, now, Args.digits(now) .. '-' .. n)
end
redis.call('PEXPIRE', calls, window_ms)
return { 1, limit - count - cost, 0 }
