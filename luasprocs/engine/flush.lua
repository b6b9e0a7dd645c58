-- Direct calls, and those that raised, are counted in their sprocs' entries; this writes what they count. Of those between two flushes a few are timed:
-- reading the clock takes as long as a small command.
local core = ...
local minutes, clock_us, direct = core.use 'minutes', core.use 'clock', core.direct
local serve = {}
local SAMPLES = 4

-- The next direct calls of an entry are timed: what runs them stands in for what does otherwise.
local function time_next(name, entry)
  local run = entry.direct
  if direct[name] ~= run then return end
  local timed
  timed = entry.timed or function(keys, args, named)
    direct[name] = run -- it may raise, and what it writes may be a flush
    local began_us = clock_us()
    local reply = run(keys, args, named)
    local passed_us, samples = clock_us() - began_us, (entry.samples or 0) + 1
    entry.samples, entry.sampled_us = samples, (entry.sampled_us or 0) + (passed_us > 0 and passed_us or 0)
    if samples < SAMPLES and core.entries[name] == entry and direct[name] == run then direct[name] = timed end
    return reply
  end
  entry.timed, direct[name] = timed, timed
end

-- Before the calls of an entry are added to its stats: ends the minute of these, if it is over. Returns whether that was done; a caller may have no
-- right to it, and leaves it to the next flush.
local function turn_minute(name, entry, minute)
  if minute and entry.minute == minute then return true end
  local stats = K.STATS_PREFIX .. name
  if not minute or not redis.acl_check_cmd('HMGET', stats, 'minute') or not redis.acl_check_cmd('HSET', stats, 'minute', minute) then return false end
  local begun = minutes.turn(stats, K.MINUTES_PREFIX .. name, minute, entry.late_runs or 0, entry.late_errors or 0)
  if not begun or type(redis.pcall('HSET', stats, 'minute', begun)) ~= 'number' then return false end
  entry.minute, entry.late_runs, entry.late_errors = minute, nil, nil
  return true
end

-- Adds a number to a field of a sproc's stats. Returns what was added, which is nothing if that is forbidden.
local function add(name, field, number)
  return number > 0 and type(redis.pcall('HINCRBY', K.STATS_PREFIX .. name, field, number)) == 'number' and number or 0
end

local function write_entry(name, entry, minute)
  local calls, raised = K.FLUSH_EVERY - entry.left, entry.raised
  if calls <= 0 and raised <= 0 and not entry.late_runs then return 0 end
  local turned = turn_minute(name, entry, minute)
  local added, failed = add(name, 'calls', calls), add(name, 'call_errors', raised)
  entry.raised = raised - failed
  if added > 0 then
    entry.left = K.FLUSH_EVERY
    local took_us = entry.samples and added * entry.sampled_us / entry.samples or 0
    entry.samples, entry.sampled_us = nil, nil
    add(name, 'calls_us_total', math.floor(took_us))
    time_next(name, entry)
  end
  minutes.count_all(added, failed)
  if not turned then entry.late_runs, entry.late_errors = (entry.late_runs or 0) + added, (entry.late_errors or 0) + failed end
  return added
end

-- Adds the calls counted since the last flush to each sproc's stats. Returns how many were added.
-- A caller's ACL may forbid it: then the counts wait for somebody who may.
local function write()
  core.use 'pace'()
  local added, second = 0, redis.pcall('TIME')[1]
  for name, count in pairs(core.own or {}) do
    local calls, raised = count()
    local entry = core.entries[name]
    if entry then entry.left, entry.raised = entry.left - calls, entry.raised + raised end
  end
  for name, entry in pairs(core.entries) do
    if entry.counted then entry.left = entry.left - entry.counted() end
    added = added + write_entry(name, entry, second and minutes.of(second))
  end
  if second and redis.acl_check_cmd('HMGET', K.STATS_PREFIX, 'minute') then minutes.write_all(second) end
  return added
end

function serve.flush()
  core.settle()
  return write()
end

return { serve = serve, write = write } -- `write`: while a direct call is under way
