-- Schedules: a sproc runs once for each of its times, however many daemons ask. SCHEDULED holds for each `ms schedule`: the last time (unix
-- ms) that has run or was given up, and the schedule that this holds for, as daemons write it. Who asks for a run says what it
-- knows to be held there; a field that is held otherwise runs nothing. A field with another schedule starts anew.
local AHEAD_MS = 1000 -- a time may lie so far ahead of this server's clock: daemons measure it, and it may be set
local CLOCK_BACK_MS = 600000 -- a last time beyond that comes from a clock that was wrong: it starts anew
local HOLD_US = 12000 -- so long after a call's begin it starts no more runs
local RECORDS_PART = 50 -- records that one call writes behind others

-- A scheduled time as the sproc gets it: unix seconds, with milliseconds only where there are any.
local function seconds_text(ms)
  if ms % 1000 == 0 then return tostring(ms / 1000) end
  return string.format('%d.%03d', math.floor(ms / 1000), ms % 1000)
end

-- Takes a field of SCHEDULED. Returns its time and its schedule; nothing where there is none.
local function parse_held(held)
  if not held then return nil end
  local ms, schedule = held:match('^(%d+) (.*)$')
  return tonumber(ms), schedule
end

-- Whether this is the generation that a daemon has read; else the reply that says it isn't.
local function stale(generation)
  local registered = redis.pcall('HGET', REVISION, 'generation')
  serve_generation(registered)
  if registered ~= generation then return { 'stale', type(registered) == 'string' and registered or '' } end
end

-- Which of these names are paused, as a list of 1 and 0.
local function paused_of(names)
  local found = redis.pcall('SMISMEMBER', PAUSED, unpack(names))
  return found.err and {} or found
end

-- The key that counts down to the next time.
local function set_countdown(name, next_ms, now)
  if next_ms and next_ms > now then redis.call('SET', CRON_KEY .. name, seconds_text(next_ms), 'PXAT', string.format('%d', next_ms)) end
end

-- One entry in the Executions stream.
local function add_tick(row, daemon)
  add_execution('MAXLEN', '~', executions_limit(), '*',
    'sproc', row.name, 'trigger', 'cron', 'key', '', 'event', '', 'origin', row.origin, 'depth', 1,
    'status', row.status, 'duration_us', row.duration_us or 0, 'reply', row.reply or '', 'error', row.error or '',
    'commit', row.commit or '', 'daemon', daemon)
end

-- Writes what a run, a timeout or a missed stretch leaves: record and stats.
local function record_tick(row, daemon)
  add_tick(row, daemon)
  if row.name == '' then return end
  local tally = new_tally()
  if row.status == 'missed' then
    tally.skipped = row.missed
    redis.call('HINCRBY', writable(STATS .. row.name, 'hash'), 'missed', row.missed)
  elseif row.ran then
    count(tally, 1, row.duration_us)
  end
  if row.error and row.status ~= 'missed' then count_error(tally, row.error) end
  write_stats(row.name, tally)
end

