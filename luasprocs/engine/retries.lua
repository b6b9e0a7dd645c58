-- What becomes of runs that failed, and what an operator may do with jobs.

local PAUSED_AGAIN_MS = 1000 -- after which a retry of a paused sproc on the server is looked at again

-- FCALL <ns>luasprocs_due 0: retries that are due go among the jobs; sprocs that are not paused any more go on.
-- Reply: in how many milliseconds the next one is due (or empty), then the server-side runs that are due, for luasprocs_retry.
serve[DUE] = function()
  local reply = { '' }
  local due = redis.call('ZRANGEBYSCORE', writable(DELAYED, 'zset'), '-inf', now_ms(), 'LIMIT', 0, DUE_LIMIT)
  for _, text in ipairs(due) do
    local job = read_job(text)
    if job and job.server and is_paused(job.sproc) then
      redis.call('ZADD', DELAYED, now_ms() + PAUSED_AGAIN_MS, text)
    elseif job and job.server then
      reply[#reply + 1] = text
    else
      redis.call('ZREM', DELAYED, text)
      if job then admit(job, run_rules(job.sproc).overlap) end
    end
  end
  local turns = redis.call('HGETALL', writable(RUNNING, 'hash'))
  for i = 1, #turns, 2 do
    if turns[i + 1] == PAUSED_TURN and not is_paused(turns[i]) then pass_turn(turns[i], PAUSED_TURN) end
  end
  local first = redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  if first[2] then reply[1] = string.format('%d', math.max(0, tonumber(first[2]) - now_ms())) end
  return reply
end

-- FCALL <ns>luasprocs_retry 0 daemon job verdict: runs a server-side sproc again that failed before, and says what comes after. `verdict`: empty, or
-- the status to record instead of a run (`timeout`: the last try was stopped). Reply: OK, or GONE where another daemon has done it.
serve[RETRY] = function(_, args)
  local daemon, text, verdict = args[1], args[2], args[3]
  serve_generation(redis.pcall('HGET', REVISION, 'generation'))
  if not redis.call('ZSCORE', DELAYED, text) then return redis.status_reply('GONE') end
  local job = read_job(text)
  local name = job.sproc
  local entry = entries[name] or load_entry(name)
  local status, reply, problem, duration_us = verdict, '', 'it ran past its timeout and was stopped', 0
  if verdict == '' then
    if entry.refused then
      status, problem = 'error', entry.refused
    else
      -- Nothing is written before the run: then FUNCTION KILL can still stop it.
      entry.sproc.trigger, unmended = job.trigger, entry.sproc
      core.origin, core.depth = job.origin, job.depth
      local started_us = clock_us()
      local ok, answer = run_marked(entry, job.keys, job.args, table.concat({ 'begin', job.depth, 1, job.origin, name }, ' '))
      duration_us = math.max(0, clock_us() - started_us)
      mend()
      put_back()
      local failed = not ok or (type(answer) == 'table' and rawget(answer, 'err') ~= nil)
      status, problem = failed and 'error' or 'ok', failed and said(answer) or ''
      reply = failed and '' or readable(answer)
    end
  end
  redis.call('ZREM', DELAYED, text)
  if status == 'ok' then problem = '' end
  record_job(job, { trigger = job.trigger, status = status, duration_us = duration_us, reply = reply, error = problem, daemon = daemon })
  if status ~= 'ok' then retry_or_bury(job, status, problem, run_rules(name)) end
  return redis.status_reply('OK')
end

-- Takes an action on a job that was found and removed.
local function act(action, job)
  if action == 'drop' then return end
  job.attempt = 1
  if job.server then
    redis.call('ZADD', writable(DELAYED, 'zset'), now_ms(), json().encode(job))
    redis.call('PUBLISH', WAKES, job.id)
  else
    admit(job, run_rules(job.sproc).overlap == 'allow' and 'allow' or 'queue')
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
      local job = wanted_in(job_text(entry[2]) or '', wanted)
      if job then found(job, entry[1]) end
      from = '(' .. entry[1]
    end
  until #entries < 100 or not next(wanted)
end

-- FCALL <ns>luasprocs_job 0 action state id [id ...]: `retry` starts dead jobs anew, delayed ones now; `drop` forgets jobs that don't run. `state`:
-- only where a job is still in it, empty for any. Reply: for each id where it was found (`dead`, `delayed`, `waiting`, `queued`); `running` where it
-- can't be done; nil where there is no such job.
serve[JOB] = function(_, args)
  local action, state, wanted, was = args[1], args[2], {}, {}
  for i = 3, #args do wanted[args[i]] = true end
  local function is_in(place)
    return next(wanted) and (state == '' or state == place)
  end
  local function done(job, what)
    wanted[job.id], was[job.id] = nil, what
  end
  if is_in('dead') then
    search(writable(DEAD, 'stream'), wanted, function(job, entry)
      act(action, job)
      redis.call('XDEL', DEAD, entry)
      done(job, 'dead')
    end)
  end
  for _, text in ipairs(is_in('delayed') and redis.call('ZRANGE', writable(DELAYED, 'zset'), 0, -1) or {}) do
    local job = wanted_in(text, wanted)
    if job then
      redis.call('ZREM', DELAYED, text)
      act(action, job)
      done(job, 'delayed')
    end
  end
  for _, name in ipairs(is_in('waiting') and redis.call('HKEYS', writable(RUNNING, 'hash')) or {}) do
    for _, text in ipairs(redis.call('LRANGE', writable(WAITING .. name, 'list'), 0, -1)) do
      local job = wanted_in(text, wanted)
      if job and action == 'drop' then redis.call('LREM', WAITING .. name, 1, text) end
      if job then done(job, action == 'drop' and 'waiting' or 'running') end
    end
  end
  if is_in('queued') then
    local gone = {}
    search(writable(JOBS, 'stream'), wanted, function(job, entry)
      local pending = redis.pcall('XPENDING', JOBS, GROUP, entry, entry, 1)
      if action == 'retry' or (not pending.err and pending[1]) then return done(job, 'running') end
      remove_entry(entry)
      done(job, 'queued')
      gone[#gone + 1] = job
    end)
    for _, job in ipairs(gone) do pass_turn(job.sproc, job.id) end -- not before: others would come into the stream
  end
  local reply = {}
  for i = 3, #args do reply[i - 2] = was[args[i]] or false end
  return reply
end
