-- Numbering, coverage and gaps. A daemon numbers a source's messages by (epoch, tick, count): all daemons see the same messages and
-- ticks in the same order. A source's watermark is `tick count ms`: all that is wanted up to there has run; `ms` is
-- the server's time at that tick. Epoch, tick and watermarks live in one hash, so that they vanish together.
local LEASE_MS = 2000 -- a daemon that has not been heard of for so long ...
local LEASE_TICKS = 4 -- ... and for so many ticks is dead; the ticks hold when the clock jumps
local FORGET_MS = 600000 -- when a dead daemon's heartbeat is removed
local GAPS_LIMIT = 1000
local BLIND_MS = 20 -- what is left of a gap that another daemon has just recorded

local function before(tick, count, other_tick, other_count)
  return tick < other_tick or (tick == other_tick and count < other_count)
end

-- Takes a watermark. Returns tick, count, ms; nothing where there is none.
local function parse_mark(mark)
  if not mark then return nil end
  local tick, count, ms = mark:match('^(%d+) (%d+) (%d+)$')
  return tonumber(tick), tonumber(count), tonumber(ms)
end

local function write_mark(source, tick, count, ms)
  redis.call('HSET', EVENTS, source, tick .. ' ' .. count .. ' ' .. ms)
end

-- Whether a heartbeat (`ms tick {json}`) is a living daemon's. Returns its JSON, decoded, too.
local function alive(beat, tick, now)
  local at, at_tick, info = beat:match('^(%d+) (%d+) (.+)$')
  if not at then return false end
  if math.abs(now - at) >= LEASE_MS and tick - at_tick >= LEASE_TICKS then return false end
  local ok, decoded = pcall(json().decode, info)
  return ok and type(decoded) == 'table', decoded
end

-- Whether another living daemon numbers `source` since `tick` or earlier.
local function covered(source, tick, epoch, except)
  local current = tonumber(redis.call('HGET', EVENTS, 'tick') or 0)
  local daemons, now = redis.call('HGETALL', DAEMONS), now_ms()
  for i = 1, #daemons, 2 do
    if daemons[i] ~= except then
      local living, info = alive(daemons[i + 1], current, now)
      local first = living and info.epoch == epoch and type(info.covers) == 'table' and tonumber(info.covers[source])
      if first and first <= tick then return true end
    end
  end
  return false
end

-- Says aloud that events of a source between two times (ms) were not run, and asks for a scan where a sproc wants it.
local function record_gap(source, from_ms, to_ms, why, daemon)
  redis.call('XADD', writable(GAPS, 'stream'), 'MAXLEN', '~', GAPS_LIMIT, '*',
    'source', source, 'from_ms', from_ms, 'to_ms', to_ms, 'why', why, 'daemon', daemon)
  add_execution('MAXLEN', '~', executions_limit(), '*',
    'sproc', '', 'trigger', 'event', 'key', source, 'event', '', 'origin', from_ms .. '-' .. to_ms, 'depth', 0,
    'status', 'gap', 'duration_us', 0, 'reply', '', 'error', why, 'commit', '', 'daemon', daemon)
  local names = redis.pcall('HGET', TRIGGERS, source)
  for name in (type(names) == 'string' and names or ''):gmatch('[^\n]+') do
    if is(redis.call('HGET', NAME .. name, 'catchup'), 'scan') then
      redis.call('HSET', writable(CATCHUPS, 'hash'), name, '0 0') -- a scan under way starts again
    end
  end
end

