-- Numbering, coverage and gaps. A daemon numbers a source's messages by (epoch, tick, count): all daemons see the same messages and
-- ticks in the same order. A source's watermark is `tick count ms`: all that is wanted up to there has run; `ms` is
-- the server's time at that tick. Epoch, tick and watermarks live in one hash, so that they vanish together.
local core = ...
local prelude, runs, records, header = core.use 'prelude', core.use 'runs', core.use 'records', core.use 'header'
local now_ms, writable = prelude.now_ms, prelude.writable
local serve = {}

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
  redis.call('HSET', K.EVENTS, source, tick .. ' ' .. count .. ' ' .. ms)
end

-- Whether a heartbeat (`ms tick {json}`) is a living daemon's. Returns its JSON, decoded, too.
local function alive(beat, tick, now)
  local at, at_tick, info = beat:match('^(%d+) (%d+) (.+)$')
  if not at then return false end
  if math.abs(now - at) >= K.LEASE_MS and tick - at_tick >= K.LEASE_TICKS then return false end
  local ok, decoded = pcall(prelude.json().decode, info)
  return ok and type(decoded) == 'table', decoded
end

-- Whether another living daemon numbers `source` since `tick` or earlier.
local function covered(source, tick, epoch, except)
  local current = tonumber(redis.call('HGET', K.EVENTS, 'tick') or 0)
  local daemons, now = redis.call('HGETALL', K.DAEMONS), now_ms()
  for i = 1, #daemons, 2 do
    if daemons[i] ~= except then
      local living, info = alive(daemons[i + 1], current, now)
      local first = living and info.epoch == epoch and type(info.covers) == 'table' and tonumber(info.covers[source])
      if first and first <= tick then return true end
    end
  end
  return false
end

-- Records that events of a source between two times (ms) were missed, and asks for a scan if a sproc wants one. Returns the ids of
-- both entries, that in Gaps first.
local function record_gap(source, from_ms, to_ms, why, daemon)
  local gap = redis.call('XADD', writable(K.GAPS, 'stream'), 'MAXLEN', '~', K.GAPS_LIMIT, '*',
    'source', source, 'from_ms', from_ms, 'to_ms', to_ms, 'why', why, 'daemon', daemon)
  local row = records.write({ trigger = 'event', key = source, origin = from_ms .. '-' .. to_ms, status = 'gap', error = why, daemon = daemon })
  local names = redis.pcall('HGET', K.TRIGGERS, source)
  for name in (type(names) == 'string' and names or ''):gmatch('[^\n]+') do
    if header.value(header.read(name, 'catchup') or {}, 'catchup'):lower() == 'scan' then
      redis.call('HSET', writable(K.CATCHUPS, 'hash'), name, '0 0') -- a scan under way starts again
    end
  end
  return gap, row
end

