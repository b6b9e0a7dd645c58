-- Async runs as jobs, and retries of server-side runs: made, admitted, retried, buried. A job is kept as JSON with the contract's fields.
-- Where runs of a sproc must not overlap (`overlap` other than allow) the field of RUNNING has the id whose turn it is; later
-- ones wait in a list of the sproc, as do all of a paused one.
local core = ...
local prelude, records, header = core.use 'prelude', core.use 'records', core.use 'header'
local json, now_ms, writable, is_paused = prelude.json, prelude.now_ms, prelude.writable, prelude.is_paused

-- What a sproc's header says about its runs; asked once after each load.
local function run_rules(name)
  local entry = core.entries[name] or core.load_entry(name)
  if entry.rules then return entry.rules end
  local values = header.read(name, 'overlap', 'retries', 'backoff', 'runasync', 'cron', 'every', 'misfire', unpack(K.TOLD)) or {}
  entry.rules = {
    overlap = header.value(values, 'overlap'):lower(),
    retries = header.number(values, 'retries'),
    backoff_ms = header.duration_ms(values, 'backoff'),
    told = {},
  }
  for place, key in ipairs(K.TOLD) do entry.rules.told[place] = header.value(values, key) end
  return entry.rules
end

local function add_job(job, text)
  local entry_id = redis.call('XADD', writable(K.JOBS, 'stream'), '*', 'id', job.id, 'sproc', job.sproc, 'job', text or json().encode(job))
  redis.call('PUBLISH', K.WAKES, job.id)
  return entry_id
end

-- Puts a job among the jobs, and gives it its sproc's turn.
local function add_turn(job, text)
  redis.call('HSET', K.RUNNING, job.sproc, job.id .. ' ' .. add_job(job, text))
end

-- The job whose turn it is, and its entry among the jobs; empty where it has none.
local function holder_of(turn)
  return (type(turn) == 'string' and turn or ''):match('^(%S*) ?(%S*)')
end

-- Puts a job that no worker could begin among the jobs again. Its sproc's turn stays its own.
local function put_back(job, text)
  local is_holder = holder_of(redis.pcall('HGET', K.RUNNING, job.sproc)) == job.id
  return (is_holder and add_turn or add_job)(job, text)
end

-- One record about a job. `row`: status, and what is known of trigger, duration_us, reply, error, daemon.
local function record_job(job, row)
  local found = redis.pcall('HGET', K.NAME_PREFIX .. job.sproc, 'commit')
  row.sproc, row.trigger, row.key = job.sproc, row.trigger or 'async', job.keys and job.keys[1]
  row.event = job.trigger == 'event' and job.args[2] or nil
  row.origin, row.depth, row.commit = job.origin, job.depth, type(found) == 'string' and found or nil
  row.ran = row.status ~= 'skipped'
  records.record(row)
end

-- Puts a job where its turn is: among the jobs, or behind others of its sproc. `overlap` as in the header.
-- Returns whether it was taken: `skip` takes none while another runs.
local function admit(job, overlap)
  local paused = is_paused(job.sproc)
  if overlap == 'allow' and not paused then
    add_job(job)
    return true
  end
  local turn = redis.pcall('HGET', writable(K.RUNNING, 'hash'), job.sproc)
  local waits = turn == K.PAUSED_TURN and redis.call('LLEN', writable(K.WAITING_PREFIX .. job.sproc, 'list')) == 0
  if turn and not waits and overlap == 'skip' and job.attempt == 1 then
    pcall(record_job, job, { status = 'skipped', error = 'overlap=skip: the run before it has not ended' }) -- a caller may have no right to
    return false
  end
  if turn or paused then
    redis.call('RPUSH', writable(K.WAITING_PREFIX .. job.sproc, 'list'), json().encode(job))
    if not turn then redis.call('HSET', K.RUNNING, job.sproc, K.PAUSED_TURN) end
    return true
  end
  add_turn(job)
  return true
end

-- A list's elements as strings: what else stands there was put there by hand.
local function strings_of(list)
  if type(list) ~= 'table' then return {} end
  for i = 1, #list do
    if type(list[i]) ~= 'string' then list[i] = type(list[i]) == 'number' and tostring(list[i]) or '' end
  end
  return list
end

local function string_of(value)
  return type(value) == 'string' and value or ''
end

-- A run's origin: one word, as the functions check it, for it stands among the words of a marker.
local function origin_of(value)
  return type(value) == 'string' and #value <= 200 and value:find('^%S+$') and value or '-'
end

-- As many digits as tostring writes without an exponent.
local function whole_of(value, default)
  value = tonumber(value)
  return value and value >= 0 and value < 1e14 and math.floor(value) or default
end

-- A job from its JSON, whoever wrote that: what it lacks is filled in, what can't be is left out. Nothing for one that is no job.
local function read_job(text)
  local ok, job = pcall(json().decode, text)
  if not ok or type(job) ~= 'table' or type(job.id) ~= 'string' or type(job.sproc) ~= 'string' then return end
  return {
    id = job.id, sproc = job.sproc, trigger = string_of(job.trigger), keys = strings_of(job.keys), args = strings_of(job.args),
    origin = origin_of(job.origin), depth = whole_of(job.depth, 0), attempt = whole_of(job.attempt, 1),
    enqueued_ms = whole_of(job.enqueued_ms, 0), server = job.server == true or nil,
  }
