-- Records runs in the Executions stream and each sproc's stats.
local EXECUTIONS_LIMIT = 10000 -- entries, about, where no daemon set another
local TEXT_LIMIT_BYTES = 1024 -- of a reply or an error in a record
local PART_LIMIT_BYTES = 256 -- of a string inside a reply
local PARTS_LIMIT = 50 -- elements of one table in a reply
local LEVELS_LIMIT = 4
-- Microseconds: the upper bounds of the histogram's buckets; a longer run counts in `le_inf`.
local BUCKETS_US = {
  50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
}

-- Microseconds. TIME advances inside a function on Redis 7.0, and is frozen on Valkey, which has os.clock instead.
local clock, floor, time_call
local clock_us
clock_us = function()
  if clock then return floor(clock() * 1000000) end
  if not time_call then
    time_call, floor = redis.call, math.floor
    local there, found = pcall(function() return os.clock end)
    if there and found then
      clock = found
      return clock_us()
    end
  end
  local now = time_call('TIME')
  return now[1] * 1000000 + now[2]
end

local function now_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

local function short(text)
  if #text <= TEXT_LIMIT_BYTES then return text end
  return text:sub(1, TEXT_LIMIT_BYTES) .. '… (' .. #text .. ' bytes)'
end

-- A copy of a reply that is small enough to be encoded, whatever it holds.
local function brief(value, level)
  if type(value) == 'string' then
    return #value <= PART_LIMIT_BYTES and value or value:sub(1, PART_LIMIT_BYTES) .. '…'
  end
  if type(value) ~= 'table' then return value end
  if level > LEVELS_LIMIT then return '…' end
  local copy, count = {}, 0
  if rawget(value, 1) ~= nil then -- as a reply: up to the first nil
    repeat
      count = count + 1
      copy[count] = brief(rawget(value, count), level + 1)
    until count == PARTS_LIMIT or rawget(value, count + 1) == nil
    return copy
  end
  for key, part in next, value do -- not pairs: a sproc's metatable must not run here
    count = count + 1
    if count > PARTS_LIMIT then break end
    copy[tostring(key)] = brief(part, level + 1)
  end
  return copy
end

-- A reply as text for a record; never raises.
local function readable(reply)
  if reply == nil or reply == false then return '' end
  if type(reply) == 'string' then return short(reply) end
  if type(reply) == 'number' then -- tostring keeps 14 digits; as a reply it is an integer
    return reply % 1 == 0 and math.abs(reply) < 2 ^ 63 and ('%.0f'):format(reply) or tostring(reply)
  end
  if type(reply) == 'table' then
    local status = rawget(reply, 'ok')
    if type(status) == 'string' then return short(status) end
    local ok, text = pcall(function() return json().encode(brief(reply, 1)) end)
    return ok and short(text) or 'a table'
  end
  return reply == true and 'true' or type(reply)
end

-- An error's text for a record.
local function said(problem)
  return short(text_of(problem))
end

