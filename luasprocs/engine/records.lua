-- Writes what ran: the Executions stream, and each sproc's stats.
local core = ...
local prelude, header, minutes = core.use 'prelude', core.use 'header', core.use 'minutes'
local FIELDS, EMPTY, BUCKETS_US = K.EXECUTION_FIELDS, K.EXECUTION_EMPTY, K.BUCKETS_US
local records = {}

-- One trims for so many: what is trimmed at last are whole nodes of the stream.
local TRIM_EVERY = 20
local untrimmed = TRIM_EVERY - 1

-- How many entries the stream keeps: a daemon's setting.
local function limit()
  local found = redis.pcall('HGET', K.EVENTS, 'limit')
  return type(found) == 'string' and found or K.EXECUTIONS_LIMIT
end

local words = { '*' }
for place = 1, #FIELDS do words[place * 2] = FIELDS[place] end
local last = #FIELDS * 2 + 1

local EXECUTIONS, unpack, type = K.EXECUTIONS, unpack, type

local function add(command, words)
  untrimmed = untrimmed + 1
  if untrimmed < TRIM_EVERY then return command('XADD', EXECUTIONS, unpack(words, 1, last)) end
  untrimmed = 0
  return command('XADD', EXECUTIONS, 'MAXLEN', '~', limit(), unpack(words, 1, last))
end

local function fill(words, row)
  for place = 1, #FIELDS do words[place * 2 + 1] = row[FIELDS[place]] or EMPTY[place] end
end

local function put(words)
  local id = add(redis.pcall, words)
  if type(id) == 'table' then
    prelude.writable(EXECUTIONS, 'stream')
    id = add(redis.call, words)
  end
  return id
end

-- Whether a sproc's header wants a record: `errors` wants all that is not ok, `none` nothing.
local function wanted(name, status)
  local entry = core.entries[name] or core.later[name]
  local record
  if entry then
    record = entry.record
  else -- it is live no more, or was not run since the load
    record = header.value(header.read(name, 'record') or {}, 'record')
  end
  return not record or record == 'all' or (record == 'errors' and status ~= 'ok')
end

-- The one writer of records: takes a table of the contract's fields; what it lacks is empty. What is about no sproc is always written.
-- Returns the entry's id.
function records.write(row)
  if row.sproc and not wanted(row.sproc, row.status) then return end
  fill(words, row)
  return put(words)
end

local AT = {}
for place = 1, #FIELDS do AT[FIELDS[place]] = place * 2 + 1 end
local KEY, EVENT, STATUS, DURATION, REPLY, ERROR = AT.key, AT.event, AT.status, AT.duration_us, AT.reply, AT.error

-- The same for the runs of one sproc that differ in these fields alone: returns what writes one. It does not ask whether it is wanted.
function records.series(row)
  local own = {}
  for place = 1, last do own[place] = words[place] end
  fill(own, row)
  return function(key, event, status, duration_us, reply, problem)
    own[KEY], own[EVENT], own[STATUS], own[DURATION], own[REPLY], own[ERROR] = key, event, status, duration_us, reply or '', problem or ''
    put(own)
  end
end

local BUCKETS = {}
for place = 1, #BUCKETS_US do BUCKETS[place] = K.BUCKET_PREFIX .. BUCKETS_US[place] end

local function bucket_of(duration_us)
  for place = 1, #BUCKETS_US do
    if duration_us <= BUCKETS_US[place] then return BUCKETS[place] end
  end
  return K.LONGEST_BUCKET
end

-- What the runs of one sproc add to its stats; `count` collects, `write_stats` writes.
function records.new_tally()
  return { runs = 0, errors = 0, skipped = 0, missed = 0, duration_us_total = 0, longest_us = 0, buckets = {}, in_a_row = 0 }
end

function records.count(tally, runs, duration_us)
  tally.runs = tally.runs + runs
  tally.duration_us_total = tally.duration_us_total + duration_us * runs
  if duration_us > tally.longest_us then tally.longest_us = duration_us end
  local bucket = bucket_of(duration_us)
  tally.buckets[bucket] = (tally.buckets[bucket] or 0) + runs
end

-- `status`: a word of the contract's failures.
function records.count_error(tally, problem, errors, status)
  tally.errors = tally.errors + errors
  tally.in_a_row = tally.in_a_row + errors
  tally.last_error, tally.last_status = problem, status
end

-- A run that went well ends the row of those that failed.
function records.count_ok(tally)
  tally.in_a_row, tally.last_status, tally.any_ok = 0, 'ok', true
end

local SUMS = { 'runs', 'errors', 'skipped', 'missed', 'duration_us_total' } -- fields of stats that are sums, and in a tally

-- How the last run ended, and how many have failed in a row since when. `was`, `row`: both as they stand.
local function set_outcome(set, tally, was, row)
  row = tally.any_ok and 0 or tonumber(row) or 0
  if tally.last_status ~= was then set('last_status', tally.last_status) end
  if tally.in_a_row > 0 then
    if row == 0 then set('failing_since', string.format('%d', prelude.now_ms())) end
    set('failed_in_a_row', row + tally.in_a_row)
  elseif was ~= 'ok' then
    set('failed_in_a_row', 0)
  end
end

-- One read and one write, as handing a command over takes longer than what it does.
function records.write_stats(name, tally)
  local stats, fields, added = K.STATS_PREFIX .. name, { 'duration_us_max', 'last_status', 'failed_in_a_row' }, { 0, 0, 0 }
  for i = 1, #SUMS do
    local number = tally[SUMS[i]]
    if number > 0 then fields[#fields + 1], added[#added + 1] = SUMS[i], number end
  end
  for bucket, runs in next, tally.buckets do fields[#fields + 1], added[#added + 1] = bucket, runs end
  local held = redis.pcall('HMGET', stats, unpack(fields))
  if held.err then held = redis.call('HMGET', prelude.writable(stats, 'hash'), unpack(fields)) end
  local pairs_of, at = { stats }, 1
  local function set(field, value)
    pairs_of[at + 1], pairs_of[at + 2], at = field, value, at + 2
  end
  local second = (tally.runs > 0 or tally.errors > 0) and redis.call('TIME')[1]
  for place = 4, #fields do set(fields[place], (tonumber(held[place]) or 0) + added[place]) end
  if tally.runs > 0 then
    if tally.longest_us > (tonumber(held[1]) or 0) then set('duration_us_max', tally.longest_us) end
    set('last_run', second)
  end
  if tally.missed > 0 then set('last_missed', string.format('%d', prelude.now_ms())) end
  if tally.last_error then set('last_error', tally.last_error) end
  if tally.last_status then set_outcome(set, tally, held[2], held[3]) end
  local ended = second and minutes.count(name, tally.runs, tally.errors, second)
  if ended then set('minute', ended) end
  if at > 1 then redis.call('HSET', unpack(pairs_of, 1, at)) end
end

-- A record of a single run, or of what did not run, and its place in the stats. `row.ran`: it counts as a run.
function records.record(row)
  records.write(row)
  local tally = records.new_tally()
  if row.ran then records.count(tally, 1, row.duration_us or 0) end
  if row.status == 'skipped' then
    tally.skipped = 1
  elseif row.status == 'ok' then
    records.count_ok(tally)
  else
    records.count_error(tally, row.error, 1, row.status)
  end
  records.write_stats(row.sproc, tally)
end

return records
