-- Makes a request that may be sent twice happen once. The first caller claims it, does the work and stores
-- the result with idempotency/complete.lua; later ones get that result, or hear that the work is under way.
-- A claimant that dies holds the claim for `lease_ms`, then the next caller gets it: take longer than the
-- work can last. One that fails and wants others to try gives up with idempotency/abandon.lua.
--
-- A claimant that asks again (after a lost reply, say) has the claim still, and the full lease again. So
-- the owner must be a name that nobody else takes, best a random one for each attempt.
--
-- KEYS   record       hash of one request; gone after its lease, or after complete's `keep_ms`
-- ARGV   owner        who asks
--        lease_ms     for how long the claim holds, up to a day
--        fingerprint  of what is asked for, a hash of the request's body say; may be left out
-- reply  [claimed, lease_ms]  the work is yours
--        [running, ms]        another has it, for so long at most
--        [done, result]       here is what came of it
--        [mismatch, 0]        the same record was used for a request with another fingerprint
--
-- description=Claim a request that must happen once, or get its result
-- tags=idempotency
local Args = require('lib/args.lua')
local args = Args.of(sproc.name, KEYS, ARGV)
local record = args:key(1, 'record')
local owner = args:text(1, 'owner')
local lease_ms = args:integer(2, 'lease_ms', 1, Args.DAY_MS)
local fingerprint = ARGV[3] or ''
args:no_more(1, 3)

local known = redis.call('HMGET', record, 'owner', 'fingerprint', 'result')
if known[1] then
  if known[2] ~= fingerprint then
    return { 'mismatch', 0 }
  elseif known[3] then
    return { 'done', known[3] }
  elseif known[1] ~= owner then
    return { 'running', redis.call('PTTL', record) }
  end
end

redis.call('HSET', record, 'owner', owner, 'fingerprint', fingerprint)
redis.call('PEXPIRE', record, lease_ms)
return { 'claimed', lease_ms }
