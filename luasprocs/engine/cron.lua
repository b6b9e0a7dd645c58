-- Schedules: a sproc runs once for each of its times, however many daemons ask. Its mark (see marks.lua) is `ms schedule`: the last time (unix
-- ms) that has run or was given up, and the schedule that this holds for, as daemons write it. Who asks for a run says what it
-- knows the mark to be; another mark runs nothing. One with another schedule starts anew.
local core = ...
local guard = core.use 'guard'
local prelude, records, runs, jobs, marks = core.use 'prelude', core.use 'records', core.use 'runs', core.use 'jobs', core.use 'marks'
local clock_us, now_ms, writable, is_paused = prelude.clock_us, prelude.now_ms, prelude.writable, prelude.is_paused
local modes = {}

-- A scheduled time as the sproc gets it: unix seconds, with milliseconds only where there are any.
local function seconds_text(ms)
  if ms % 1000 == 0 then return tostring(ms / 1000) end
  return string.format('%d.%03d', math.floor(ms / 1000), ms % 1000)
end

-- Takes a mark. Returns its time and its schedule; nothing where there is none.
local function parse_held(held)
  if not held then return nil end
  local ms, schedule = held:match('^(%d+) (.*)$')
  return tonumber(ms), schedule
end

-- Whether this is the generation that a daemon has read; else the reply that says it isn't.
local function stale(generation)
  local registered = prelude.serve_generation()
  if registered ~= generation then return { 'stale', registered } end
end

-- Which of these names are paused, as a list of 1 and 0.
local function paused_of(names)
  local found = redis.pcall('SMISMEMBER', K.PAUSED, unpack(names))
  return found.err and {} or found
end

-- The key that counts down to the next time.
local function set_countdown(name, next_ms, now)
  if next_ms and next_ms > now then redis.call('SET', K.CRON_PREFIX .. name, seconds_text(next_ms), 'PXAT', string.format('%d', next_ms)) end
end

-- The record of a run, a timeout or a missed stretch, and its place in the stats.
local function record_tick(row, daemon)
  row.trigger, row.depth, row.daemon = 'cron', 1, daemon
  if row.status == 'missed' or not row.sproc or row.unstated then records.write(row) else records.record(row) end
  if row.status == 'missed' then
    local tally = records.new_tally()
    tally.skipped, tally.missed = row.missed, row.missed
    records.write_stats(row.sproc, tally)
  end
end

