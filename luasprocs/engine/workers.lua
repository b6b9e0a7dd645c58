-- Jobs and the daemons whose workers run them: taken, ended, and what a job asks of the server.
local core = ...
local guard = core.use 'guard'
local prelude, ticks, jobs, runs = core.use 'prelude', core.use 'ticks', core.use 'jobs', core.use 'runs'
local writable, is_paused = prelude.writable, prelude.is_paused
local rules, record, pass_turn, bury = jobs.rules, jobs.record, jobs.pass_turn, jobs.bury
local entry_of, remove_entry = jobs.entry_of, jobs.remove_entry
local GROUP, serve = K.WORKERS_GROUP, {}

-- The group, made where it isn't.
local function ensure_group()
  local made = redis.pcall('XGROUP', 'CREATE', writable(K.JOBS, 'stream'), GROUP, '0', 'MKSTREAM')
  return not made.err
end

-- Why a job that was taken can't run: a refusal. Nothing when it can.
local function unable(name)
  local entry = core.entries[name] or core.load_entry(name)
  if not entry.is_async then return entry.refused or "NOTASYNC '" .. name .. "' is not runasync=yes" end
end

-- A job that can't run ends here.
local function refuse(entry_id, job, why, daemon)
  redis.call('XACK', K.JOBS, GROUP, entry_id)
  remove_entry(entry_id)
  if not job then return end
  record(job, { status = 'error', error = why, daemon = daemon })
  bury(job, 'error', why)
  pass_turn(job.sproc, job.id)
end