-- FCALL <ns>luasprocs_schedules 0: the schedules, at one moment.
-- Reply: generation, ms, then for each: name, cron, every, timezone, misfire (as written, or empty), 1 if it is paused, and what SCHEDULED holds.
serve[SCHEDULES] = function()
  local registered = redis.pcall('HGET', REVISION, 'generation')
  local reply = { type(registered) == 'string' and registered or '', now_ms() }
  local names = redis.pcall('LRANGE', LIST, 0, -1)
  for i = 1, names.err and 0 or #names do
    local name = names[i]
    local found = redis.pcall('HMGET', NAME .. name, 'cron', 'every', 'timezone', 'misfire', 'enabled')
    if not found.err and (found[1] or found[2]) and not is(found[5], 'no') then
      local held = redis.pcall('HGET', SCHEDULED, name)
      local paused = redis.pcall('SISMEMBER', PAUSED, name) == 1
      for _, part in ipairs({ name, found[1] or '', found[2] or '', found[3] or '', found[4] or '', paused and '1' or '', type(held) == 'string' and held or '' }) do
        reply[#reply + 1] = part
      end
    end
  end
  return reply
end

-- cron 0 start daemon generation [name schedule ...]: begins schedules that SCHEDULED has not, or has otherwise (changed, resumed, from a clock that was
-- wrong): no time before now is due. Reply: `ok`, ms, what is held now for each.
local function start(args)
  local refused = stale(args[3])
  if refused then return refused end
  local now, reply = now_ms(), { 'ok' }
  reply[2] = now
  writable(SCHEDULED, 'hash')
  for i = 4, #args, 2 do
    local name, schedule = args[i], args[i + 1]
    local held = redis.call('HGET', SCHEDULED, name)
    local paused = redis.pcall('SISMEMBER', PAUSED, name) == 1
    local ms, held_schedule = parse_held(held)
    local wrong = ms and ms > now + CLOCK_BACK_MS
    if (held_schedule ~= schedule or wrong) and not paused then
      if wrong then
        local why = "the clock was set back: the last run was scheduled for " .. seconds_text(ms)
        add_tick({ name = name, origin = seconds_text(ms), status = 'skipped', error = why }, args[2])
      end
      held = string.format('%d %s', wrong and now or math.max(now, ms or 0), schedule)
      redis.call('HSET', SCHEDULED, name, held)
    end
    reply[#reply + 1] = held or ''
  end
  return reply
end

-- cron 0 show daemon generation [name held next_ms ...]: sets the keys that count down, and compiles what will run. Reply: `ok`.
local function show(args)
  local refused = stale(args[3])
  if refused then return refused end
  local now = now_ms()
  for i = 4, #args, 3 do
    local name = args[i]
    if not entries[name] then load_entry(name) end
    if redis.pcall('SISMEMBER', PAUSED, name) == 1 then
      redis.call('DEL', CRON_KEY .. name)
    elseif redis.pcall('HGET', SCHEDULED, name) == args[i + 1] then
      set_countdown(name, tonumber(args[i + 2]), now)
    end
  end
  return { 'ok' }
end

-- Runs one sproc for a scheduled time that began at `at_us`. Returns what is to be recorded, and when it ended.
local function run_tick(name, entry, ms, at_us)
  local scheduled = seconds_text(ms)
  local row = { name = name, origin = scheduled, status = 'error', ran = true, duration_us = 0 }
  if entry.refused then
    row.error = entry.refused
    return row, at_us
  end
  row.commit = commit_of(entry)
  entry.sproc.trigger, unmended = 'cron', entry.sproc
  core.origin, core.depth = '-', 1
  local args, ok, reply = { scheduled, 'cron' }, nil, nil
  if core.triggers then
    ok, reply = run_marked(entry, {}, args, 'begin 1 1 - ' .. name)
  else
    running, running_keys, running_args = entry, {}, args
    ok, reply = xpcall(run_handed, explain)
  end
  local now_us = clock_us()
  row.duration_us = math.max(0, now_us - at_us)
  mend()
  if not entry.tame then put_back() end
  if not ok or (type(reply) == 'table' and rawget(reply, 'err') ~= nil) then
    row.error = said(reply)
    if entry.retried then retry_run(name, 'cron', {}, args, scheduled, 1, row.error) end
  else
    row.status, row.reply = 'ok', readable(reply)
  end
  return row, now_us
end

-- Does one item of a batch whose claim holds, from `at_us` on. Adds what is to be recorded to `rows`. Returns microseconds, and when it ended.
local function do_item(item, rows, at_us)
  local name, at = item.name, item.at
  if item.missed ~= '' then
    local number, bounds, why = item.missed:match('^(%d+) (%S+) (.*)$')
    rows[#rows + 1] = { name = name, origin = bounds, status = 'missed', missed = tonumber(number), error = why }
  end
  if item.verdict == 'missed' then return 0, at_us end
  if item.verdict == 'timeout' then
    rows[#rows + 1] = { name = name, origin = seconds_text(at), status = 'timeout', error = 'it ran past its timeout and was stopped' }
    return 0, at_us
  end
  local entry = entries[name] or load_entry(name)
  if entry.is_async then
    local scheduled = seconds_text(at)
    -- The origin has a budget of what it may cause: two schedules of one second don't share it.
    enqueue_job(name, 'cron', {}, { scheduled, 'cron' }, scheduled .. '-' .. redis.sha1hex(name):sub(1, 8), 1)
    return 0, clock_us()
  end
  local row, now_us = run_tick(name, entry, at, at_us)
  rows[#rows + 1] = row
  return row.duration_us, now_us
end

-- Writes records now, or keeps them for calls to come, so that the runs of many schedules don't wait for the records of those before them.
local function keep_rows(rows, daemon, later)
  if not later then
    for _, row in ipairs(rows) do record_tick(row, daemon) end
    return
  end
  for first = 1, #rows, RECORDS_PART do
    local part = { daemon = daemon, rows = { unpack(rows, first, math.min(#rows, first + RECORDS_PART - 1)) } }
    redis.call('RPUSH', UNRECORDED, json().encode(part))
  end
end

-- cron 0 run daemon generation later [name held at next missed verdict ...]: claims and runs scheduled times in one step. `held`: what the daemon knows of
-- SCHEDULED; `at`: the time, ms; `next`: the one after it, ms, or empty; `missed`: `number from-to why` of times before it that
-- are given up, or empty; `verdict`: empty, or what is recorded instead of a run: `timeout` (the last try was stopped), `missed` (this one is
-- given up as well, and counted in `missed`). `later` 1: the records are left to `record`.
-- Reply: `ok`, ms, then for each: microseconds of its run, or why it did not run: `held ...`, `paused`, `early`, `later` (the call took too long).
local function run(args)
  local refused = stale(args[3])
  if refused then return refused end
  local started_us, now, reply = clock_us(), now_ms(), { 'ok' }
  reply[2] = now
  local names = {}
  for i = 5, #args, 6 do names[#names + 1] = args[i] end
  if #names == 0 then return reply end
  local held = redis.pcall('HMGET', SCHEDULED, unpack(names))
  if held.err then held = {} end
  local paused = paused_of(names)
  local rows, marks, shown, at_us, later = {}, {}, {}, started_us, args[4] == '1'
  local ok, problem = pcall(function()
    for n = 1, #names do
      local place = 5 + (n - 1) * 6
      local item = { name = names[n], at = tonumber(args[place + 2]), missed = args[place + 4], verdict = args[place + 5] }
      local answer
      if held[n] ~= args[place + 1] then
        answer = 'held ' .. (held[n] or '')
      elseif paused[n] == 1 then
        answer = 'paused'
      elseif item.at > now + AHEAD_MS then
        answer = 'early'
      elseif at_us - started_us > HOLD_US then
        answer = 'later'
      else
        -- `held` with another time: what stands behind its first blank is the schedule.
        marks[#marks + 1], marks[#marks + 2] = item.name, args[place + 2] .. held[n]:sub((held[n]:find(' ', 1, true)))
        local known, next_ms = #rows, tonumber(args[place + 3])
        answer, at_us = do_item(item, rows, at_us)
        -- The countdown can wait for the record.
        if later and #rows > known then rows[#rows].next_ms = next_ms else shown[#shown + 1], shown[#shown + 2] = item.name, next_ms or false end
      end
      reply[n + 2] = answer
    end
  end)
  -- Whatever happened: what has begun does not run again.
  for first = 1, #marks, 1000 do redis.call('HSET', SCHEDULED, unpack(marks, first, math.min(#marks, first + 999))) end
  for i = 1, #shown, 2 do set_countdown(shown[i], shown[i + 1], now) end
  if not ok then
    put_back()
    rows[#rows + 1] = { name = '', origin = seconds_text(now), status = 'error', error = 'a batch broke off: ' .. said(problem) }
    for n = #reply - 1, #names do reply[n + 2] = reply[n + 2] or 'later' end
  end
  keep_rows(rows, args[2], later)
  return reply
end

-- cron 0 record: writes records that `run` has left. Reply: how many parts are left.
local function record()
  local text = redis.call('LPOP', writable(UNRECORDED, 'list'))
  if not text then return 0 end
  local ok, part = pcall(json().decode, text)
  local now = now_ms()
  for _, row in ipairs(ok and part.rows or {}) do
    record_tick(row, part.daemon)
    if row.next_ms and redis.pcall('SISMEMBER', PAUSED, row.name) ~= 1 then set_countdown(row.name, row.next_ms, now) end
  end
  return redis.call('LLEN', UNRECORDED)
end

local MODES = { start = start, show = show, run = run, record = record }

-- FCALL <ns>luasprocs_cron 0 mode ...: see the modes.
serve[CRON] = function(_, args)
  local serve_mode = MODES[args[1]]
  if not serve_mode then return redis.error_reply('ERR FCALL ' .. CRON .. ' 0 start|show|run|record ...') end
  return serve_mode(args)
end

return serve