end

-- Gives the turn of a sproc on, if `holder` has it, to the jobs that wait: to one, or to all where they may overlap; to none of a paused one.
local function pass_turn(name, holder)
  if holder_of(redis.pcall('HGET', K.RUNNING, name)) ~= holder then return end
  if is_paused(name) and redis.call('LLEN', writable(K.WAITING_PREFIX .. name, 'list')) > 0 then
    redis.call('HSET', K.RUNNING, name, K.PAUSED_TURN)
    return
  end
  redis.call('HDEL', K.RUNNING, name)
  local overlap = run_rules(name).overlap
  repeat
    local text = redis.call('LPOP', writable(K.WAITING_PREFIX .. name, 'list'))
    if not text then return end
    local job = read_job(text)
    local add = overlap == 'allow' and add_job or add_turn
    if job then add(job, text) end
  until job and overlap ~= 'allow'
end

-- Takes a sproc's name, trigger, KEYS, ARGV (strings), and the run's origin and depth as in a record. Returns a job.
local function new_job(name, trigger, keys, args, origin, depth)
  return {
    id = prelude.new_id(), sproc = name, trigger = trigger, keys = keys, args = args, origin = origin, depth = depth,
    attempt = 1, enqueued_ms = now_ms(),
  }
end

-- Whether the user may write what all jobs share. Who may not only adds to a list (see arrivals.lua): XADD can trim, and HSET take a turn away.
local function may_admit()
  return redis.acl_check_cmd('XADD', K.JOBS, '*', 'id', '')
end

-- Puts a run of an async sproc among the jobs, in the atomic step that caused it. Takes what new_job takes. Returns the job's id, or nothing
-- where overlap=skip left it out.
local function enqueue_job(name, trigger, keys, args, origin, depth)
  local job = new_job(name, trigger, keys, args, origin, depth)
  if not may_admit() then
    redis.call('RPUSH', writable(K.ENQUEUED, 'list'), json().encode(job))
    redis.call('PUBLISH', K.WAKES, 'delayed')
    return job.id
  end
  if admit(job, run_rules(name).overlap) then return job.id end
end

-- A job's end after its last try: kept for `luasprocs jobs retry`.
local function bury(job, status, problem)
  redis.call('XADD', writable(K.DEAD, 'stream'), 'MAXLEN', '~', K.DEAD_LIMIT, '*',
    'id', job.id, 'sproc', job.sproc, 'status', status, 'error', problem, 'attempts', job.attempt, 'job', json().encode(job))
end

-- What comes after a run that failed: another one after a delay, which doubles, or the dead-letter stream. A server-side job has `server`.
local function retry_or_bury(job, status, problem, rules)
  if job.attempt > rules.retries then return bury(job, status, problem) end
  local delay_ms = math.min(K.BACKOFF_CAP_MS, rules.backoff_ms * 2 ^ math.min(job.attempt - 1, 30))
  local jitter = tonumber(redis.sha1hex(job.id .. job.attempt):sub(1, 4), 16) / 65536 -- the same for each server that replays it
  job.attempt = job.attempt + 1
  redis.call('ZADD', writable(K.DELAYED, 'zset'), now_ms() + math.floor(delay_ms * (0.75 + jitter / 2)), json().encode(job))
  redis.call('PUBLISH', K.WAKES, 'delayed')
end

-- Called for a run on the server that failed, in the step that ran it: another one comes later if its header has retries.
-- Takes name, trigger, KEYS, ARGV, the run's record, and the error.
local function retry_run(name, trigger, keys, args, row, problem)
  local rules = run_rules(name)
  if rules.retries == 0 then return end
  local job = new_job(name, trigger, keys, args, row.origin, tonumber(row.depth))
  job.server = true
  retry_or_bury(job, 'error', problem, rules)
end

-- The text of the job in a stream's entry, and the job in it; nothing where there is none.
local function job_text(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'job' then return fields[i + 1] end
  end
end

local function job_of(fields)
  local text = job_text(fields)
  return text and read_job(text)
end

-- An entry among the jobs by its id; nothing once it was deleted, and for what is no id.
local function entry_of(entry_id)
  local ms, number = entry_id:match('^(%d+)%-(%d+)$')
  if not ms or #ms > 19 or #number > 19 then return nil end
  return redis.call('XRANGE', writable(K.JOBS, 'stream'), entry_id, entry_id)[1]
end

local function remove_entry(entry_id)
  redis.call('XDEL', K.JOBS, entry_id)
end

return {
  holder_of = holder_of, rules = run_rules, record = record_job, put_back = put_back, admit = admit, read = read_job, pass_turn = pass_turn, enqueue = enqueue_job,
  bury = bury, retry_or_bury = retry_or_bury, retry_run = retry_run, text_in = job_text, job_in = job_of, entry_of = entry_of, remove_entry = remove_entry,
}
