-- Runs a sproc by name. Everything here is on the way of each call.
local core = ...
local entries, load_entry, text_of = core.entries, core.load_entry, core.use 'problem'

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

-- xpcall passes no arguments in Lua 5.1: they are handed over here, and no closure is made on each call.
local running, running_keys, running_args
local function run_handed()
  return running.run(running_keys, running_args)
end

-- xpcall's handler. Returns an error reply that ends as the server's own do: `… script: <function>, on @<file>:<line>.`
-- There is no `debug` here: error('', level) puts the place of that level into its message. The engine's own places are passed over.
-- A refusal of the engine names no place: so an error that does is the sproc's own.
local function explain(problem)
  local text = type(problem) == 'string' and 'ERR ' .. problem or text_of(problem)
  for level = 3, 16 do
    local _, where = pcall(error, '', level)
    local place = type(where) == 'string' and where:match('^(.+:%d+): $')
    if place and not place:find('^user_function:') and not place:find('^luasprocs:') then
      return { err = text .. ' script: ' .. K.EXECUTE .. ', on @' .. place .. '.' }
    end
  end
  return { err = text .. ' script: ' .. K.EXECUTE .. ', on @' .. running.name .. '.' } -- of a tail call Lua knows no line
end

-- Runs an entry under xpcall; between two markers if there is the text of a begin marker. What arrives between these on a
-- listener's connection was caused by this run. Returns whether it went well, and the reply or an error reply.
local function run_guarded(entry, keys, args, begin)
  if begin then redis.call('PUBLISH', K.MARKERS, begin) end
  running, running_keys, running_args = entry, keys, args
  local ok, reply = xpcall(run_handed, explain)
  if begin then redis.call('PUBLISH', K.MARKERS, 'end') end
  return ok, reply
end

-- Undoes what a sproc may have changed for whatever runs after it in the same call.
local function put_back()
  redis.setresp(2)
  redis.set_repl(redis.REPL_ALL)
  redis.call('SELECT', K.DB)
end

-- Takes the sproc's name off the arguments: table.remove would take 5% of a call's time.
local function shift(args)
  local last = #args
  for place = 2, last do args[place - 1] = args[place] end
  args[last] = nil
end

-- A call that is not simply a run of its sproc: one that may raise what the server can't bear, one whose sproc is bound to events and
-- must not be triggered by itself, and the one whose turn it is to write the counters.
local function run_otherwise(entry, keys, args, left)
  if left <= 0 then core.once('flush').serve.flush() end
  if not entry.guarded then return entry.run(keys, args) end
  local _, reply = run_guarded(entry, keys, args, entry.begin)
  return reply
end

redis.register_function(K.EXECUTE, function(keys, args)
  local name = args[1]
  local entry = entries[name]
  if not entry then
    entry = load_entry(name)
    if entry.refused then return { err = entry.refused } end
  end
  local last = #args -- as shift does
  for place = 2, last do args[place - 1] = args[place] end
  args[last] = nil
  local left = entry.left - 1
  entry.left = left
  if left <= 0 or entry.guarded then return run_otherwise(entry, keys, args, left) end
  return entry.run(keys, args)
end)

redis.register_function({
  function_name = K.EXECUTE_RO,
  flags = { 'no-writes' },
  callback = function(keys, args)
    local name = args[1]
    local entry = entries[name or ''] or load_entry(name)
    if entry.refused then return { err = entry.refused } end
    if not entry.readonly then
      return { err = "NOTREADONLY '" .. name .. "' is not readonly=yes: call it with FCALL " .. K.EXECUTE }
    end
    shift(args)
    entry.left = entry.left - 1
    local _, reply = run_guarded(entry, keys, args)
    return reply
  end,
})

core.explain, core.run_guarded, core.put_back, core.shift = explain, run_guarded, put_back, shift
