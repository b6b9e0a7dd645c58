-- Async runs: jobs in a stream, taken by daemons, retried, ended; and retries of server-side runs. A job is kept as JSON with `id`, `sproc`,
-- `trigger`, `keys`, `args`, `origin`, `depth`, `attempt`, `enqueued_ms`. Where runs of a sproc must not overlap (`overlap` other
-- than allow) the field of RUNNING has the id whose turn it is; later ones wait in a list of the sproc, as do all of a paused one.
local GROUP = 'workers'
local DEAD_LIMIT = 10000 -- entries, about
local BACKOFF_CAP_MS = 300000
local DELIVERIES_LIMIT = 5 -- a job whose daemons died so often is dead, unless it has more retries
local TAKE_LIMIT, DUE_LIMIT, PENDING_LIMIT = 100, 100, 1000
local PAUSED_TURN = 'paused'

local UNITS_MS = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }

-- A header's duration in milliseconds; `default` where there is none. It was checked when it was synced.
local function duration_ms(text, default)
  if not text then return default end
  local total = 0
  for number, unit in text:lower():gmatch('([%d.]+)%s*(%a+)') do total = total + tonumber(number) * (UNITS_MS[unit] or 0) end
  return total > 0 and total or default
end

-- What a sproc's header says about its runs; asked once after each load.
local function run_rules(name)
  local entry = entries[name] or load_entry(name)
  if entry.rules then return entry.rules end
  local found = redis.pcall('HMGET', NAME .. name, 'overlap', 'retries', 'backoff', 'timeout', 'memory', 'cron', 'every', 'misfire')
  if found.err then found = {} end
  local skips = (found[6] or found[7]) and not is(found[8], 'all') -- times that are made up for come all at once
  entry.rules = {
    overlap = found[1] and found[1]:lower() or (skips and 'skip' or 'queue'),
    retries = tonumber(found[2] or 0), backoff_ms = duration_ms(found[3], 1000),
    timeout = found[4] or '', memory = found[5] or '',
  }
  return entry.rules
end

local function is_paused(name)
  return redis.pcall('SISMEMBER', PAUSED, name) == 1
end

local job_counter = 0
local function new_job_id()
  local now = redis.call('TIME')
  job_counter = job_counter + 1
  return string.format('%d-%d', now[1] * 1000000 + now[2], job_counter)
end

local function add_job(job, text)
  redis.call('XADD', writable(JOBS, 'stream'), '*', 'id', job.id, 'sproc', job.sproc, 'job', text or json().encode(job))
  redis.call('PUBLISH', WAKES, job.id)
end

-- One record about a job. `fields`: status, and what is known of duration_us, reply, error, daemon.
local function record_job(job, fields)
  local failed = fields.status ~= 'ok'
  local key = job.keys and job.keys[1] or ''
  local found = redis.pcall('HGET', NAME .. job.sproc, 'commit')
  add_execution('MAXLEN', '~', executions_limit(), '*',
    'sproc', job.sproc, 'trigger', fields.trigger or 'async', 'key', key, 'event', job.trigger == 'event' and job.args[2] or '', 'origin', job.origin, 'depth', job.depth,
    'status', fields.status, 'duration_us', fields.duration_us or 0, 'reply', fields.reply or '', 'error', fields.error or '',
    'commit', type(found) == 'string' and found or '', 'daemon', fields.daemon or '')
  local tally = new_tally()
  if fields.status == 'skipped' then
    tally.skipped = 1
  else
    count(tally, 1, fields.duration_us or 0)
    if failed then count_error(tally, fields.error) end
  end
  write_stats(job.sproc, tally)
end

-- Puts a job where its turn is: among the jobs, or behind others of its sproc. `overlap` as in the header.
-- Returns whether it was taken: `skip` takes none while another runs.
local function admit(job, overlap)
  local paused = is_paused(job.sproc)
  if overlap == 'allow' and not paused then
    add_job(job)
    return true
  end
  local turn = redis.pcall('HGET', writable(RUNNING, 'hash'), job.sproc)
  if turn and overlap == 'skip' and turn ~= PAUSED_TURN and job.attempt == 1 then
    record_job(job, { status = 'skipped', error = 'overlap=skip: the run before it has not ended' })
    return false
  end
  if turn or paused then
    redis.call('RPUSH', writable(WAITING .. job.sproc, 'list'), json().encode(job))
    if not turn then redis.call('HSET', RUNNING, job.sproc, PAUSED_TURN) end
    return true
  end
  redis.call('HSET', RUNNING, job.sproc, job.id)
  add_job(job)
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

local function count_of(value, default)
  value = tonumber(value)
  return value and value >= 0 and value < 2 ^ 53 and math.floor(value) or default
