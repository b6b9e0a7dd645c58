-- Gives a lock back, if it is still yours: never one that ran out and was taken by somebody else.
--
-- KEYS   lock    as in lock/acquire.lua
-- ARGV   owner   who holds it
--        token   that acquire gave
-- reply  1, or 0 when it isn't yours any more
--
-- description=Give a lock back
-- tags=lock
local args = require('lib/args.lua').of(sproc.name, KEYS, ARGV)
local lock = args:key(1, 'lock')
local owner = args:text(1, 'owner')
local token = args:integer(2, 'token', 1)
args:no_more(1, 2)

local held = redis.call('HMGET', lock, 'owner', 'token')
if held[1] ~= owner or tonumber(held[2]) ~= token then
  return 0
end
return redis.call('DEL', lock)
