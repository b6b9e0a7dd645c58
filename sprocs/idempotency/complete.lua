-- Stores the result of a claimed request, for all who ask for it again. Only who holds the claim can; to do
-- it twice does no harm, and the first result stays.
--
-- KEYS   record   as in idempotency/claim.lua
-- ARGV   owner    who claimed it
--        result   any bytes
--        keep_ms  for how long others get it, up to a year
-- reply  1, or 0 when the claim isn't yours any more: the lease ran out, and another may have done the work
--
-- description=Store the result of a claimed request
-- tags=idempotency
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local record = args:key(1, 'record')
local owner = args:text(1, 'owner')
local result = args:value(2, 'result')
local keep_ms = args:integer(3, 'keep_ms', 1, Args.YEAR_MS)
args:no_more(1, 3)

if redis.call('HGET', record, 'owner') ~= owner then
  return 0
end
if redis.call('HSETNX', record, 'result', result) == 1 then
  redis.call('PEXPIRE', record, keep_ms)
end
return 1