end

-- A job from its JSON, whoever wrote that: what it lacks is filled in, what can't be is left out. Nothing for one that is no job.
local function read_job(text)
  local ok, job = pcall(json().decode, text)
  if not ok or type(job) ~= 'table' or type(job.id) ~= 'string' or type(job.sproc) ~= 'string' then return end
  return {
    id = job.id, sproc = job.sproc, trigger = string_of(job.trigger), keys = strings_of(job.keys), args = strings_of(job.args),
    origin = string_of(job.origin), depth = count_of(job.depth, 0), attempt = count_of(job.attempt, 1),
    enqueued_ms = count_of(job.enqueued_ms, 0), server = job.server == true or nil,
  }
end

-- Gives the turn of a sproc on, if `holder` has it, to the jobs that wait: to one, or to all where they may overlap; to none of a paused one.
local function pass_turn(name, holder)
  if redis.pcall('HGET', RUNNING, name) ~= holder then return end
  if is_paused(name) and redis.call('LLEN', writable(WAITING .. name, 'list')) > 0 then
    redis.call('HSET', RUNNING, name, PAUSED_TURN)
    return
  end
  redis.call('HDEL', RUNNING, name)
  local overlap = run_rules(name).overlap
  repeat
    local text = redis.call('LPOP', writable(WAITING .. name, 'list'))
    if not text then return end
    local job = read_job(text)
    if job and overlap ~= 'allow' then redis.call('HSET', RUNNING, name, job.id) end
    if job then add_job(job, text) end
  until job and overlap ~= 'allow'
end

-- Takes a sproc's name, trigger, KEYS, ARGV (strings), and the run's origin and depth as in a record. Returns a job.
local function new_job(name, trigger, keys, args, origin, depth)
  return {
    id = new_job_id(), sproc = name, trigger = trigger, keys = keys, args = args, origin = origin, depth = depth,
    attempt = 1, enqueued_ms = now_ms(),
  }
end

-- Puts a run of an async sproc among the jobs, in the atomic step that caused it. Takes what new_job takes. Returns the job's id, or nothing
-- where overlap=skip left it out.
local function enqueue_job(name, trigger, keys, args, origin, depth)
  local job = new_job(name, trigger, keys, args, origin, depth)
  if admit(job, run_rules(name).overlap) then return job.id end
end

-- A job's end after its last try: kept for `luasprocs jobs retry`.
local function bury(job, status, problem)
  redis.call('XADD', writable(DEAD, 'stream'), 'MAXLEN', '~', DEAD_LIMIT, '*',
    'id', job.id, 'sproc', job.sproc, 'status', status, 'error', problem, 'attempts', job.attempt, 'job', json().encode(job))
end

-- What comes after a run that failed: another one after a delay, which doubles, or the dead-letter stream. A server-side job has `server`.
local function retry_or_bury(job, status, problem, rules)
  if job.attempt > rules.retries then return bury(job, status, problem) end
  local delay_ms = math.min(BACKOFF_CAP_MS, rules.backoff_ms * 2 ^ math.min(job.attempt - 1, 30))
  local jitter = tonumber(redis.sha1hex(job.id .. job.attempt):sub(1, 4), 16) / 65536 -- the same for each server that replays it
  job.attempt = job.attempt + 1
  redis.call('ZADD', writable(DELAYED, 'zset'), now_ms() + math.floor(delay_ms * (0.75 + jitter / 2)), json().encode(job))
  redis.call('PUBLISH', WAKES, 'delayed')
end

-- Called for a run on the server that failed, in the step that ran it: another one comes later if its header has retries.
-- Takes what new_job takes, and the error.
local function retry_run(name, trigger, keys, args, origin, depth, problem)
  local rules = run_rules(name)
  if rules.retries == 0 then return end
  local job = new_job(name, trigger, keys, args, origin, depth)
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

local function remove_entry(entry_id)
  redis.call('XDEL', JOBS, entry_id)
end

-- The group, made where it isn't.
local function ensure_group()
  local made = redis.pcall('XGROUP', 'CREATE', writable(JOBS, 'stream'), GROUP, '0', 'MKSTREAM')
  return not made.err
end