-- Whoever gets here first in a new epoch keeps what the old one left, for the gap that its sources' first registrants record.
local function start_epoch(run_id, old)
  local left = {}
  for i = 1, #old, 2 do
    local _, _, ms = parse_mark(old[i + 1])
    if ms then left[#left + 1] = { 'left:' .. old[i], ms } end
    if old[i]:sub(1, 5) == 'left:' then left[#left + 1] = { old[i], old[i + 1] } end
  end
  local limit = redis.call('HGET', K.EVENTS, 'limit')
  redis.call('DEL', K.EVENTS)
  local now = redis.call('TIME')
  local epoch = redis.sha1hex(now[1] .. now[2] .. run_id .. (old[2] or '')):sub(1, 12) .. '-' .. run_id
  redis.call('HSET', K.EVENTS, 'epoch', epoch, 'tick', 0, 'at', 0)
  if limit then redis.call('HSET', K.EVENTS, 'limit', limit) end
  for _, pair in ipairs(left) do redis.call('HSET', K.EVENTS, pair[1], pair[2]) end
  return epoch
end

-- Names this server as it is: a restart changes its run id, a promotion its replication id.
local function server_id()
  local run_id = redis.call('INFO', 'server'):match('run_id:(%w+)')
  local replication_id = redis.call('INFO', 'replication'):match('master_replid:(%w+)')
  return redis.sha1hex(run_id .. (replication_id or ''))
end

-- The message: epoch, tick, ms, run id, forced. A clock that went back counts as long ago. `forced`: more than 1 see moved.lua.
function serve.tick(_, args)
  local interval_ms, forced = tonumber(args[1]), args[2] ~= '0'
  runs.mend()
  local run_id = server_id()
  local found = redis.pcall('HMGET', K.EVENTS, 'epoch', 'tick', 'at', 'proof', 'server')
  if found.err then found = redis.call('HMGET', writable(K.EVENTS, 'hash'), 'epoch', 'tick', 'at') end
  local counted = found[2] and #found[2] <= 15 and found[2]:match('^%d+$')
  local epoch, now, carried = counted and found[1], now_ms(), nil -- a tick that somebody wrote by hand ends the epoch
  if not epoch or (found[5] or epoch:sub(14)) ~= run_id then
    carried = epoch and K.TAG ~= '' and core.use 'moved'.carried(epoch, args[2], run_id, now)
    if carried == 0 then return { epoch, tonumber(found[2]) + 1 } end
    if not carried then epoch, forced = start_epoch(run_id, redis.call('HGETALL', K.EVENTS)), true end
  end
  if K.TAG ~= '' then core.use 'moved'.prepare() end
  local since = now - (tonumber(found[3]) or 0)
  if not forced and since >= 0 and since < interval_ms then return { epoch, tonumber(found[2]) } end
  local tick = redis.call('HINCRBY', K.EVENTS, 'tick', 1)
  if found[4] ~= core.proof then redis.call('HSET', K.EVENTS, 'proof', core.proof) end
  redis.call('HSET', K.EVENTS, 'at', now)
  redis.call('PUBLISH', K.TICKS, core.proof .. table.concat({ epoch, tick, now, run_id, forced and 1 or 0 }, ' '))
  return { epoch, tick, carried or nil }
end

-- Removes the heartbeats of daemons that died long ago.
local function forget_daemons()
  local now, daemons = now_ms(), redis.pcall('HGETALL', K.DAEMONS)
  for i = 1, daemons.err and 0 or #daemons, 2 do
    if now - tonumber(daemons[i + 1]:match('^(%d+)') or 0) > K.FORGET_MS then redis.call('HDEL', K.DAEMONS, daemons[i]) end
  end
end

function serve.cover(_, args)
  forget_daemons()
  local daemon, epoch = args[1], args[2]
  if redis.call('HGET', K.EVENTS, 'epoch') ~= epoch then return redis.status_reply('EPOCH') end
  for i = 3, #args, 4 do
    local source, first_tick, first_ms, left_ms = unpack(args, i, i + 3)
    if not parse_mark(redis.call('HGET', K.EVENTS, source)) then
      write_mark(source, first_tick, 0, first_ms)
      local left, known_ms = redis.call('HGET', K.EVENTS, 'left:' .. source), left_ms ~= '' and left_ms
      local why = left and 'the server restarted or failed over' or 'the server was added, or lost its data'
      if left or known_ms then record_gap(source, left or known_ms, first_ms, why, daemon) end
      redis.call('HDEL', K.EVENTS, 'left:' .. source)
    end
  end
  return redis.status_reply('OK')
end

-- Moves the watermark of a source of which `daemon` has nothing pending between prev and the start of `tick`.
local function advance(daemon, epoch, source, prev_tick, prev_count, tick, ms, start_ms)
  local at_tick, at_count, at_ms = parse_mark(redis.call('HGET', K.EVENTS, source))
  prev_tick, prev_count = tonumber(prev_tick), tonumber(prev_count)
  if not at_tick or at_tick >= tonumber(tick) then return end
  local reached = not before(at_tick, at_count, prev_tick, prev_count)
  if not reached and start_ms ~= '' and not covered(source, prev_tick - 1, epoch, daemon) then
    record_gap(source, at_ms, start_ms, 'no daemon listened', daemon)
    reached = true
  end
  if reached then write_mark(source, tick, 0, ms) end
end

function serve.beat(_, args)
  local daemon, epoch, info, now = args[1], args[2], args[3], now_ms()
  if redis.call('HGET', K.EVENTS, 'epoch') ~= epoch then return redis.status_reply('EPOCH') end
  redis.call('HSET', writable(K.DAEMONS, 'hash'), daemon, now .. ' ' .. redis.call('HGET', K.EVENTS, 'tick') .. ' ' .. info)
  for i = 4, #args, 6 do advance(daemon, epoch, unpack(args, i, i + 5)) end
  local missing = {}
  for i = 4, #args, 6 do
    local source = args[i]
    if not parse_mark(redis.call('HGET', K.EVENTS, source)) then missing[#missing + 1] = source end
  end
  local waiting, scans = {}, redis.pcall('HGETALL', K.CATCHUPS)
  for i = 1, scans.err and 0 or #scans, 2 do
    local name, scan = scans[i], scans[i + 1]
    if now - tonumber(scan:match('^(%d+)') or 0) > K.LEASE_MS * 2 then waiting[#waiting + 1] = name end
  end
  return { waiting, missing }
end

function serve.leave(_, args)
  redis.call('HDEL', K.DAEMONS, args[1])
  forget_daemons()
  return redis.status_reply('OK')
end

-- What was blind lately and is so again is in the same gap, which grows: it is recorded anew, so that whoever reads on finds it.
function serve.blind(_, args)
  local daemon, from_ms, why = args[1], tonumber(args[2]), args[3]
  local now, recorded = now_ms(), 0
  for i = 4, #args do
    local source = args[i]
    local field = 'blind:' .. source
    local ended, began, old_gap, old_row = (redis.call('HGET', K.EVENTS, field) or ''):match('^(%d+) (%d+) ([%d-]+) ([%d-]+)$')
    ended, began = tonumber(ended) or 0, tonumber(began)
    local blind_ms = math.max(from_ms, ended)
    if now - blind_ms > K.BLIND_MS then
      local grows = began and began <= ended and blind_ms - ended < K.BLIND_AGAIN_MS
      if grows then blind_ms = began end
      local gap, row = record_gap(source, blind_ms, now, why, daemon)
      if grows then
        redis.pcall('XDEL', K.GAPS, old_gap)
        redis.pcall('XDEL', K.EXECUTIONS, old_row)
      end
      redis.call('HSET', K.EVENTS, field, table.concat({ now, blind_ms, gap, row }, ' '))
      recorded = recorded + 1
    end
  end
  return recorded
end

return {
  serve = serve, server_id = server_id, before = before, parse_mark = parse_mark, write_mark = write_mark, alive = alive, covered = covered, record_gap = record_gap,
}
