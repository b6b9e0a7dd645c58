-- Gives up a claimed request, so that the next caller may try. A result, once stored, stays.
--
-- KEYS   record   as in idempotency/claim.lua
-- ARGV   owner    who claimed it
-- reply  1, or 0 when there is no such claim of yours
--
-- description=Give up a claimed request
-- tags=idempotency
local args = require('lib/args.lua').of(sproc.name, KEYS, ARGV)
local record = args:key(1, 'record')
local owner = args:text(1, 'owner')
args:no_more(1, 1)

local known = redis.call('HMGET', record, 'owner', 'result')
if known[1] ~= owner or known[2] then
  return 0
end
return redis.call('DEL', record)
