-- Enters a score. Those with the same score share a rank, and the next one's rank counts all before it: 1,
-- 2, 2, 4.
--
-- KEYS   board   sorted set of members by score; the highest is first
-- ARGV   member  who played
--        score   a number, at most 2^53 either way
--        mode    best keeps the higher of old and new, last takes the new one, add adds it; best when
--                left out
-- reply  [rank, score, changed]
--        the score that counts now, as text; changed is 1, or 0 when the board is as before
--
-- description=Enter a score and get the rank
-- tags=leaderboard
local args = require('lib/args.lua').of(sproc.name, KEYS, ARGV)
local board = args:key(1, 'board')
local member = args:text(1, 'member')
local score = args:number(2, 'score', -2 ^ 53, 2 ^ 53)
local mode = args:choice(3, 'mode', { 'best', 'last', 'add' }, 'best')
args:no_more(1, 3)

local before = redis.call('ZSCORE', board, member)
if mode == 'add' then
  redis.call('ZINCRBY', board, ARGV[2], member)
elseif mode == 'last' or not before or tonumber(before) < score then
  redis.call('ZADD', board, ARGV[2], member)
end

local after = redis.call('ZSCORE', board, member)
local rank = redis.call('ZCOUNT', board, '(' .. after, '+inf') + 1
return { rank, after, after ~= before and 1 or 0 }