-- Entries whose daemon is dead, claimed for another: `{ { id, fields }, ... }`. Those that were delivered too often are buried.
local function claim_stale(daemon)
  local pending = redis.pcall('XPENDING', JOBS, GROUP, '-', '+', PENDING_LIMIT)
  if pending.err or #pending == 0 then return {} end
  local tick, now, living, found = tonumber(redis.call('HGET', EVENTS, 'tick') or 0), now_ms(), { [daemon] = true }, {}
  for _, one in ipairs(pending) do
    local consumer, deliveries = one[2], one[4]
    if living[consumer] == nil then
      local beat = redis.pcall('HGET', DAEMONS, consumer)
      living[consumer] = type(beat) == 'string' and alive(beat, tick, now)
    end
    if not living[consumer] and #found < TAKE_LIMIT then
      local entry = redis.call('XCLAIM', JOBS, GROUP, daemon, 0, one[1])[1]
      if entry then
        local job = job_of(entry[2])
        if job and deliveries >= math.max(DELIVERIES_LIMIT, run_rules(job.sproc).retries + 1) then
          local why = deliveries .. ' daemons died while it ran'
          record_job(job, { status = 'error', error = why, daemon = daemon })
          bury(job, 'error', why)
          redis.call('XACK', JOBS, GROUP, entry[1])
          remove_entry(entry[1])
          pass_turn(job.sproc, job.id)
        else
          found[#found + 1] = entry
        end
      else
        redis.call('XACK', JOBS, GROUP, one[1]) -- its entry was deleted
      end
    end
  end
  return found
end

-- A job that was taken, of a sproc that was paused meanwhile, waits: in front where it had the turn.
local function put_off(entry_id, job)
  redis.call('XACK', JOBS, GROUP, entry_id)
  remove_entry(entry_id)
  local turn = redis.pcall('HGET', writable(RUNNING, 'hash'), job.sproc)
  redis.call(turn == job.id and 'LPUSH' or 'RPUSH', writable(WAITING .. job.sproc, 'list'), json().encode(job))
  redis.call('HSET', RUNNING, job.sproc, PAUSED_TURN)
end

-- Why a job that was taken can't run; nothing when it can.
local function unable(name)
  local entry = entries[name] or load_entry(name)
  if entry.is_async then return nil end
  return entry.refused or ('ERR ' .. core.quoted(name) .. ' is not runasync=yes any more')
end

-- FCALL <ns>luasprocs_take 0 daemon limit stale: jobs for a daemon's free workers, at most `limit`. `stale` 1: those of dead daemons first.
-- Reply: generation, then for each: entry, id, sproc, trigger, depth, origin, attempt, timeout, memory (as written, or empty), number of keys, the
-- keys, number of arguments, the arguments: a list each.
serve[TAKE] = function(_, args)
  local daemon, limit = args[1], tonumber(args[2])
  serve_generation(redis.pcall('HGET', REVISION, 'generation'))
  local reply = { core.generation or '' }
  local taken = args[3] == '1' and claim_stale(daemon) or {}
  if #taken < limit then
    local read = redis.pcall('XREADGROUP', 'GROUP', GROUP, daemon, 'COUNT', limit - #taken, 'STREAMS', JOBS, '>')
    if type(read) == 'table' and read.err then
      if not ensure_group() then return redis.error_reply(read.err) end
      read = redis.call('XREADGROUP', 'GROUP', GROUP, daemon, 'COUNT', limit - #taken, 'STREAMS', JOBS, '>')
    end
    for _, entry in ipairs(read and read[1] and read[1][2] or {}) do taken[#taken + 1] = entry end
  end
  local pauses, waits = redis.pcall('EXISTS', PAUSED) == 1, false
  for _, entry in ipairs(taken) do
    local job = entry[2] and job_of(entry[2])
    local why = not job and 'no job' or unable(job.sproc)
    if why then
      redis.call('XACK', JOBS, GROUP, entry[1])
      remove_entry(entry[1])
      if job then
        record_job(job, { status = 'error', error = why, daemon = daemon })
        bury(job, 'error', why)
        pass_turn(job.sproc, job.id)
      end
    elseif pauses and is_paused(job.sproc) then
      put_off(entry[1], job)
      waits = true
    else
      local rules = run_rules(job.sproc)
      local row = {
        entry[1], job.id, job.sproc, job.trigger, tostring(job.depth), job.origin, tostring(job.attempt), rules.timeout, rules.memory, #job.keys,
      }
      for _, key in ipairs(job.keys) do row[#row + 1] = key end
      row[#row + 1] = #job.args
      for _, arg in ipairs(job.args) do row[#row + 1] = arg end
      reply[#reply + 1] = row
    end
  end
  if waits then redis.call('PUBLISH', WAKES, 'paused') end -- others may have stood behind them
  return reply
end

-- A job's run has ended. Returns OK, or LOST where another daemon has claimed it meanwhile: then only the record is written.
local function finish(daemon, entry_id, status, duration_us, reply, problem)
  local found = redis.call('XRANGE', JOBS, entry_id, entry_id)[1]
  local job = found and job_of(found[2])
  if not job then return 'LOST' end
  local mine = redis.call('XPENDING', JOBS, GROUP, entry_id, entry_id, 1, daemon)[1]
  record_job(job, { status = status, duration_us = tonumber(duration_us), reply = reply, error = problem, daemon = daemon })
  if not mine then return 'LOST' end
  redis.call('XACK', JOBS, GROUP, entry_id)
  remove_entry(entry_id)
  if status ~= 'ok' then retry_or_bury(job, status, problem, run_rules(job.sproc)) end
  pass_turn(job.sproc, job.id)
  return 'OK'
end

-- FCALL <ns>luasprocs_finish 0 daemon [entry status duration_us reply error ...]: how jobs ended. Each one's record, what comes after it, and its
-- sproc's next job are one step. Reply: for each OK or LOST.
serve[FINISH] = function(_, args)
  local answers = {}
  for i = 2, #args, 5 do answers[#answers + 1] = finish(args[1], unpack(args, i, i + 4)) end
  return answers
end

-- Takes what sproc.enqueue and luasprocs_enqueue take. Returns the job's id (nil where overlap=skip left it out), or nil and a refusal.
local function enqueue(name, keys, args, origin, depth)
  local why = unable(tostring(name))
  if why then return nil, why:find('is not runasync', 1, true) and ('ERR ' .. core.quoted(name) .. ' is not runasync=yes: call it') or why end
  local texts = { {}, {} }
  for place, list in ipairs({ keys or {}, args or {} }) do
    for i = 1, #list do
      if type(list[i]) ~= 'string' and type(list[i]) ~= 'number' then
        return nil, 'ERR enqueue ' .. core.quoted(name) .. ': keys and arguments are strings or numbers'
      end
      texts[place][i] = tostring(list[i])
    end
  end
  return enqueue_job(name, 'enqueue', texts[1], texts[2], origin, depth)
end

-- FCALL <ns>luasprocs_enqueue numkeys [key ...] name origin depth [arg ...]: an async run. `origin`: who asks, `-` for nobody in particular; `depth`:
-- of the run that asks, 1 for a client. Reply: the job's id; nil where overlap=skip left it out.
serve[ENQUEUE] = function(keys, args)
  local name, origin, depth = table.remove(args, 1), table.remove(args, 1), table.remove(args, 1)
  if not tonumber(depth or '') then return redis.error_reply('ERR FCALL ' .. ENQUEUE .. ' numkeys [key ...] name origin depth [arg ...]') end
  core.pin()
  local id, refused = enqueue(name, keys, args, origin, tonumber(depth))
  if refused then return redis.error_reply(refused) end
  return id or false
end

-- sproc.enqueue(name, keys, args) inside a server-side sproc. Returns the job's id, or nil where overlap=skip left it out. Raises refusals.
serve.enqueue = function(name, keys, args)
  local id, refused = enqueue(name, keys, args, core.origin or '-', core.depth or 1)
  if refused then error({ err = refused }, 0) end
  return id
end

-- FCALL <ns>luasprocs_effect 0 depth roots origin name mode resp command [arg ...]: a command of an async sproc, between the markers that say what it
-- causes. `resp`: 2 or 3. Reply: the command's.
serve[EFFECT] = function(_, args)
  core.pin()
  if args[7] and args[7]:lower() == 'select' then
    return redis.error_reply('ERR SELECT is not there in an async sproc: it works in the db of its registry')
  end
  if core.triggers then redis.call('PUBLISH', MARKERS, table.concat({ 'begin', args[1], args[2], args[3], args[4] }, ' ')) end
  if args[6] == '3' then redis.setresp(3) end
  local reply = redis.pcall(unpack(args, 7))
  redis.setresp(2)
  if core.triggers then redis.call('PUBLISH', MARKERS, 'end') end
  return reply
end

-- FCALL <ns>luasprocs_call numkeys [key ...] name origin depth [arg ...]: sproc.call of an async sproc: as execute; what it causes is put down to the
-- job's origin and depth. Reply, errors: execute's.
serve[CALL] = function(keys, args)
  local name, origin, depth = table.remove(args, 1), table.remove(args, 1), table.remove(args, 1)
  if not tonumber(depth or '') then return redis.error_reply('ERR FCALL ' .. CALL .. ' numkeys [key ...] name origin depth [arg ...]') end
  core.pin()
  local entry = entries[name] or load_entry(name)
  if entry.refused then return { err = entry.refused } end
  entry.left = entry.left - 1
  core.origin, core.depth = origin, tonumber(depth)
  local _, reply = run_marked(entry, keys, args, table.concat({ 'begin', depth, 1, origin, name }, ' '))
  core.origin, core.depth = nil, nil
  return reply
end