-- A record is no reason to lose a reply: a key of the wrong type, made by hand, gives way.
local function writable(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then redis.call('DEL', key) end
  return key
end

-- Adds an entry to the Executions stream.
local function add_execution(...)
  local id = redis.pcall('XADD', EXECUTIONS, ...)
  if type(id) == 'table' then redis.call('XADD', writable(EXECUTIONS, 'stream'), ...) end
end

-- How many entries the stream keeps: a daemon's setting.
local function executions_limit()
  local found = redis.pcall('HGET', EVENTS, 'limit')
  return type(found) == 'string' and found or EXECUTIONS_LIMIT
end

local function bucket_of(duration_us)
  for place = 1, #BUCKETS_US do
    if duration_us <= BUCKETS_US[place] then return 'le_' .. BUCKETS_US[place] end
  end
  return 'le_inf'
end

-- What the runs of one sproc add to its stats; `count` collects, `write_stats` writes.
local function new_tally()
  return { runs = 0, errors = 0, skipped = 0, duration_us_total = 0, longest_us = 0, buckets = {} }
end

local function count(tally, runs, duration_us)
  tally.runs = tally.runs + runs
  tally.duration_us_total = tally.duration_us_total + duration_us * runs
  if duration_us > tally.longest_us then tally.longest_us = duration_us end
  local bucket = duration_us <= 50 and 'le_50' or bucket_of(duration_us)
  tally.buckets[bucket] = (tally.buckets[bucket] or 0) + runs
end

local function count_error(tally, problem)
  tally.errors = tally.errors + 1
  tally.last_error = problem
end

local COUNTED = { 'runs', 'errors', 'skipped', 'duration_us_total' } -- fields of stats that are sums, and in a tally

-- One read and one write, as handing a command over takes longer than what it does.
local function write_stats(name, tally)
  local stats, fields, added = STATS .. name, { 'duration_us_max' }, { 0 }
  for i = 1, #COUNTED do
    local number = tally[COUNTED[i]]
    if number > 0 then fields[#fields + 1], added[#added + 1] = COUNTED[i], number end
  end
  for bucket, runs in next, tally.buckets do fields[#fields + 1], added[#added + 1] = bucket, runs end
  local held = redis.pcall('HMGET', stats, unpack(fields))
  if held.err then held = redis.call('HMGET', writable(stats, 'hash'), unpack(fields)) end
  local words, last = { stats }, 1
  for place = 2, #fields do
    words[last + 1], words[last + 2] = fields[place], (tonumber(held[place]) or 0) + added[place]
    last = last + 2
  end
  if tally.runs > 0 then
    local longest = tonumber(held[1]) or 0
    if tally.longest_us > longest then words[last + 1], words[last + 2], last = 'duration_us_max', tally.longest_us, last + 2 end
    words[last + 1], words[last + 2], last = 'last_run', redis.call('TIME')[1], last + 2
  end
  if tally.last_error then words[last + 1], words[last + 2], last = 'last_error', tally.last_error, last + 2 end
  if last > 1 then redis.call('HSET', unpack(words, 1, last)) end
end

-- The commit that a sproc came with, asked once after each load.
local function commit_of(entry)
  if not entry.commit then
    local found = redis.pcall('HGET', NAME .. entry.name, 'commit')
    entry.commit = type(found) == 'string' and found or ''
  end
  return entry.commit
end

-- Refusals by which a caller of RUN tells that nothing was run.
local OWN_CODES = { ASYNC = true, NORECORD = true }

-- The error of a run, without a code that is the engine's: the sproc may have called one that was refused.
local function as_its_own(reply)
  local text = type(reply) == 'table' and rawget(reply, 'err')
  local code, rest = string.match(type(text) == 'string' and text or '', '^(%u+)( .*)$')
  return OWN_CODES[code or ''] and { err = 'ERR' .. rest } or reply
end

-- FCALL <ns>luasprocs_run numkeys [key ...] name by [arg ...]: as execute, and recorded. `by`: who asked.
-- Errors: execute's; ASYNC and NORECORD with nothing run, the latter where the user's ACL forbids the record.
serve[RUN] = function(keys, args)
  local name, by = table.remove(args, 1), table.remove(args, 1)
  local entry = entries[name or ''] or load_entry(name)
  if entry.refused then return { err = entry.refused } end
  -- Asked before the run: afterwards the sproc's writes would stay, and the caller would hear of an error.
  local may = redis.acl_check_cmd('XADD', EXECUTIONS, '*', 'sproc', name)
    and redis.acl_check_cmd('HINCRBY', STATS .. name, 'runs', '1')
    and redis.acl_check_cmd('TYPE', EXECUTIONS)
  if not may then return { err = 'NORECORD this user may not write records: call FCALL ' .. EXECUTE } end
  local started_us = clock_us()
  local ok, reply = run_marked(entry, keys, args, 'begin 1 1 - ' .. name)
  local duration_us = math.max(0, clock_us() - started_us)
  put_back()
  local failed = not ok or (type(reply) == 'table' and rawget(reply, 'err') ~= nil)
  if failed then reply = as_its_own(reply) end
  local problem = failed and said(reply) or nil
  add_execution('MAXLEN', '~', executions_limit(), '*',
    'sproc', name, 'trigger', 'call', 'key', keys[1] or '', 'event', '', 'origin', by or '', 'depth', 1,
    'status', failed and 'error' or 'ok', 'duration_us', duration_us,
    'reply', failed and '' or readable(reply), 'error', problem or '', 'commit', commit_of(entry), 'daemon', '')
  local tally = new_tally()
  count(tally, 1, duration_us)
  if problem then count_error(tally, problem) end
  write_stats(name, tally)
  return reply
end
