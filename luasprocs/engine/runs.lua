-- Runs of sprocs that are recorded: what a sproc is told of its run, and what became of it as a record has it.
local core = ...
local guard = core.use 'guard'
local prelude, readable, text_of = core.use 'prelude', core.use 'readable', core.use 'problem'
local type, rawget, short = type, rawget, readable.short
local runs = {}

-- The text of a begin marker: what follows was caused by a run of `name` at `depth`, which `roots` original events led to; `origin` names them.
local function begin_marker(depth, roots, origin, name)
  return 'begin ' .. depth .. ' ' .. roots .. ' ' .. origin .. ' ' .. name
end

-- Whether what xpcall returned is an error.
local function failed(ok, reply)
  return not ok or (type(reply) == 'table' and rawget(reply, 'err') ~= nil)
end

-- An error's text for a record.
local function said(problem)
  return short(text_of(problem))
end

-- The sproc of a triggered run: FUNCTION KILL leaves it as it was then, until `mend`.
local unmended

-- A sproc is told what runs it, and what it enqueues has the run's origin and depth, until `mend`.
local function tell(entry, trigger, origin, depth)
  unmended = entry.sproc
  unmended.trigger = trigger
  core.origin, core.depth = origin, depth
end

local function mend()
  if unmended then
    unmended.trigger, unmended.cut, unmended = 'call', nil, nil
    core.origin, core.depth = nil, nil
    prelude.empty(guard.loading)
  end
end

-- Runs an entry once. Returns what a record says of it (status, duration_us, reply or error), and the reply itself.
local function once(entry, keys, args, trigger, origin, depth)
  local begin = core.triggers and begin_marker(depth, 1, origin, entry.name) or nil
  tell(entry, trigger, origin, depth)
  local started_us = prelude.clock_us()
  local ok, reply = guard.run(entry, keys, args, begin)
  local duration_us = prelude.clock_us() - started_us
  mend()
  if not entry.tame then guard.put_back() end
  local row = { status = 'ok', duration_us = duration_us > 0 and duration_us or 0, ran = true }
  if failed(ok, reply) then
    row.status, row.error = 'error', said(reply)
  else
    row.reply = readable.readable(reply)
  end
  return row, reply
end

-- The commit that a sproc came with, asked once after each load.
local function commit_of(entry)
  if not entry.commit then
    local found = redis.pcall('HGET', K.NAME_PREFIX .. entry.name, 'commit')
    entry.commit = type(found) == 'string' and found or ''
  end
  return entry.commit
end

runs.begin_marker, runs.failed, runs.said, runs.tell, runs.mend, runs.once, runs.commit_of = begin_marker, failed, said, tell, mend, once, commit_of
return runs
