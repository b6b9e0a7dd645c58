-- One page of a leaderboard, the highest score first. Those with the same score share a rank, also across
-- pages: 1, 2, 2, 4. Among them the order is that of ZREVRANGE, by name backwards, so it stays the same
-- from call to call.
--
-- KEYS   board  as in leaderboard/submit.lua
-- ARGV   page   from 1; 1 when left out
--        size   members a page, 1 to 1000; 10 when left out
-- reply  [total, [[rank, member, score], ...]]
--        total is the number of members on the board; scores are text
--
-- description=A page of a leaderboard, with ranks
-- tags=leaderboard
-- readonly=yes
local args = require('lib/args.lua').of(sproc.name, KEYS, ARGV)
local board = args:key(1, 'board')
local page = args:integer(1, 'page', 1, 1000000000, 1)
local size = args:integer(2, 'size', 1, 1000, 10)
args:no_more(1, 2)

local start = (page - 1) * size
local found = redis.call('ZREVRANGE', board, start, start + size - 1, 'WITHSCORES')

local rows = {}
local rank, shared
for i = 1, #found, 2 do
  local member, score = found[i], found[i + 1]
  if i == 1 then -- its tie may begin on an earlier page
    rank = redis.call('ZCOUNT', board, '(' .. score, '+inf') + 1
  elseif score ~= shared then
    rank = start + #rows + 1
  end
  shared = score
  rows[#rows + 1] = { rank, member, score }
end
return { redis.call('ZCARD', board), rows }
