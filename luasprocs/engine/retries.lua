-- What becomes of runs that failed, and what an operator may do with jobs.
local core = ...
local prelude, jobs, runs = core.use 'prelude', core.use 'jobs', core.use 'runs'
local now_ms, writable, is_paused = prelude.now_ms, prelude.writable, prelude.is_paused
local read_job, admit, pass_turn, rules = jobs.read, jobs.admit, jobs.pass_turn, jobs.rules
local serve = {}

function serve.due()
  local dropped, more = core.use('arrivals').admit()
  local reply = { '' }
  local due = redis.call('ZRANGEBYSCORE', writable(K.DELAYED, 'zset'), '-inf', now_ms(), 'LIMIT', 0, K.DUE_LIMIT)
  for _, text in ipairs(due) do
    local job = read_job(text)
    if job and job.server and (is_paused(job.sproc) or K.FULL and core.use('room').refuse(job.sproc)) then
      redis.call('ZADD', K.DELAYED, now_ms() + K.PAUSED_AGAIN_MS, text)
    elseif job and job.server then
      reply[#reply + 1] = text
    else
      redis.call('ZREM', K.DELAYED, text)
      if job then admit(job, rules(job.sproc).overlap) end
    end
  end
  local turns, must_wait = redis.call('HGETALL', writable(K.RUNNING, 'hash')), K.FULL and core.use('room').asked_once()
  for i = 1, #turns, 2 do
    local name, holder, entry_id = turns[i], jobs.holder_of(turns[i + 1])
    local over = entry_id ~= '' and not jobs.entry_of(entry_id) -- somebody removed it
    local resumed = holder == K.PAUSED_TURN and not is_paused(name)
    if over or resumed and not (must_wait and must_wait(name)) then pass_turn(name, holder) end
  end
  local first = redis.call('ZRANGE', K.DELAYED, 0, 0, 'WITHSCORES')
  if more then
    reply[1] = '0'
  elseif first[2] then
    reply[1] = string.format('%d', math.min(math.max(0, tonumber(first[2]) - now_ms()), K.BACKOFF_CAP_MS))
  end
  if dropped > 0 then reply[#reply + 1] = dropped end
  return reply
end

-- What a run of a server-side job leaves for its record. Nothing is written before the run: then FUNCTION KILL can still stop it.
local function run_again(job)
  local entry = core.entries[job.sproc] or core.load_entry(job.sproc)
  if entry.refused then return { status = 'error', error = entry.refused } end
  return (runs.once(entry, job.keys, job.args, job.trigger, job.origin, job.depth))
end

function serve.retry(_, args)
  local daemon, text, verdict = args[1], args[2], args[3]
  prelude.serve_generation()
  local due_ms = tonumber(redis.call('ZSCORE', K.DELAYED, text) or nil)
  if not due_ms then return redis.status_reply('GONE') end
  local job = read_job(text)
  local elsewhere = K.TAG ~= '' and core.use('moved').elsewhere_of(job)
  if elsewhere then
    if due_ms > now_ms() then return redis.status_reply('GONE') end -- another daemon hands it over
    redis.call('ZADD', K.DELAYED, now_ms() + K.PAUSED_AGAIN_MS, text)
    return { elsewhere }
  end
  local full = K.FULL and verdict == '' and core.use('room').refuse(job.sproc)
  if full then return redis.error_reply(full) end
  local row = verdict == '' and run_again(job) or { status = verdict, error = 'it ran past its timeout and was stopped' }
  redis.call('ZREM', K.DELAYED, text)
  row.trigger, row.daemon = job.trigger, daemon
  jobs.record(job, row)
  if row.status ~= 'ok' then jobs.retry_or_bury(job, row.status, row.error, rules(job.sproc)) end
  return redis.status_reply('OK')
end

-- Takes an action on a job that was found and removed.
local function act(action, job)
  if action == 'drop' then return end
  job.attempt = 1
  if job.server then
    redis.call('ZADD', writable(K.DELAYED, 'zset'), now_ms(), prelude.json().encode(job))
    redis.call('PUBLISH', K.WAKES, job.id)
  else
    admit(job, rules(job.sproc).overlap == 'allow' and 'allow' or 'queue')
  end
end

-- The job in a text, if it is one of `wanted` (ids as keys). Decoding takes far longer than looking for a wanted id.
local function wanted_in(text, wanted)
  local may_be = not text:find('"id"', 1, true)
  for id in text:gmatch('"id"%s*:%s*"([^"]*)"') do may_be = may_be or wanted[id] or id:find('\\', 1, true) end
  local job = may_be and read_job(text)
  return job and wanted[job.id] and job
end

-- Calls `found` with each wanted job in a stream and its entry's id, from the oldest on, and looks no further than it must.
local function search(stream, wanted, found)
  local from, entries = '-', nil
  repeat
    entries = redis.call('XRANGE', stream, from, '+', 'COUNT', 100)
    for _, entry in ipairs(entries) do
      local job = wanted_in(jobs.text_in(entry[2]) or '', wanted)
      if job then found(job, entry[1]) end
      from = '(' .. entry[1]
    end
  until #entries < 100 or not next(wanted)
end

-- Each place where a job may be: a function that acts on the wanted ones there, and calls `done(job, state)` for each.
local PLACES = {}

function PLACES.dead(action, wanted, done)
  search(writable(K.DEAD, 'stream'), wanted, function(job, entry_id)
    act(action, job)
    redis.call('XDEL', K.DEAD, entry_id)
    done(job, 'dead')
  end)
end

function PLACES.delayed(action, wanted, done)
  for _, text in ipairs(redis.call('ZRANGE', writable(K.DELAYED, 'zset'), 0, -1)) do
    local job = wanted_in(text, wanted)
    if job then
      redis.call('ZREM', K.DELAYED, text)
      act(action, job)
      done(job, 'delayed')
    end
  end
end

function PLACES.waiting(action, wanted, done)
  for _, name in ipairs(redis.call('HKEYS', writable(K.RUNNING, 'hash'))) do
    local list = writable(K.WAITING_PREFIX .. name, 'list')
    for _, text in ipairs(redis.call('LRANGE', list, 0, -1)) do
      local job = wanted_in(text, wanted)
      if job and action == 'drop' then redis.call('LREM', list, 1, text) end
      if job then done(job, action == 'drop' and 'waiting' or 'running') end
    end
  end
end

function PLACES.queued(action, wanted, done)
  local gone = {}
  search(writable(K.JOBS, 'stream'), wanted, function(job, entry_id)
    local pending = redis.pcall('XPENDING', K.JOBS, K.WORKERS_GROUP, entry_id, entry_id, 1)
    if action == 'retry' or (not pending.err and pending[1]) then return done(job, 'running') end
    jobs.remove_entry(entry_id)
    done(job, 'queued')
    gone[#gone + 1] = job
  end)
  for _, job in ipairs(gone) do pass_turn(job.sproc, job.id) end -- not before: others would come into the stream
end

function serve.job(_, args)
  local action, state, wanted, was = args[1], args[2], {}, {}
  for i = 3, #args do wanted[args[i]] = true end
  repeat local _, more = core.use('arrivals').admit() until not more
  local function done(job, found)
    wanted[job.id], was[job.id] = nil, found
  end
  for _, place in ipairs({ 'dead', 'delayed', 'waiting', 'queued' }) do
    if next(wanted) and (state == '' or state == place) then PLACES[place](action, wanted, done) end
  end
  local reply = {}
  for i = 3, #args do reply[i - 2] = was[args[i]] or false end
  return reply
end

return { serve = serve }
