-- Claims a batch of events and runs the sprocs bound to their source in one atomic step, without holes and never twice.
local BATCH_BYTES = 2 * 1024 * 1024 -- of values; what is beyond is left to the next dispatch
local RUNS_BUDGET = 1000 -- runs below one original event, on average of those that ran together
local ORIGIN_TTL_MS = 60000
local TRIM_EVERY, untrimmed = 20, 0 -- records; what is trimmed at last are whole nodes of the stream
-- Reading the clock takes as long as a small command. In a long stretch of short runs it is read once for a few of them, and each
-- is put down with their mean.
local CLOCK_STRETCH, CLOCK_RUNS, CLOCK_SHORT_US = 16, 8, 100

-- Takes a text: one number for all, or a list of them. Returns the number, or the list.
local function listed(text)
  local one = tonumber(text)
  if one then return one end
  local numbers = {}
  for word in text:gmatch('%d+') do numbers[#numbers + 1] = tonumber(word) end
  return nil, numbers
end

-- Places as text, `1 3`, as a set.
local function places_of(text)
  local one = tonumber(text)
  if one then return { [one] = true } end
  local places = {}
  for place in text:gmatch('%d+') do places[tonumber(place)] = true end
  return places
end

-- Takes args, and a place in them: number of names, names, number of routes, and for each: depth, roots, origin, state (`deep`, `poison`,
-- `timeout 2` for the second name alone, or empty), picks (`1 3`, places of names); then the events' counts (the first one's, where they
-- follow each other, else all) and routes (one for all, or all); then each event's key and name.
-- Returns a batch: that, with room for what is known of each event that is run: its route, the place of its key, value, type and cut.
local function read_batch(args, at)
  local names, routes = {}, {}
  local many = tonumber(args[at])
  for i = 1, many do names[i] = args[at + i] end
  at = at + many + 1
  many = tonumber(args[at])
  at = at + 1
  for i = 1, many do
    local route = { depth = tonumber(args[at]), roots = tonumber(args[at + 1]), origin = args[at + 2], picks = places_of(args[at + 4]) }
    local state = args[at + 3]
    if state ~= '' then route.state, route.culprit = state:match('^(%a*) ?(%d*)$') end
    routes[i] = route
    at = at + 5
  end
  local first_count, counts = listed(args[at])
  local way, ways = listed(args[at + 1])
  return {
    args = args, names = names, routes = routes, events = at + 2, first_count = first_count, counts = counts, way = way, ways = ways,
    chosen = {}, places = {}, values = {}, kinds = {}, cuts = {},
  }
end

-- The count of a batch's `n`th event within its tick.
local function count_of(batch, n)
  return batch.counts and batch.counts[n] or batch.first_count + n - 1
end

-- Whether a route's sprocs want the value of a key.
local function wants_value(batch, route)
  for place in next, route.picks do
    local name = batch.names[place]
    local entry = entries[name] or load_entry(name)
    if entry.value ~= false then return true end
  end
  return false
end

