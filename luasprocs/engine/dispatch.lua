-- Claims a batch of events and runs the sprocs bound to their source in one atomic step, without holes and never twice.
local core = ...
local entries, load_entry, explain, put_back = core.entries, core.load_entry, core.use 'guard'.explain, core.use 'guard'.put_back
local prelude, records, runs = core.use 'prelude', core.use 'records', core.use 'runs'
local ticks, batches, jobs = core.use 'ticks', core.use 'batch', core.use 'jobs'
local clock_us, readable, said, failed = prelude.clock_us, core.use('readable').readable, runs.said, runs.failed
local count, count_ok, count_error = records.count, records.count_ok, records.count_error
local new_tally, write_stats = records.new_tally, records.write_stats
local floor, tostring = math.floor, tostring
local serve = {}
-- Reading the clock takes as long as a small command. In a long stretch of short runs it is read once for a few of them, and each
-- is put down with their mean.
local CLOCK_STRETCH, CLOCK_RUNS, CLOCK_SHORT_US = 16, 8, 100

-- One record for a stretch of events that a sproc doesn't run for; counted in its stats.
local function record_skipped(batch, name, stretch, status, why)
  local place, route = batch.places[stretch[1]], stretch.route
  local key, event = batch.args[place], batch.args[place + 1]
  local more = #stretch > 1 and (' (' .. #stretch .. ' events, this is the first)') or ''
  records.write({
    sproc = name, trigger = 'event', key = key, event = event, origin = route.origin, depth = route.depth,
    status = status, error = why .. more, daemon = batch.daemon,
  })
  local tally = new_tally()
  if status == 'skipped' then
    tally.skipped = #stretch
  else
    count_error(tally, why, #stretch, status)
  end
  write_stats(name, tally)
end

-- Whether the runs below one origin are within their budget.
local function within_budget(route, runs)
  if route.depth <= 1 then return true end
  local key = K.ORIGIN_PREFIX .. route.origin
  local used = redis.call('INCRBY', key, runs)
  redis.call('PEXPIRE', key, K.ORIGIN_TTL_MS)
  return used <= K.RUNS_BUDGET * route.roots
end

-- The name of the chain that a stretch belongs to: that of what caused its events, or a new one for events that began with a client.
local function chain_of(route)
  return route.origin ~= '-' and route.origin or prelude.new_id()
end

-- xpcall passes no arguments in Lua 5.1: they are handed over here, and no closure is made on each run.
local running, running_keys, running_args
local function run_handed()
  return running.run(running_keys, running_args)
end

-- Runs a sproc for each event of a stretch and counts the runs. Returns the reply or the error of each as text (a large one must not
-- wait here for the others), and its microseconds.
local function run_each(batch, entry, stretch, tally)
  local args, places, values, kinds = batch.args, batch.places, batch.values, batch.kinds
  local replies, problems, durations = {}, {}, {}
  local sproc, tame, any_cut, keeps_replies = entry.sproc, entry.tame, next(batch.cuts) ~= nil, not entry.record
  local xpcall, type = xpcall, type
  local together, unclocked = #stretch >= CLOCK_STRETCH and CLOCK_RUNS or 1, 0
  running = entry
  local at_us = clock_us()
  for n = 1, #stretch do
    local event = stretch[n]
    local place = places[event]
    if any_cut then sproc.cut = batch.cuts[event] end
    running_keys, running_args = { args[place] }, { values[event], args[place + 1], kinds[event] }
    local ok, reply = xpcall(run_handed, explain)
    if not tame then put_back() end
    unclocked = unclocked + 1
    if unclocked >= together or n == #stretch then
      local now_us = clock_us()
      local mean_us = now_us > at_us and floor((now_us - at_us) / unclocked) or 0
      for i = n - unclocked + 1, n do durations[i] = mean_us end
      count(tally, unclocked, mean_us)
      if mean_us > CLOCK_SHORT_US then together = 1 end
      at_us, unclocked = now_us, 0
    end
    if not ok or (type(reply) == 'table' and failed(ok, reply)) then
      problems[n] = said(reply)
      count_error(tally, problems[n], 1, 'error')
    else
      if tally.last_status ~= 'ok' then count_ok(tally) end
      if reply and keeps_replies then replies[n] = readable(reply) end
    end
  end
  return replies, problems, durations
end

-- Runs a sproc for a stretch of events between one begin and one end marker, then records each run that its header wants recorded.
local function run_stretch(batch, entry, stretch, tally)
  local args, places, route, name = batch.args, batch.places, stretch.route, entry.name
  local origin = chain_of(route)
  local roots = route.roots > 0 and route.roots or #stretch
  redis.call('PUBLISH', K.MARKERS, core.proof .. runs.begin_marker(route.depth, roots, origin, name))
  -- What it enqueues begins a chain of its own: one job for each event would be too much for one budget.
  runs.tell(entry, 'event', route.origin, route.depth)
  local replies, problems, durations = run_each(batch, entry, stretch, tally)
  runs.mend()
  redis.call('PUBLISH', K.MARKERS, core.proof .. 'end')
  if entry.record and not next(problems) then return end
  -- Numbers as text: a number costs more to hand over.
  local row = {
    sproc = name, trigger = 'event', origin = origin, depth = tostring(route.depth), commit = runs.commit_of(entry), daemon = batch.daemon,
  }
  local write, record, duration_us, duration = records.series(row), entry.record, nil, nil
  for n = 1, #stretch do
    local place, problem = places[stretch[n]], problems[n]
    local key, event = args[place], args[place + 1]
    if durations[n] ~= duration_us then
      duration_us = durations[n]
      duration = tostring(duration_us)
    end
    if not record or (record == 'errors' and problem) then write(key, event, problem and 'error' or 'ok', duration, replies[n], problem) end
    if problem and entry.retried then
      jobs.retry_run(name, 'event', { key }, { batch.values[stretch[n]], event, batch.kinds[stretch[n]] }, route, problem)
    end
  end
end

-- Puts an async sproc's run for each event of a stretch among the jobs.
local function enqueue_stretch(batch, name, stretch)
  local route = stretch.route
  for _, n in ipairs(stretch) do
    local place = batch.places[n]
    local key, event = batch.args[place], batch.args[place + 1]
    jobs.enqueue(name, 'event', { key }, { batch.values[n], event, batch.kinds[n] }, chain_of(route), route.depth)
  end
end

-- Why a sproc doesn't run for a stretch: status and text; nothing when it runs.
local function refused(place, name, entry, stretch, paused)
  local route = stretch.route
  if entry.refused and not entry.is_async then return 'error', entry.refused end
  local state, meant = route.state, route.culprit == '' or tonumber(route.culprit) == place
  if state == 'deep' then return 'skipped', 'the chain of causes ends at depth ' .. (route.depth - 1) end
  if state == 'poison' and meant then return 'error', 'poison: two dispatches of this event failed' end
  if state == 'timeout' and meant then return 'timeout', 'it ran past its timeout and was stopped' end
  if paused then return 'skipped', 'paused: luasprocs resume ' .. name end
  if not within_budget(route, #stretch) then
    return 'skipped', 'the limit of ' .. K.RUNS_BUDGET .. ' runs per original event is reached'
  end
end

-- A stretch that a full server has no room for, beside one that it has: each event is an error, and tried again if the header says so.
local function leave_stretch(batch, name, entry, stretch)
  record_skipped(batch, name, stretch, 'error', batch.full)
  if not entry.retried then return end
  local route = stretch.route
  for _, n in ipairs(stretch) do
    local key, event = batch.args[batch.places[n]], batch.args[batch.places[n] + 1]
    jobs.retry_run(name, 'event', { key }, { batch.values[n], event, batch.kinds[n] }, route, batch.full)
  end
end

-- What becomes of a stretch: it is run, enqueued, or recorded as what did not run.
local function do_stretch(batch, place, entry, stretch, paused, tally)
  local name = batch.names[place]
  local status, why = refused(place, name, entry, stretch, paused)
  if status then
    record_skipped(batch, name, stretch, status, why)
  elseif entry.is_async then
    enqueue_stretch(batch, name, stretch)
  elseif batch.full and entry.asks then
    leave_stretch(batch, name, entry, stretch)
  else
    run_stretch(batch, entry, stretch, tally)
  end
end

-- Runs one sproc for its events of the batch, in their order; a new stretch begins where depth or origin change.
local function run_sproc(batch, place)
  local name = batch.names[place]
  local entry = entries[name] or load_entry(name)
  local paused = prelude.is_paused(name)
  local tally, stretch = new_tally(), nil
  local chosen, kinds, types = batch.chosen, batch.kinds, entry.types
  for n = 1, batch.size do
    local route = chosen[n]
    if route.picks[place] and (not types or types[kinds[n]]) then
      if stretch and route == stretch.route then
        stretch[#stretch + 1] = n
      else
        if stretch then do_stretch(batch, place, entry, stretch, paused, tally) end
        stretch = { n, route = route }
      end
    end
  end
  if stretch then do_stretch(batch, place, entry, stretch, paused, tally) end
  if tally.runs > 0 then write_stats(name, tally) end
end

-- All sprocs of a batch.
local function run_batch(batch)
  for place = 1, #batch.names do run_sproc(batch, place) end
end

-- Where the watermark is, if a batch may run behind it: all that its sender knows before it has run. Else nothing and a reply.
-- `sent`: the sender's arguments by name.
local function claim(sent, mark)
  local at_tick, at_count, at_ms = ticks.parse_mark(mark)
  if not at_tick then return nil, { 'unregistered' } end
  if ticks.before(at_tick, at_count, sent.prev_tick, sent.prev_count) then
    local first = sent.prev_tick == sent.start_tick and sent.prev_count == 0
    if not first or sent.start_tick <= at_tick or ticks.covered(sent.source, sent.start_tick - 1, sent.epoch, sent.daemon) then
      return nil, { 'behind', at_tick, at_count }
    end
    ticks.record_gap(sent.source, at_ms, sent.start_ms, 'no daemon listened', sent.daemon)
    at_tick, at_count = sent.prev_tick, sent.prev_count
  end
  if sent.tick < at_tick then at_count = math.huge end -- all of it has run
  if sent.tick > at_tick then at_count = 0 end
  return at_count
end

-- Runs a batch, whatever breaks it off, and moves the watermark.
local function run_claimed(batch, sent)
  local last = batches.count_of(batch, batch.first + batch.size - 1)
  local ok, problem = pcall(run_batch, batch)
  ticks.write_mark(sent.source, sent.tick, last, sent.tick_ms)
  if not ok then
    put_back()
    local error = 'a batch broke off: ' .. said(problem)
    pcall(records.write, { trigger = 'event', key = sent.source, status = 'error', error = error, daemon = sent.daemon })
  end
  return last
end

function serve.dispatch(_, args)
  local source, epoch, generation, daemon, tick, tick_ms, prev_tick, prev_count, start_tick, start_ms = unpack(args, 1, 10)
  local marks = redis.call('HMGET', K.EVENTS, 'epoch', source)
  if marks[1] ~= epoch then return { 'epoch' } end
  local registered = prelude.serve_generation()
  if registered ~= generation then return { 'stale', registered } end
  local sent = {
    source = source, epoch = epoch, daemon = daemon, tick = tonumber(tick), tick_ms = tick_ms, prev_tick = tonumber(prev_tick),
    prev_count = tonumber(prev_count), start_tick = tonumber(start_tick), start_ms = start_ms,
  }
  local at_count, reply = claim(sent, marks[2])
  if not at_count then return reply end
  local started_us = clock_us()
  local batch = batches.read(args, 11)
  local first = 1
  while first <= batch.total and batches.count_of(batch, first) <= at_count do first = first + 1 end
  if first > batch.total then
    local mark_tick, mark_count = ticks.parse_mark(redis.call('HGET', K.EVENTS, source))
    return { 'ran', mark_tick, mark_count, 0, 0 }
  end
  batch.daemon, batch.first = daemon, first
  local full = K.FULL and core.use('room').refuse_batch(batch)
  if full then return full end
  local moved = K.TAG ~= '' and core.use 'moved'
  if moved then moved.touch(batch.names) end
  batches.read_values(batch, first)
  if moved then moved.send_on(batch) end
  local last = run_claimed(batch, sent)
  return { 'ran', sent.tick, last, batch.size, clock_us() - started_us }
end

function serve.catchup(_, args)
  local name, daemon, before, cursor = args[1], args[2], args[3], args[4]
  if redis.call('HGET', K.CATCHUPS, name) ~= before then return { -1, '' } end
  core.use 'pin'()
  local flat = { '1', name, '1', '1', '0', '-', '', '1', '1', '1' } -- one name, one route, as batch.lua reads it
  for i = 5, #args do flat[#flat + 1], flat[#flat + 2] = args[i], 'catchup' end
  local batch = batches.read(flat, 1)
  batch.daemon = daemon
  local full = K.FULL and core.use('room').refuse_batch(batch)
  if full then return full end
  local moved = K.TAG ~= '' and core.use 'moved'
  if batch.total > 0 then
    if moved then moved.touch(batch.names) end
    batches.read_values(batch, 1)
    if moved then moved.send_on(batch) end
    run_sproc(batch, 1)
  end
  local now = prelude.now_ms() .. ' ' .. cursor
  if cursor == '' then redis.call('HDEL', K.CATCHUPS, name) else redis.call('HSET', K.CATCHUPS, name, now) end
  return { batch.size or 0, now }
end

return { serve = serve, run_batch = run_batch }
