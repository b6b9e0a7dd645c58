-- What a registry has left that nobody serves any more, as its slot has moved: each part goes to a shard that is served, once.
local core = ...
local prelude, ticks, moved, minutes = core.use 'prelude', core.use 'ticks', core.use 'moved', core.use 'minutes'
local serve = {}

-- Whose registry the engine here serves.
function serve.shard()
  return K.TAG
end

-- An entry of an Outbox that nobody serves any more: it keeps the name that it had there, as it may have arrived already.
function serve.inherit_sent(_, args)
  local from, id, depth, roots, origin, key, event = unpack(args, 1, 7)
  moved.touch({})
  if not redis.call('SET', K.HAD_PREFIX .. from .. ':' .. id .. ':box', 1, 'NX', 'EX', moved.HAD_S) then return redis.status_reply('HAD') end
  redis.call('XADD', prelude.writable(K.OUTBOX, 'stream'), '*', 'shard', from, 'id', id, 'key', key, 'event', event, 'depth', depth, 'roots', roots,
    'origin', origin, 'names', table.concat({ unpack(args, 8) }, '\n'))
  return redis.status_reply('OK')
end

-- Up to when a registry that nobody serves any more had run its sources: from there on this server's events are a gap.
function serve.missed(_, args)
  local from, epoch, forced = args[1], args[2], args[3] == '1'
  if not forced and epoch:sub(14) ~= ticks.server_id() then return 0 end
  moved.touch({})
  if not redis.call('SET', K.HAD_PREFIX .. from .. ':' .. epoch, 1, 'NX', 'EX', moved.HAD_S) then return 1 end
  for i = 4, #args, 2 do
    local source, ms = args[i], args[i + 1]
    if ticks.parse_mark(redis.call('HGET', K.EVENTS, source)) then
      ticks.record_gap(source, ms, prelude.now_ms(), 'the slot of the registry has moved', '-')
    else
      local left = tonumber(redis.call('HGET', K.EVENTS, 'left:' .. source)) -- of another such registry
      if not left or tonumber(ms) < left then redis.call('HSET', K.EVENTS, 'left:' .. source, ms) end -- for whoever numbers it first
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
  if not redis.call('SET', had, 1, 'NX', 'EX', moved.HAD_S) then return redis.status_reply('HAD') end
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

-- What it did in each minute: its hours are added to those of the same day here.
local function add_minutes(from, own)
  for field, theirs in pairs(hash_of(from)) do
    local hour, text = theirs:match('^(%d+) (.*)$')
    hour = hour and #hour < 10 and tonumber(hour)
    local held = redis.pcall('HGET', own, field)
    local ours = type(held) == 'string' and tonumber(held:match('^%d+ ')) or 0
    if hour and hour % 24 == tonumber(field) and hour >= ours then minutes.put(own, hour, text) end
  end
  redis.call('DEL', from)
end

-- In both a minute that is over ends first.
local function add_stats(from, own, from_minutes, own_minutes)
  local minute = minutes.of(redis.call('TIME')[1])
  local begun = { minutes.turn(from, from_minutes, minute, 0, 0), minutes.turn(prelude.writable(own, 'hash'), own_minutes, minute, 0, 0) }
  add_minutes(from_minutes, own_minutes)
  local theirs, ours = hash_of(from), hash_of(own)
  local is_newer = (tonumber(theirs.last_run) or 0) > (tonumber(ours.last_run) or 0)
  for field, value in pairs(theirs) do
    local number, mine = tonumber(value) or 0, tonumber(ours[field]) or 0
    if not OF_THE_LAST[field] then
      redis.call('HSET', own, field, string.format('%.0f', GREATEST[field] and math.max(number, mine) or number + mine))
    elseif is_newer then
      redis.call('HSET', own, field, value)
    end
  end
  local runs_before, errors_before = 0, 0
  for place = 1, 2 do
    local runs, errors = tostring(begun[place]):match('(%d+) (%d+)$')
    runs_before, errors_before = runs_before + (runs or 0), errors_before + (errors or 0)
  end
  redis.call('HSET', own, 'minute', string.format('%s %.0f %.0f', minute, runs_before, errors_before))
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
  local function their(key)
    return '{' .. from .. '}' .. key:sub(#K.TAG + 3)
  end
  local theirs, own_minutes = their(own), K.MINUTES_PREFIX .. name
  for _, key in ipairs({ own, theirs, own_minutes, their(own_minutes) }) do redis.call('EXISTS', key) end -- before any effect: one may be about to move
  local add = kind == 'stats' and add_stats or add_entries
  add(theirs, own, their(own_minutes), own_minutes)
  redis.call('DEL', theirs)
  return redis.status_reply('OK')
end

return { serve = serve }