-- Whoever gets here first in a new epoch keeps what the old one left, for the gap that its sources' first registrants record.
local function start_epoch(run_id, old)
  local left = {}
  for i = 1, #old, 2 do
    local _, _, ms = parse_mark(old[i + 1])
    if ms then left[#left + 1] = { 'left:' .. old[i], ms } end
    if old[i]:sub(1, 5) == 'left:' then left[#left + 1] = { old[i], old[i + 1] } end
  end
  local limit = redis.call('HGET', EVENTS, 'limit')
  redis.call('DEL', EVENTS)
  local now = redis.call('TIME')
  local epoch = redis.sha1hex(now[1] .. now[2] .. run_id .. (old[2] or '')):sub(1, 12) .. '-' .. run_id
  redis.call('HSET', EVENTS, 'epoch', epoch, 'tick', 0, 'at', 0)
  if limit then redis.call('HSET', EVENTS, 'limit', limit) end
  for _, pair in ipairs(left) do redis.call('HSET', EVENTS, pair[1], pair[2]) end
  return epoch
end

-- Names this server as it is: a restart changes its run id, a promotion its replication id.
local function server_id()
  local run_id = redis.call('INFO', 'server'):match('run_id:(%w+)')
  local replication_id = redis.call('INFO', 'replication'):match('master_replid:(%w+)')
  return redis.sha1hex(run_id .. (replication_id or ''))
end

-- FCALL <ns>luasprocs_tick 0 interval_ms forced: publishes the next tick, unless one was less than the interval ago and `forced` isn't 1.
-- A clock that went back counts as long ago. Message: epoch, tick, ms, run id, forced. Reply: epoch, tick.
serve[TICK] = function(_, args)
  mend()
  local run_id = server_id()
  local found = redis.pcall('HMGET', EVENTS, 'epoch', 'tick', 'at')
  if found.err then found = redis.call('HMGET', writable(EVENTS, 'hash'), 'epoch', 'tick', 'at') end
  local epoch, now, forced = found[1], now_ms(), args[2] == '1'
  if not epoch or epoch:sub(14) ~= run_id then
    epoch, forced = start_epoch(run_id, redis.call('HGETALL', EVENTS)), true
  end
  local since = now - tonumber(found[3] or 0)
  if not forced and since >= 0 and since < tonumber(args[1]) then return { epoch, tonumber(found[2]) } end
  local tick = redis.call('HINCRBY', EVENTS, 'tick', 1)
  redis.call('HSET', EVENTS, 'at', now)
  redis.call('PUBLISH', TICKS, table.concat({ epoch, tick, now, run_id, forced and 1 or 0 }, ' '))
  return { epoch, tick }
end

-- FCALL <ns>luasprocs_cover 0 daemon epoch [source first_tick first_ms left_ms ...]: starts sources that have no watermark at the tick from
-- which the daemon numbers them. `left_ms`: up to when an older epoch had run them, as far as the daemon knows, or empty.
-- Reply: OK, or EPOCH where the epoch is another.
serve[COVER] = function(_, args)
  local daemon, epoch = args[1], args[2]
  if redis.call('HGET', EVENTS, 'epoch') ~= epoch then return redis.status_reply('EPOCH') end
  for i = 3, #args, 4 do
    local source, tick, ms = args[i], tonumber(args[i + 1]), tonumber(args[i + 2])
    if not parse_mark(redis.call('HGET', EVENTS, source)) then
      write_mark(source, tick, 0, ms)
      local left = redis.call('HGET', EVENTS, 'left:' .. source) or (args[i + 3] ~= '' and args[i + 3])
      if left then record_gap(source, left, args[i + 2], 'a new epoch: the server restarted, failed over or lost its data', daemon) end
      redis.call('HDEL', EVENTS, 'left:' .. source)
    end
  end
  return redis.status_reply('OK')
end

-- FCALL <ns>luasprocs_beat 0 daemon epoch info [source prev_tick prev_count tick ms start_ms ...]: a heartbeat; `info` is a JSON object with
-- `epoch` and `covers` (source to first tick). Each source listed has nothing pending between prev and the start of `tick`: its
-- watermark moves there, if it has reached prev. `start_ms`, where prev is the start of the daemon's numbering: a hole before it that
-- nobody covers is stepped over, and recorded. Reply: EPOCH, or names whose catch-up scan nobody is at, and sources without a watermark.
serve[BEAT] = function(_, args)
  local daemon, epoch, now = args[1], args[2], now_ms()
  if redis.call('HGET', EVENTS, 'epoch') ~= epoch then return redis.status_reply('EPOCH') end
  redis.call('HSET', writable(DAEMONS, 'hash'), daemon, now .. ' ' .. redis.call('HGET', EVENTS, 'tick') .. ' ' .. args[3])
  for i = 4, #args, 6 do
    local at_tick, at_count, at_ms = parse_mark(redis.call('HGET', EVENTS, args[i]))
    local prev_tick, tick = tonumber(args[i + 1]), tonumber(args[i + 3])
    if at_tick and at_tick < tick then
      local reached = not before(at_tick, at_count, prev_tick, tonumber(args[i + 2]))
      if not reached and args[i + 5] ~= '' and not covered(args[i], prev_tick - 1, epoch, daemon) then
        record_gap(args[i], at_ms, args[i + 5], 'no daemon listened', daemon)
        reached = true
      end
      if reached then write_mark(args[i], tick, 0, args[i + 4]) end
    end
  end
  local missing = {}
  for i = 4, #args, 6 do
    if not parse_mark(redis.call('HGET', EVENTS, args[i])) then missing[#missing + 1] = args[i] end
  end
  local waiting, scans = {}, redis.pcall('HGETALL', CATCHUPS)
  for i = 1, scans.err and 0 or #scans, 2 do
    if now - tonumber(scans[i + 1]:match('^(%d+)') or 0) > LEASE_MS * 2 then waiting[#waiting + 1] = scans[i] end
  end
  return { waiting, missing }
end

-- FCALL <ns>luasprocs_leave 0 daemon: it stops in order, or its lease is over for long. Reply: OK.
serve[LEAVE] = function(_, args)
  redis.call('HDEL', DAEMONS, args[1])
  local daemons, now = redis.call('HGETALL', DAEMONS), now_ms()
  for i = 1, #daemons, 2 do
    if now - tonumber(daemons[i + 1]:match('^(%d+)') or 0) > FORGET_MS then redis.call('HDEL', DAEMONS, daemons[i]) end
  end
  return redis.status_reply('OK')
end

-- FCALL <ns>luasprocs_blind 0 daemon from_ms why [source ...]: from then until now the sources' events were not published (flags that somebody
-- reset). Daemons that find the same record it once. Reply: how many gaps were recorded.
serve[BLIND] = function(_, args)
  local now, recorded = now_ms(), 0
  for i = 4, #args do
    local field = 'blind:' .. args[i]
    local last = tonumber(redis.call('HGET', EVENTS, field) or 0)
    local from_ms = math.max(tonumber(args[2]), last)
    if now - from_ms > BLIND_MS then
      redis.call('HSET', EVENTS, field, now)
      record_gap(args[i], from_ms, now, args[3], args[1])
      recorded = recorded + 1
    end
  end
  return recorded
end
