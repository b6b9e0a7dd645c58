-- Events whose key another shard has by now. The one that heard of them puts them into its Outbox, in the same step as the watermark; a daemon hands
-- them over, and the key's shard runs each once: it remembers which it has had.
local core = ...
local prelude, records, batches, ticks = core.use 'prelude', core.use 'records', core.use 'batch', core.use 'ticks'
local moved, serve = {}, {}
local NOWHERE = { picks = {} }
local HAD_S = 86400

-- The tag that a key has of itself.
local function own_tag(key)
  return key:match('^[^{]*{([^}]+)}')
end

-- A key in a key's slot that nobody has, where one can be named.
local function beside(key)
  local tag = own_tag(key)
  if not tag and (key == '' or key:find('}', 1, true)) then return key end
  return '{' .. (tag or key) .. '}:' .. K.MARK
end

-- Whether this node does not serve a key's slot, or not yet, or no longer all of it. While a slot moves key by key, only what is still there can
-- be touched: of a sproc that uses two keys, the first command might have an effect, and the second fail.
local function is_elsewhere(key)
  key = beside(key)
  return type(redis.pcall('EXISTS', key)) == 'table' and redis.acl_check_cmd('EXISTS', key)
end
moved.is_elsewhere = is_elsewhere

-- Touches all that a batch may write, before it has any effect: while the slot of this registry moves key by key, one that has gone raises.
function moved.touch(names)
  local keys = { K.EVENTS, K.EXECUTIONS, K.JOBS, K.DELAYED, K.OUTBOX, K.GAPS }
  for _, name in ipairs(names) do keys[#keys + 1] = K.STATS_PREFIX .. name end
  redis.call('EXISTS', unpack(keys))
end

-- The slot of a key that has no hash tag: its CRC16 (XMODEM).
local function slot_of(key)
  local crc = 0
  for place = 1, #key do
    crc = bit.bxor(crc, bit.lshift(key:byte(place), 8))
    for _ = 1, 8 do
      crc = bit.band(crc >= 32768 and bit.bxor(bit.lshift(crc, 1), 4129) or bit.lshift(crc, 1), 65535)
    end
  end
  return crc % 16384
end

-- The tag of keys in the slot of `at`. One that has a brace and no hash tag can't be a tag: two bytes of the same slot are, whose CRC is taken
-- back by 16 bits. tag_beside in slots.py makes the same of it.
local function tag_of(at)
  local tag = own_tag(at) or at
  if not tag:find('}', 1, true) then return tag end
  for crc = slot_of(at), 65535, 16384 do
    for _ = 1, 16 do crc = bit.rshift(crc % 2 == 1 and bit.bxor(crc, 69665) or crc, 1) end
    tag = string.char(math.floor(crc / 256), crc % 256)
    if not tag:find('}', 1, true) then return tag end
  end
end

-- The key of a schedule's mark, see marks.lua; nothing if it is a field of SCHEDULED.
function moved.mark_key(name)
  local values = core.use 'header'.read(name, 'at') or {}
  if values.at == 'each' then return nil end
  return '{' .. tag_of(values.at or name) .. '}:' .. K.MARK .. name
end

-- The key by which a run goes to its shard, if that is another one, or will be in a moment: its first one, or without keys its schedule's `at`.
function moved.elsewhere_of(job)
  local key = job.keys[1]
  if not key then
    key = (core.use 'header'.read(job.sproc, 'at') or {}).at or job.sproc
    if key == 'each' then return nil end
  end
  return is_elsewhere(key) and key or nil
end

-- There must be an Outbox beforehand: it can't be made in a slot that moves.
function moved.prepare()
  if redis.call('EXISTS', K.OUTBOX) == 1 then return end
  redis.call('XDEL', prelude.writable(K.OUTBOX, 'stream'), redis.call('XADD', K.OUTBOX, '*', 'key', ''))
end

-- Puts those events of a batch into the Outbox whose key is elsewhere, or is on its way: nothing of it runs for them here.
function moved.send_on(batch)
  for n = 1, batch.size do
    local place, route = batch.places[n], batch.chosen[n]
    local key, event = batch.args[place], batch.args[place + 1]
    if next(route.picks) and is_elsewhere(key) then
      local names = {}
      for at in pairs(route.picks) do names[#names + 1] = batch.names[at] end
      redis.call('XADD', prelude.writable(K.OUTBOX, 'stream'), '*', 'key', key, 'event', event, 'depth', route.depth, 'roots', route.roots,
        'origin', route.origin, 'names', table.concat(names, '\n'))
      batch.chosen[n] = NOWHERE
    end
  end
end

-- Runs sprocs for one event.
local function run_one(names, depth, roots, origin, key, event, daemon)
  local picks = {}
  for place = 1, #names do picks[place] = place end
  local flat = { #names, unpack(names) }
  for _, word in ipairs({ 1, depth, roots, origin, '', table.concat(picks, ' '), '1', '1', key, event }) do flat[#flat + 1] = tostring(word) end
  local batch = batches.read(flat, 1)
  batch.daemon = daemon
  batches.read_values(batch, 1)
  core.use('dispatch').run_batch(batch)
end

function serve.arrive(_, args)
  local from, id, daemon, depth, roots, origin, key, event = unpack(args, 1, 8)
  prelude.serve_generation()
  if is_elsewhere(key) then return redis.status_reply('ELSEWHERE') end
  local had = K.HAD_PREFIX .. from .. ':' .. id
  local names = { unpack(args, 9) }
  moved.touch(names)
  if not redis.call('SET', had, 1, 'NX', 'EX', HAD_S) then return redis.status_reply('HAD') end
  -- A key that is moved one by one is deleted where it was: that is no event.
  if event == 'del' and redis.call('EXISTS', key) == 1 then return redis.status_reply('MOVED') end
  local ok, problem = pcall(run_one, names, depth, roots, origin, key, event, daemon)
  if not ok then
    core.use 'guard'.put_back()
    local error = 'a batch broke off: ' .. core.use 'runs'.said(problem)
    pcall(records.write, { trigger = 'event', key = key, status = 'error', error = error, daemon = daemon })
  end
  return redis.status_reply('OK')
end

-- Whose registry the engine here serves.
function serve.shard()
  return K.TAG
end

-- An entry of an Outbox that nobody serves any more: it keeps the name that it had there, as it may have arrived already.
function serve.inherit_sent(_, args)
  local from, id, depth, roots, origin, key, event = unpack(args, 1, 7)
  moved.touch({})
  if not redis.call('SET', K.HAD_PREFIX .. from .. ':' .. id .. ':box', 1, 'NX', 'EX', HAD_S) then return redis.status_reply('HAD') end
  redis.call('XADD', prelude.writable(K.OUTBOX, 'stream'), '*', 'shard', from, 'id', id, 'key', key, 'event', event, 'depth', depth, 'roots', roots,
    'origin', origin, 'names', table.concat({ unpack(args, 8) }, '\n'))
  return redis.status_reply('OK')
end

-- Up to when a registry that nobody serves any more had run its sources: from there on this server's events are a gap.
function serve.missed(_, args)
  local from, epoch, forced = args[1], args[2], args[3] == '1'
  if not forced and epoch:sub(14) ~= ticks.server_id() then return 0 end
  moved.touch({})
  if not redis.call('SET', K.HAD_PREFIX .. from .. ':' .. epoch, 1, 'NX', 'EX', HAD_S) then return 1 end
  for i = 4, #args, 2 do
    local source, ms = args[i], args[i + 1]
    if ticks.parse_mark(redis.call('HGET', K.EVENTS, source)) then
      ticks.record_gap(source, ms, prelude.now_ms(), 'the slot of the registry has moved', '-')
    else
      redis.call('HSET', K.EVENTS, 'left:' .. source, ms) -- for whoever numbers it first
    end
  end
  return 1
end

-- A job of a registry that nobody serves any more, as its slot has moved. `due`: of a delayed one when it is due, of a dead one its error.
function serve.adopt(_, args)
  local from, kind, due, text = unpack(args, 1, 4)
  prelude.serve_generation()
  local jobs = core.use 'jobs'
  local job = jobs.read(text)
  if not job then return redis.status_reply('NONE') end
  moved.touch({ job.sproc })
  local had = K.HAD_PREFIX .. from .. ':' .. job.id .. ':' .. job.attempt
  if not redis.call('SET', had, 1, 'NX', 'EX', HAD_S) then return redis.status_reply('HAD') end
  if kind == 'delayed' then
    redis.call('ZADD', prelude.writable(K.DELAYED, 'zset'), tonumber(due) or 0, text)
    redis.call('PUBLISH', K.WAKES, 'delayed')
  elseif kind == 'dead' then
    jobs.bury(job, 'error', due)
  else
    local overlap = jobs.rules(job.sproc).overlap
    jobs.admit(job, overlap == 'skip' and 'queue' or overlap) -- it was taken once
  end
  return redis.status_reply('OK')
end

-- How a field of stats is made of two: the greater one, or what the newer run left; all others are sums.
local GREATEST = { last_run = true, last_missed = true, duration_us_max = true }
local OF_THE_LAST = { last_error = true, last_status = true, failed_in_a_row = true, failing_since = true }

local function hash_of(key)
  local found, flat = {}, redis.pcall('HGETALL', key)
  for place = 1, #flat, 2 do found[flat[place]] = flat[place + 1] end
  return found
end

local function add_stats(from, own)
  local theirs, ours = hash_of(from), hash_of(prelude.writable(own, 'hash'))
  local is_newer = (tonumber(theirs.last_run) or 0) > (tonumber(ours.last_run) or 0)
  for field, value in pairs(theirs) do
    local number, mine = tonumber(value) or 0, tonumber(ours[field]) or 0
    if not OF_THE_LAST[field] then
      redis.call('HSET', own, field, string.format('%.0f', GREATEST[field] and math.max(number, mine) or number + mine))
    elseif is_newer then
      redis.call('HSET', own, field, value)
    end
  end
end

local function entries_of(key, limit)
  local found = redis.pcall('XREVRANGE', key, '+', '-', 'COUNT', limit)
  return found.err and {} or found
end

-- Whether an id is before another one.
local function is_before(id, other)
  local ms, seq = id:match('^(%d+)%-(%d+)$')
  local other_ms, other_seq = other:match('^(%d+)%-(%d+)$')
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(seq) < tonumber(other_seq)
end

-- Both streams as one, by their ids; the oldest go if they are too many. Of two with one id the second gets the next one.
local function add_entries(from, own)
  local limit = redis.pcall('HGET', K.EVENTS, 'limit')
  limit = type(limit) == 'string' and limit or K.EXECUTIONS_LIMIT
  local theirs, ours = entries_of(from, limit), entries_of(prelude.writable(own, 'stream'), limit)
  if #theirs == 0 then return end
  redis.call('DEL', own)
  local last = '0-0'
  while #theirs > 0 or #ours > 0 do
    local oldest, other = theirs[#theirs], ours[#ours]
    local some = (not other or (oldest and is_before(oldest[1], other[1]))) and theirs or ours
    local id, fields = unpack(table.remove(some))
    if not is_before(last, id) then
      local ms, seq = last:match('^(%d+)%-(%d+)$')
      id = string.format('%s-%.0f', ms, seq + 1)
    end
    redis.call('XADD', own, id, unpack(fields))
    last = id
  end
  redis.call('XTRIM', own, 'MAXLEN', '~', limit)
end

-- What a registry that nobody serves any more has kept, each part once: here it is added in the step that deletes it there.
function serve.inherit(_, args)
  local from, kind, name = unpack(args, 1, 3)
  if from == K.TAG then return redis.error_reply('ERR a registry can not inherit from itself') end
  prelude.serve_generation()
  local own = ({ stats = K.STATS_PREFIX .. name, executions = K.EXECUTIONS, gaps = K.GAPS })[kind]
  if not own then return redis.error_reply('ERR there is nothing of that kind to inherit') end
  local theirs = '{' .. from .. '}' .. own:sub(#K.TAG + 3)
  for _, key in ipairs({ own, theirs }) do redis.call('EXISTS', key) end -- before any effect: one of them may be about to move
  local add = kind == 'stats' and add_stats or add_entries
  add(theirs, own)
  redis.call('DEL', theirs)
  return redis.status_reply('OK')
end

-- Whether the epoch goes on here, where a replica was promoted. 1: yes, as the daemon has heard all of it through the demoted server (`forced` 2);
-- 0: not yet, as one may do so within a lease. Not once a daemon has listened and lost its connection (`forced` 3).
function moved.carried(epoch, forced, run_id, now)
  if forced == '2' then
    redis.call('HSET', K.EVENTS, 'server', run_id)
    redis.call('HDEL', K.EVENTS, 'waits')
    return 1
  end
  return forced ~= '3' and moved.waits(epoch, now) and 0
end

function moved.waits(epoch, now)
  local since = tonumber(redis.call('HGET', K.EVENTS, 'waits') or 0)
  if since > 0 then return now - since < K.LEASE_MS and now >= since end
  local daemons = redis.call('HGETALL', K.DAEMONS)
  for i = 2, #daemons, 2 do
    local at, info = daemons[i]:match('^(%d+) %d+ (.+)$')
    local ok, said = pcall(prelude.json().decode, info or '')
    local hears = ok and type(said) == 'table' and said.epoch == epoch and type(said.covers) == 'table' and next(said.covers)
    if hears and math.abs(now - at) < K.LEASE_MS then
      redis.call('HSET', K.EVENTS, 'waits', now)
      return true
    end
  end
  return false
end

moved.serve = serve
return moved
