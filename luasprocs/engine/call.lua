-- Runs a sproc by name.

-- Adds the calls counted since the last flush to each sproc's stats. Returns how many were added.
-- A caller's ACL may forbid it: then the counts wait for somebody who may.
local function flush_calls()
  local added = 0
  for name, entry in pairs(entries) do
    local calls = core.FLUSH_EVERY - entry.left
    if calls > 0 then
      local reply = redis.pcall('HINCRBY', STATS .. name, 'calls', calls)
      if type(reply) == 'number' then
        added = added + calls
        entry.left = core.FLUSH_EVERY
      end
    end
  end
  return added
end

-- sproc.call(name, keys, args) inside a sproc: runs another one in the same atomic step and returns what it returned.
-- Raises what it raised, and the refusal of a name that can't run.
core.call_sproc = function(name, keys, args)
  local entry = entries[name] or load_entry(name)
  if entry.refused then error({ err = entry.refused }, 0) end
  entry.left = entry.left - 1
  -- No tail call: a sproc that calls itself for ever must run into Lua's stack limit.
  local reply = entry.run(keys or {}, args or {})
  return reply
end

-- The text of an error, which may be anything that a sproc raised; never raises itself.
local function text_of(problem)
  if type(problem) == 'table' then problem = rawget(problem, 'err') or 'ERR an error that is a table' end
  if type(problem) == 'string' then return problem end
  return type(problem) == 'number' and tostring(problem) or 'ERR an error that is a ' .. type(problem)
end

-- xpcall's handler. Returns an error reply that ends as the server's own do: `… script: <function>, on @<file>:<line>.`
-- There is no `debug` here: error('', level) puts the place of that level into its message. The engine's own places are passed over.
local function explain(problem)
  local text = type(problem) == 'string' and 'ERR ' .. problem or text_of(problem)
  for level = 3, 16 do
    local _, where = pcall(error, '', level)
    local place = type(where) == 'string' and where:match('^(.+:%d+): $')
    if place and not place:find('^user_function:') and not place:find('^luasprocs:') then return { err = text .. ' script: ' .. EXECUTE .. ', on @' .. place .. '.' } end
  end
  return { err = text }
end

-- xpcall passes no arguments in Lua 5.1: they are handed over here, and no closure is made on each call.
local running, running_keys, running_args
local function run_handed()
  return running.run(running_keys, running_args)
end

-- Runs an entry under xpcall. Returns its reply, or an error reply whatever it raised.
local function run_guarded(entry, keys, args)
  running, running_keys, running_args = entry, keys, args
  local _, reply = xpcall(run_handed, explain)
  return reply
end

-- Runs an entry under xpcall between a begin marker, whose text is given, and an end marker. What arrives between the two on a
-- listener's connection was caused by this run. Returns whether it went well, and the reply or an error reply.
local function run_marked(entry, keys, args, begin)
  redis.call('PUBLISH', MARKERS, begin)
  running, running_keys, running_args = entry, keys, args
  local ok, reply = xpcall(run_handed, explain)
  redis.call('PUBLISH', MARKERS, 'end')
  return ok, reply
end

-- Undoes what a sproc may have changed for whatever runs after it in the same call.
local function put_back()
  redis.setresp(2)
  redis.set_repl(redis.REPL_ALL)
  redis.call('SELECT', DB)
end

-- FCALL <ns>luasprocs_execute numkeys [key ...] name [arg ...]
-- Reply: the sproc's. Errors: NOSPROC, DISABLED, and the sproc's own with file and line.
redis.register_function(EXECUTE, function(keys, args)
  local name = args[1]
  local entry = name and entries[name]
  if not entry then
    entry = load_entry(name)
    if entry.refused then return { err = entry.refused } end
  end
  remove(args, 1)
  local left = entry.left - 1
  entry.left = left
  if left == 0 then flush_calls() end
  if entry.begin then
    local _, reply = run_marked(entry, keys, args, entry.begin)
    return reply
  end
  if entry.guarded then return run_guarded(entry, keys, args) end
  return entry.run(keys, args)
end)

-- FCALL_RO <ns>luasprocs_execute_ro numkeys [key ...] name [arg ...]: the same for readonly=yes, on replicas too.
redis.register_function({
  function_name = EXECUTE_RO,
  flags = { 'no-writes' },
  callback = function(keys, args)
    local name = args[1]
    local entry = entries[name or ''] or load_entry(name)
    if entry.refused then return { err = entry.refused } end
    remove(args, 1)
    if not entry.readonly then
      return { err = 'ERR ' .. quoted(name) .. ' is not readonly=yes: call it with FCALL ' .. EXECUTE }
    end
    entry.left = entry.left - 1
    return run_guarded(entry, keys, args)
  end,
})

-- FCALL <ns>luasprocs_flush 0: writes the counted calls to the stats now. Reply: how many.
redis.register_function(FLUSH, function() return flush_calls() end)

core.text_of, core.explain, core.run_marked, core.put_back = text_of, explain, run_marked, put_back
