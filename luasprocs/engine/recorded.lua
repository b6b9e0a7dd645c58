-- A direct call that is recorded.
local core = ...
local guard = core.use 'guard'
local runs, records = core.use 'runs', core.use 'records'
local serve = {}

-- Refusals by which whoever asked knows that nothing has run.
local OWN_CODES = { ASYNC = true, NORECORD = true }

-- The error of a run, without a code that is the engine's: the sproc may have called one that was refused.
local function as_its_own(reply)
  local text = type(reply) == 'table' and rawget(reply, 'err')
  local code, rest = string.match(type(text) == 'string' and text or '', '^(%u+)( .*)$')
  return OWN_CODES[code or ''] and { err = 'ERR' .. rest } or reply
end

function serve.run(keys, args)
  local name, by = args[1], args[2]
  guard.shift(args)
  guard.shift(args)
  local entry = core.entries[name or ''] or core.load_entry(name)
  local refused = entry.refused or guard.no_room(entry)
  if refused then return { err = refused } end
  -- Asked before the run: afterwards the sproc's writes would stay, and the caller would hear of an error.
  local may = redis.acl_check_cmd('XADD', K.EXECUTIONS, '*', 'sproc', name)
    and redis.acl_check_cmd('HINCRBY', K.STATS_PREFIX .. name, 'runs', '1')
    and redis.acl_check_cmd('TYPE', K.EXECUTIONS)
  if not may then return { err = 'NORECORD this user may not write records: call FCALL ' .. K.EXECUTE } end
  local row, reply = runs.once(entry, keys, args, 'call', '-', 1)
  if row.status ~= 'ok' then reply = as_its_own(reply) end
  row.sproc, row.trigger, row.key, row.origin, row.depth, row.commit = name, 'call', keys[1], by, 1, runs.commit_of(entry)
  records.record(row)
  return reply
end

return { serve = serve }