-- Reads type and value of each event from the `first` on, before any sproc runs. Stops at enough bytes.
local function read_values(batch, first)
  local args, places, values, kinds, chosen = batch.args, batch.places, batch.values, batch.kinds, batch.chosen
  local bytes, n, pcall, type, get, events = 0, 0, pcall, type, redis.pcall, batch.events
  for i = 1, #batch.routes do batch.routes[i].wanted = wants_value(batch, batch.routes[i]) end
  local only = batch.way and batch.routes[batch.way]
  for i = first, (#args - events + 1) / 2 do
    local at = events + (i - 1) * 2
    local route = only or batch.routes[batch.ways[i]]
    local wanted, ok, value, kind, cut = route.wanted, nil, nil, 'string', nil
    if wanted and STRING_EVENTS[args[at + 1]] then value = get('GETRANGE', args[at], '0', VALUE_LIMIT_TEXT) end
    if type(value) ~= 'string' or #value == 0 or #value > VALUE_LIMIT_BYTES then -- not simply a string
      ok, value, kind, cut = pcall(read_value, args[at], wanted)
      if not ok then value, kind, cut = '', 'none', nil end
    end
    n = n + 1
    places[n], values[n], kinds[n], chosen[n] = at, value, kind, route
    if cut then batch.cuts[n] = cut end
    bytes = bytes + #value
    if bytes >= BATCH_BYTES then break end
  end
  batch.size = n
end

-- One entry of the Executions stream.
local function add_record(batch, name, fields)
  add_execution('MAXLEN', '~', batch.limit, '*',
    'sproc', name, 'trigger', fields.trigger or 'event', 'key', fields.key or '', 'event', fields.event or '', 'origin', fields.origin,
    'depth', fields.depth, 'status', fields.status, 'duration_us', 0, 'reply', '', 'error', fields.error,
    'commit', fields.commit or '', 'daemon', batch.daemon)
end

-- One record for a stretch of events that a sproc doesn't run for; counted in its stats.
local function record_skipped(batch, name, stretch, status, why)
  local place = batch.places[stretch[1]]
  local more = #stretch > 1 and (' (' .. #stretch .. ' events, this is the first)') or ''
  local route = stretch.route
  add_record(batch, name, {
    key = batch.args[place], event = batch.args[place + 1], origin = route.origin, depth = route.depth,
    status = status, error = why .. more,
  })
  local tally = new_tally()
  if status == 'skipped' then tally.skipped = #stretch else
    tally.errors, tally.last_error = #stretch, why
  end
  write_stats(name, tally)
end

-- Whether the runs below one origin are within their budget.
local function within_budget(route, runs)
  if route.depth <= 1 then return true end
  local key = ORIGIN .. route.origin
  local used = redis.call('INCRBY', key, runs)
  redis.call('PEXPIRE', key, ORIGIN_TTL_MS)
  return used <= RUNS_BUDGET * route.roots
end

-- Runs a sproc for each event of a stretch and counts the runs. Returns the reply or the error of each as text (a large one must not
-- wait here for the others), and its microseconds.
local function run_each(batch, entry, stretch, tally)
  local args, places, values, kinds = batch.args, batch.places, batch.values, batch.kinds
  local replies, problems, durations = {}, {}, {}
  local sproc, tame, any_cut = entry.sproc, entry.tame, next(batch.cuts) ~= nil
  local xpcall, type, rawget = xpcall, type, rawget
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
    if not ok or (type(reply) == 'table' and rawget(reply, 'err') ~= nil) then
      problems[n] = said(reply)
      count_error(tally, problems[n])
    elseif reply then
      replies[n] = readable(reply)
    end
  end
  return replies, problems, durations
end

-- Runs a sproc for a stretch of events between one begin and one end marker, then records each run.
local function run_stretch(batch, entry, stretch, tally)
  local args, places, route, name, sproc = batch.args, batch.places, stretch.route, entry.name, entry.sproc
  local roots = route.roots > 0 and route.roots or #stretch
  redis.call('PUBLISH', MARKERS, 'begin ' .. route.depth .. ' ' .. roots .. ' ' .. route.origin .. ' ' .. name)
  sproc.trigger, unmended = 'event', sproc
  core.origin, core.depth = route.origin, route.depth
  local replies, problems, durations = run_each(batch, entry, stretch, tally)
  mend()
  redis.call('PUBLISH', MARKERS, 'end')
  local commit, daemon, origin, depth = commit_of(entry), batch.daemon, route.origin, tostring(route.depth)
  local tostring = tostring
  local duration_us, duration -- as text: a number costs more to hand over
  for n = 1, #stretch do
    local place, problem = places[stretch[n]], problems[n]
    if durations[n] ~= duration_us then
      duration_us = durations[n]
      duration = tostring(duration_us)
    end
    add_execution('*',
      'sproc', name, 'trigger', 'event', 'key', args[place], 'event', args[place + 1], 'origin', origin, 'depth', depth,
      'status', problem and 'error' or 'ok', 'duration_us', duration, 'reply', replies[n] or '',
      'error', problem or '', 'commit', commit, 'daemon', daemon)
    if problem and entry.retried then
      local values = { batch.values[stretch[n]], args[place + 1], batch.kinds[stretch[n]] }
      retry_run(name, 'event', { args[place] }, values, origin, route.depth, problem)
    end
  end
  untrimmed = untrimmed + #stretch
  if untrimmed >= TRIM_EVERY then
    redis.call('XTRIM', EXECUTIONS, 'MAXLEN', '~', batch.limit)
    untrimmed = 0
  end
end

-- Puts an async sproc's run for each event of a stretch among the jobs.
local function enqueue_stretch(batch, name, stretch)
  local route = stretch.route
  for _, event in ipairs(stretch) do
    local place = batch.places[event]
    local values = { batch.values[event], batch.args[place + 1], batch.kinds[event] }
    enqueue_job(name, 'event', { batch.args[place] }, values, route.origin, route.depth)
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
    return 'skipped', 'the budget of ' .. RUNS_BUDGET .. ' runs for each original event is used up'
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
  else
    run_stretch(batch, entry, stretch, tally)
  end
end

-- Runs one sproc for its events of the batch, in their order; a new stretch begins where depth or origin change.
local function run_sproc(batch, place)
  local name = batch.names[place]
  local entry = entries[name] or load_entry(name)
  local paused = redis.pcall('SISMEMBER', PAUSED, name) == 1
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

-- Where the watermark is, if this batch may run behind it: all that its sender knows before it has run. Else nothing and a reply.
local function claim(args, mark)
  local source, tick = args[1], tonumber(args[5])
  local at_tick, at_count, at_ms = parse_mark(mark)
  if not at_tick then return nil, { 'unregistered' } end
  local prev_tick, prev_count, start_tick = tonumber(args[7]), tonumber(args[8]), tonumber(args[9])
  if before(at_tick, at_count, prev_tick, prev_count) then
    local first = prev_tick == start_tick and prev_count == 0
    if not first or start_tick <= at_tick or covered(source, start_tick - 1, args[2], args[4]) then
      return nil, { 'behind', at_tick, at_count }
    end
    record_gap(source, at_ms, args[10], 'no daemon listened', args[4])
    at_tick, at_count = prev_tick, prev_count
  end
  if tick < at_tick then at_count = math.huge end -- all of it has run
  if tick > at_tick then at_count = 0 end
  return at_count
end

-- FCALL <ns>luasprocs_dispatch 0 source epoch generation daemon tick tick_ms prev_tick prev_count start_tick start_ms <head> [key event ...]
-- The events are of one tick, in order; `prev` is the number of the event before them that is wanted, as the sender knows; `start` is
-- where the sender's numbering of the source begins. For <head> see read_batch.
-- Reply: `ran`, tick, count of the watermark, runs, microseconds; or with nothing done: `behind` tick count, `stale` generation,
-- `epoch`, `unregistered`.
serve[DISPATCH] = function(_, args)
  local mark = redis.call('HMGET', EVENTS, 'epoch', args[1], 'limit')
  if mark[1] ~= args[2] then return { 'epoch' } end
  local registered = redis.pcall('HGET', REVISION, 'generation')
  serve_generation(registered)
  if registered ~= args[3] then return { 'stale', type(registered) == 'string' and registered or '' } end
  local at_count, reply = claim(args, mark[2])
  if not at_count then return reply end
  local started_us = clock_us()
  local batch = read_batch(args, 11)
  local first, total = 1, (#args - batch.events + 1) / 2
  while first <= total and count_of(batch, first) <= at_count do first = first + 1 end
  if first > total then
    local tick, count = parse_mark(redis.call('HGET', EVENTS, args[1]))
    return { 'ran', tick, count, 0, 0 }
  end
  batch.daemon, batch.limit = args[4], mark[3] or EXECUTIONS_LIMIT
  read_values(batch, first)
  local tick, last = tonumber(args[5]), count_of(batch, first + batch.size - 1)
  local ok, problem = pcall(run_batch, batch)
  write_mark(args[1], tick, last, args[6])
  if not ok then
    put_back()
    pcall(add_record, batch, '', { key = args[1], origin = '', depth = 0, status = 'error', error = 'a batch broke off: ' .. said(problem) })
  end
  return { 'ran', tick, last, batch.size, clock_us() - started_us }
end

-- FCALL_RO <ns>luasprocs_bound 0: what a daemon needs to bind events to sprocs, at one moment.
-- Reply: generation, then for each source: source, names one a line; then an empty string, then for each name: name and its
-- event, key, reentrant, catchup, timeout as written, or empty; of sprocs without a trigger those that say a timeout.
serve[BOUND] = function()
  local registered = redis.pcall('HGET', REVISION, 'generation')
  local found = redis.pcall('HGETALL', TRIGGERS)
  local reply, names = { type(registered) == 'string' and registered or '' }, {}
  for i = 1, found.err and 0 or #found, 2 do
    reply[#reply + 1] = found[i]
    reply[#reply + 1] = found[i + 1]
    for name in found[i + 1]:gmatch('[^\n]+') do names[name] = true end
  end
  reply[#reply + 1] = ''
  for name in pairs(names) do
    local fields = redis.pcall('HMGET', NAME .. name, 'event', 'key', 'reentrant', 'catchup', 'timeout')
    reply[#reply + 1] = name
    for place = 1, 5 do reply[#reply + 1] = not fields.err and fields[place] or '' end
  end
  local listed = redis.pcall('LRANGE', LIST, 0, -1)
  for i = 1, listed.err and 0 or #listed do
    local timeout = not names[listed[i]] and redis.pcall('HGET', NAME .. listed[i], 'timeout')
    if type(timeout) == 'string' then
      for _, part in ipairs({ listed[i], '', '', '', '', timeout }) do reply[#reply + 1] = part end
    end
  end
  return reply
end

-- FCALL <ns>luasprocs_catchup 0 name daemon before cursor [key ...]: runs a sproc for keys that a scan found, event `catchup`, and keeps the
-- cursor; an empty one ends the scan. `before`: what the hash holds for the scan, as its last step left it.
-- Reply: how many ran, and what the hash holds now; -1 where the scan was ended or began again meanwhile.
serve[CATCHUP] = function(_, args)
  local name, daemon, cursor = args[1], args[2], args[4]
  if redis.call('HGET', CATCHUPS, name) ~= args[3] then return { -1, '' } end
  core.pin()
  local flat = { '1', name, '1', '1', '0', '-', '', '1', '1', '1' } -- as read_batch takes it
  for i = 5, #args do flat[#flat + 1], flat[#flat + 2] = args[i], 'catchup' end
  local batch = read_batch(flat, 1)
  batch.daemon, batch.limit = daemon, executions_limit()
  if #args > 4 then
    read_values(batch, 1)
    run_sproc(batch, 1)
  end
  local now = now_ms() .. ' ' .. cursor
  if cursor == '' then redis.call('HDEL', CATCHUPS, name) else redis.call('HSET', CATCHUPS, name, now) end
  return { batch.size or 0, now }
end