-- Entries whose daemon is dead, claimed for another: `{ { id, fields }, ... }`. Those that too many daemons died with are buried.
-- A pending entry's deliveries are 1, and one more for each time that its run began: being handed over is no try.
local function claim_stale(daemon)
  local pending = redis.pcall('XPENDING', K.JOBS, GROUP, '-', '+', K.PENDING_LIMIT)
  if pending.err or #pending == 0 then return {} end
  local tick, now, living, found = tonumber(redis.call('HGET', K.EVENTS, 'tick') or 0), prelude.now_ms(), { [daemon] = true }, {}
  for _, one in ipairs(pending) do
    local entry_id, consumer, deliveries = one[1], one[2], one[4]
    if living[consumer] == nil then
      local beat = redis.pcall('HGET', K.DAEMONS, consumer)
      living[consumer] = type(beat) == 'string' and ticks.alive(beat, tick, now)
    end
    if not living[consumer] and #found < K.TAKE_LIMIT then
      local claimed = redis.call('XCLAIM', K.JOBS, GROUP, daemon, 0, entry_id, 'JUSTID')[1]
      local entry = claimed and entry_of(entry_id)
      if entry then
        local job, died = jobs.job_in(entry[2]), deliveries - 1
        if job and died >= math.max(K.DELIVERIES_LIMIT, rules(job.sproc).retries + 1) then
          refuse(entry_id, job, died .. ' daemons died while it ran', daemon)
        else
          found[#found + 1] = entry
        end
      else
        redis.call('XACK', K.JOBS, GROUP, entry_id) -- its entry was deleted
      end
    end
  end
  return found
end

-- A job that was taken, of a sproc that was paused meanwhile or must wait for room, waits: in front where it had the turn.
local function put_off(entry_id, job)
  redis.call('XACK', K.JOBS, GROUP, entry_id)
  remove_entry(entry_id)
  local turn = redis.pcall('HGET', writable(K.RUNNING, 'hash'), job.sproc)
  redis.call(jobs.holder_of(turn) == job.id and 'LPUSH' or 'RPUSH', writable(K.WAITING_PREFIX .. job.sproc, 'list'), prelude.json().encode(job))
  redis.call('HSET', K.RUNNING, job.sproc, K.PAUSED_TURN)
end

-- A job as its daemon gets it.
local function row_of(entry_id, job)
  local row = { entry_id, job.id, job.sproc, job.trigger, tostring(job.depth), job.origin, tostring(job.attempt) }
  for _, value in ipairs(rules(job.sproc).told) do row[#row + 1] = value end
  row[#row + 1] = #job.keys
  for _, key in ipairs(job.keys) do row[#row + 1] = key end
  row[#row + 1] = #job.args
  for _, arg in ipairs(job.args) do row[#row + 1] = arg end
  return row
end

-- At most `count` entries that no daemon has: `{ { id, fields }, ... }`; or nothing, and the server's error.
local function read_new(daemon, count)
  local function read(command)
    return command('XREADGROUP', 'GROUP', GROUP, daemon, 'COUNT', count, 'STREAMS', K.JOBS, '>')
  end
  local found = read(redis.pcall)
  if type(found) == 'table' and found.err then
    if not ensure_group() then return nil, found.err end
    found = read(redis.call)
  end
  return found and found[1] and found[1][2] or {}
end

-- The reply that hands entries to a daemon, without those that can't run now.
local function handed(taken, daemon)
  local reply = { core.generation or '' }
  local pauses, waits, must_wait = redis.pcall('EXISTS', K.PAUSED) == 1, false, K.FULL and core.use('room').asked_once()
  for _, entry in ipairs(taken) do
    local entry_id, fields = entry[1], entry[2]
    local job = fields and jobs.job_in(fields)
    local why = job and unable(job.sproc)
    if why or not job then
      refuse(entry_id, job, why, daemon)
    elseif pauses and is_paused(job.sproc) or must_wait and must_wait(job.sproc) then
      put_off(entry_id, job)
      waits = true
    else
      reply[#reply + 1] = row_of(entry_id, job)
    end
  end
  if waits then redis.call('PUBLISH', K.WAKES, 'paused') end -- others may have stood behind them
  return reply
end

function serve.take(_, args)
  local daemon, limit, stale = args[1], tonumber(args[2]), args[3] == '1'
  prelude.serve_generation()
  local taken = stale and claim_stale(daemon) or {}
  if #taken < limit then
    local fresh, problem = read_new(daemon, limit - #taken)
    if not fresh then return redis.error_reply(problem) end
    for _, entry in ipairs(fresh) do taken[#taken + 1] = entry end
  end
  return handed(taken, daemon)
end

-- Whether a daemon has an entry: its deliveries.
local function deliveries_of(entry_id, daemon)
  local found = redis.pcall('XPENDING', K.JOBS, GROUP, entry_id, entry_id, 1, daemon)
  return not found.err and found[1] and found[1][4]
end

function serve.held(_, args)
  local daemon, known, lost = args[1], {}, {}
  prelude.serve_generation()
  for i = 2, #args do known[args[i]] = true end
  local pending = redis.pcall('XPENDING', K.JOBS, GROUP, '-', '+', K.PENDING_LIMIT, daemon)
  for _, one in ipairs(pending.err and {} or pending) do
    local entry = not known[one[1]] and entry_of(one[1])
    if entry then lost[#lost + 1] = entry end
  end
  return handed(lost, daemon)
end

function serve.begun(_, args)
  for i = 2, #args do
    local deliveries = deliveries_of(args[i], args[1])
    if deliveries then redis.call('XCLAIM', K.JOBS, GROUP, args[1], 0, args[i], 'RETRYCOUNT', deliveries + 1, 'JUSTID') end
  end
  return redis.status_reply('OK')
end

function serve.back(_, args)
  local put_back = 0
  for i = 2, #args do
    local entry = deliveries_of(args[i], args[1]) and entry_of(args[i])
    local text = entry and jobs.text_in(entry[2])
    local job = text and jobs.read(text)
    if job then
      redis.call('XACK', K.JOBS, GROUP, args[i])
      remove_entry(args[i])
      jobs.put_back(job, text)
      put_back = put_back + 1
    end
  end
  return put_back
end

-- A job's run has ended. Returns OK, or LOST where another daemon has claimed it meanwhile: then only the record is written.
local function finish(daemon, entry_id, status, duration_us, reply, problem)
  local found = entry_of(entry_id)
  local job = found and jobs.job_in(found[2])
  if not job then return 'LOST' end
  local mine = deliveries_of(entry_id, daemon)
  record(job, { status = status, duration_us = tonumber(duration_us), reply = reply, error = problem, daemon = daemon })
  if not mine then return 'LOST' end
  redis.call('XACK', K.JOBS, GROUP, entry_id)
  remove_entry(entry_id)
  if status ~= 'ok' then jobs.retry_or_bury(job, status, problem, rules(job.sproc)) end
  pass_turn(job.sproc, job.id)
  return 'OK'
end

function serve.finish(_, args)
  local daemon, answers = args[1], {}
  for i = 2, #args, 5 do answers[#answers + 1] = finish(daemon, unpack(args, i, i + 4)) end
  return answers
end

-- Takes what sproc.enqueue and luasprocs_enqueue take. Returns the job's id (nil if overlap=skip leaves it out), or nil and a refusal.
local function enqueue(name, keys, args, origin, depth)
  local why = unable(tostring(name))
  if why then return nil, why end
  local texts = { {}, {} }
  for place, list in ipairs({ keys or {}, args or {} }) do
    for i = 1, #list do
      if type(list[i]) ~= 'string' and type(list[i]) ~= 'number' then
        return nil, "ERR enqueue '" .. name .. "': keys and arguments are strings or numbers"
      end
      texts[place][i] = tostring(list[i])
    end
  end
  return jobs.enqueue(name, 'enqueue', texts[1], texts[2], origin, depth)
end

-- Takes the arguments that name a run's cause off a function's arguments. Returns name, origin, depth; nothing if they are wrong.
local function caused(args)
  local name, origin, depth = args[1], args[2], tonumber(args[3])
  for _ = 1, 3 do guard.shift(args) end
  if depth then return name, origin, depth end
end

function serve.enqueue(keys, args)
  local name, origin, depth = caused(args)
  if not name then return redis.error_reply('ERR ' .. K.USAGE_ENQUEUE) end
  core.use 'pin'()
  local full = K.FULL and core.use('room').refuse(name)
  if full then return redis.error_reply(full) end
  local id, refused = enqueue(name, keys, args, origin, depth)
  if refused then return redis.error_reply(refused) end
  return id or false
end

-- sproc.enqueue(name, keys, args) inside a server-side sproc. Returns the job's id, or nil if overlap=skip leaves it out. Raises refusals.
local function from_sproc(name, keys, args)
  local id, refused = enqueue(name, keys, args, core.origin or '-', core.depth or 1)
  if refused then error({ err = refused }, 0) end
  return id
end

-- Whether the user may speak for a job: only then it says what caused a write. Who may take jobs may.
local function may_speak()
  return redis.acl_check_cmd('XREADGROUP', 'GROUP', GROUP, 'd', 'STREAMS', K.JOBS, '>')
end

function serve.effect(_, args)
  if not may_speak() then return redis.error_reply(K.NOT_A_WORKER) end
  local depth, roots, origin, name, resp, command = args[1], args[2], args[3], args[4], args[6], args[7]
  core.use 'pin'()
  if command and command:lower() == 'select' then
    return redis.error_reply('ERR SELECT is not there in an async sproc: it works in the db of its registry')
  end
  local full = K.FULL and command and core.use('room').refuse_command(name, command)
  if full then return redis.error_reply(full) end
  if core.triggers then redis.call('PUBLISH', K.MARKERS, core.proof .. runs.begin_marker(depth, roots, origin, name)) end
  if resp == '3' then redis.setresp(3) end
  for i = 7, #args do args[i - 6] = args[i] end -- unpack takes as many as EVAL's from the first, fewer from another
  for i = #args, #args - 5, -1 do args[i] = nil end
  local reply = redis.pcall(unpack(args))
  redis.setresp(2)
  if core.triggers then redis.call('PUBLISH', K.MARKERS, core.proof .. 'end') end
  return reply
end

function serve.call(keys, args)
  if not may_speak() then return redis.error_reply(K.NOT_A_WORKER) end
  local name, origin, depth = caused(args)
  if not name then return redis.error_reply('ERR ' .. K.USAGE_CALL) end
  core.use 'pin'()
  local entry = core.entries[name] or core.load_entry(name)
  local refused = entry.refused or guard.no_room(entry)
  if refused then return { err = refused } end
  entry.left = entry.left - 1
  core.origin, core.depth = origin, depth
  local _, reply = guard.run(entry, keys, args, core.triggers and runs.begin_marker(depth, 1, origin, name) or nil)
  core.origin, core.depth = nil, nil
  return reply
end

return { serve = serve, from_sproc = from_sproc }