-- Begins schedules that have no mark, or another one (changed, resumed, from a clock that was wrong): no time before now is due.
-- Takes daemon, generation, [name schedule ...]. Reply: `ok`, ms, what is held now for each.
function modes.start(args)
  local daemon, generation = args[2], args[3]
  local refused = stale(generation)
  if refused then return refused end
  local now, reply = now_ms(), { 'ok' }
  reply[2] = now
  for i = 4, #args, 2 do
    local name, schedule = args[i], args[i + 1]
    local of, elsewhere = marks.of({ name })
    local held = of[1]
    local ms, held_schedule = parse_held(held)
    local wrong = ms and ms > now + K.CLOCK_BACK_MS
    if (held_schedule ~= schedule or wrong) and not elsewhere[1] and not is_paused(name) then
      if wrong then
        local why = 'the clock was set back: the last run was scheduled for ' .. seconds_text(ms)
        record_tick({ sproc = name, origin = seconds_text(ms), status = 'skipped', error = why, unstated = true }, daemon)
      end
      held = string.format('%d %s', wrong and now or math.max(now, ms or 0), schedule)
      marks.set({ name, held })
    end
    reply[#reply + 1] = held or ''
  end
  return reply
end

-- Sets the keys that count down, and compiles what will run. Takes daemon, generation, [name held next_ms ...]. Reply: `ok`.
function modes.show(args)
  local refused = stale(args[3])
  if refused then return refused end
  local now = now_ms()
  for i = 4, #args, 3 do
    local name, held, next_ms = args[i], args[i + 1], tonumber(args[i + 2])
    if not core.entries[name] then core.load_entry(name) end
    if is_paused(name) then
      redis.call('DEL', K.CRON_PREFIX .. name)
    elseif marks.of({ name })[1] == held then
      set_countdown(name, next_ms, now)
    end
  end
  return { 'ok' }
end

-- Runs one sproc for a scheduled time. Returns what is to be recorded.
local function run_tick(name, entry, ms)
  local scheduled = seconds_text(ms)
  if entry.refused then return { sproc = name, origin = scheduled, status = 'error', error = entry.refused, ran = true } end
  local args = { scheduled, 'cron' }
  local row = runs.once(entry, {}, args, 'cron', '-', 1)
  row.sproc, row.origin, row.depth, row.commit = name, scheduled, 1, runs.commit_of(entry)
  if row.error and entry.retried then jobs.retry_run(name, 'cron', {}, args, row, row.error) end
  return row
end

-- Does one item of a batch whose claim holds. Adds what is to be recorded to `rows`. Returns the microseconds of its run.
local function do_item(item, rows)
  local name, at = item.name, item.at
  if item.missed ~= '' then
    local number, bounds, why = item.missed:match('^(%d+) (%S+) (.*)$')
    rows[#rows + 1] = { sproc = name, origin = bounds, status = 'missed', missed = tonumber(number), error = why }
  end
  if item.verdict == 'missed' then return 0 end
  if item.verdict == 'timeout' then
    rows[#rows + 1] = { sproc = name, origin = seconds_text(at), status = 'timeout', error = 'it ran past its timeout and was stopped' }
    return 0
  end
  local entry = core.entries[name] or core.load_entry(name)
  if entry.is_async then
    local scheduled = seconds_text(at)
    -- The origin has a budget of what it may cause: two schedules of one second don't share it.
    jobs.enqueue(name, 'cron', {}, { scheduled, 'cron' }, scheduled .. '-' .. redis.sha1hex(name):sub(1, 8), 1)
    return 0
  end
  local row = run_tick(name, entry, at)
  rows[#rows + 1] = row
  return row.duration_us or 0
end

-- Writes records now, or keeps them for calls to come, so that the runs of many schedules don't wait for the records of those before them.
local function keep_rows(rows, daemon, later)
  if not later then
    for _, row in ipairs(rows) do record_tick(row, daemon) end
    return
  end
  for first = 1, #rows, K.RECORDS_PART do
    local part = { daemon = daemon, rows = { unpack(rows, first, math.min(#rows, first + K.RECORDS_PART - 1)) } }
    redis.call('RPUSH', K.UNRECORDED, prelude.json().encode(part))
  end
end

-- What `run` takes for each time, in this order, behind daemon, generation and `later`.
local ITEM = { 'name', 'held', 'at', 'next', 'missed', 'verdict' }

-- Those items, with the mark of each and whether it is paused.
local function items_of(args)
  local items, names = {}, {}
  for first = 5, #args, #ITEM do
    local item = {}
    for place, word in ipairs(ITEM) do item[word] = args[first + place - 1] end
    item.next_ms, item.at_text, item.at = tonumber(item.next), item.at, tonumber(item.at)
    items[#items + 1], names[#names + 1] = item, item.name
  end
  if #names == 0 then return items end
  local held, paused = marks.of(names), paused_of(names)
  for n, item in ipairs(items) do
    item.is_held, item.is_paused = held[n] or nil, paused[n] == 1
  end
  return items
end

-- Why a time does not run now: the answer for its daemon. Nothing when it runs.
local function unable(item, now, spent_us)
  if item.is_held ~= item.held then return 'held ' .. (item.is_held or '') end
  if item.is_paused then return 'paused' end
  if item.is_full then return 'later' end
  if item.at > now + K.AHEAD_MS then return 'early' end
  if spent_us > K.HOLD_US then return 'later' end
end

-- Runs what can run. `reached` gets the marks from now on; `shown`: countdowns, as far as no record that comes later brings them.
local function run_items(items, answers, rows, reached, shown, now, later)
  local started_us = clock_us()
  local at_us = started_us
  for n, item in ipairs(items) do
    local answer = unable(item, now, at_us - started_us)
    if not answer then
      -- `held` with another time: what stands behind its first blank is the schedule.
      reached[#reached + 1], reached[#reached + 2] = item.name, item.at_text .. item.held:sub((item.held:find(' ', 1, true)))
      local known = #rows
      answer = do_item(item, rows)
      at_us = clock_us()
      if later and #rows > known then
        rows[#rows].next_ms = item.next_ms
      else
        shown[#shown + 1] = item
      end
    end
    answers[n + 2] = answer
  end
end

-- Claims and runs scheduled times in one step. Takes daemon, generation, later, and for each time (see ITEM): `held`, what the daemon knows of
-- the mark; `at`, the time, ms; `next`, the one after it, ms, or empty; `missed`, `number from-to why` of times before it that
-- are given up, or empty; `verdict`, empty, or what is recorded instead of a run: `timeout` (the last try was stopped), `missed` (this one
-- is given up as well, and counted in `missed`). `later` 1: the records are left to `record`.
-- Reply: `ok`, ms, then for each: microseconds of its run, or why it did not run: `held ...`, `paused`, `early`, `later` (the call took too long).
function modes.run(args)
  local daemon, generation, later = args[2], args[3], args[4] == '1'
  local refused = stale(generation)
  if refused then return refused end
  local now, reply = now_ms(), { 'ok' }
  reply[2] = now
  local items, rows, reached, shown = items_of(args), {}, {}, {}
  local full = K.FULL and core.use('room').refuse_items(items)
  if full then return full end
  local ok, problem = pcall(run_items, items, reply, rows, reached, shown, now, later)
  -- Whatever happened: what has begun does not run again.
  marks.set(reached)
  for _, item in ipairs(shown) do set_countdown(item.name, item.next_ms, now) end
  if not ok then
    guard.put_back()
    rows[#rows + 1] = { origin = seconds_text(now), status = 'error', error = 'a batch broke off: ' .. runs.said(problem) }
    for n = #reply - 1, #items do reply[n + 2] = reply[n + 2] or 'later' end
  end
  keep_rows(rows, daemon, later)
  return reply
end

-- Writes records that `run` has left. Reply: how many parts are left.
function modes.record()
  local text = redis.call('LPOP', writable(K.UNRECORDED, 'list'))
  if not text then return 0 end
  local ok, part = pcall(prelude.json().decode, text)
  local now = now_ms()
  for _, row in ipairs(ok and part.rows or {}) do
    record_tick(row, part.daemon)
    if row.next_ms and not is_paused(row.sproc) then set_countdown(row.sproc, row.next_ms, now) end
  end
  return redis.call('LLEN', K.UNRECORDED)
end

local serve = {}

function serve.cron(_, args)
  local mode = modes[args[1]]
  if not mode then return redis.error_reply('ERR ' .. K.USAGE_CRON) end
  return mode(args)
end

return { serve = serve }
