-- Runs sprocs that may raise what the server can't bear, or be caused by themselves; and what such sprocs may use.
local core = ...
local entries, load_entry, text_of = core.entries, core.load_entry, core.use 'problem'
local guard = { loaded = {}, loading = {} } -- of library sprocs: name -> what it returned; name -> whether it is being loaded

-- What outlives a run on the server: the settings of cjson (they say what they are when called without arguments), random numbers, and the
-- garbage collector's pace (which only says what it was).
local SETTINGS = {
  'encode_number_precision', 'encode_sparse_array', 'encode_max_depth', 'encode_keep_buffer', 'encode_invalid_numbers', 'decode_max_depth',
  'decode_invalid_numbers', 'decode_array_with_array_mt',
}
local PACES = { 'setpause', 'setstepmul' }
local held -- as the outermost run found them

local function hold()
  local kept = { seed = math.random(2147483647) }
  for _, name in ipairs(SETTINGS) do
    local setting = cjson[name]
    if setting then kept[#kept + 1] = { setting, setting() } end
  end
  for _, pace in ipairs(PACES) do
    local was = collectgarbage(pace, 200)
    collectgarbage(pace, was)
    kept[#kept + 1] = { collectgarbage, pace, was }
  end
  return kept
end

local function put(kept)
  for _, setting in ipairs(kept) do setting[1](unpack(setting, 2)) end
  math.randomseed(kept.seed)
end

-- Puts back what a run that raised or was killed has left.
local function settle()
  if held then put(held) end
  held = nil
end

-- A library that may change them is about to be loaded: from now on so may all that require one.
function guard.unsettle()
  guard.unsettled, held = true, held or hold()
end

-- The function that runs a sproc, and puts back what it has changed. Without `always` only a library may have.
function guard.settled(run, always)
  return function(keys, args)
    local outer, own = held, (always or guard.unsettled) and hold() or nil
    held = outer or own
    local reply = run(keys, args)
    local kept = own or (not outer and held)
    if kept then put(kept) end
    held = outer
    return reply
  end
end

-- Why an entry can't run in a server that is full; nothing when it can.
function guard.no_room(entry)
  return entry.asks and core.use('room').lacks() or nil
end

-- sproc.call(name, keys, args) inside a sproc: runs another one in the same atomic step and returns what it returned.
-- Raises what it raised, and the refusal of a name that can't run.
function guard.call_sproc(name, keys, args)
  local entry = entries[name] or load_entry(name)
  local refused = entry.refused or guard.no_room(entry)
  if refused then error({ err = refused }, 0) end
  entry.left = entry.left - 1
  -- No tail call: a sproc that calls itself for ever must run into Lua's stack limit.
  local reply = entry.run(keys or {}, args or {})
  return reply
end

-- sproc.enqueue(name, keys, args) inside a sproc, see workers.lua.
function guard.enqueue(name, keys, args)
  return core.use 'workers'.from_sproc(name, keys, args)
end

-- require(name) inside a sproc.
function guard.require(name)
  local found = guard.loaded[name]
  if found == nil then found = core.once('compile').load_library(name) end
  return found
end

-- xpcall passes no arguments in Lua 5.1: they are handed over here, and no closure is made on each call.
local running, running_keys, running_args
local function run_handed()
  return running.run(running_keys, running_args)
end

-- xpcall's handler. Returns an error reply that ends as the server's own do: `… script: <function>, on @<file>:<line>.`
-- There is no `debug` here: error('', level) puts the place of that level into its message. The engine's own places are passed over.
-- A refusal of the engine names no place: so an error that does is the sproc's own.
function guard.explain(problem)
  settle()
  local text = (type(problem) == 'string' and 'ERR ' .. problem or text_of(problem)):match('^%Z*') -- as the server, which ends it at a NUL
  for level = 3, 16 do
    local _, where = pcall(error, '', level)
    local place = type(where) == 'string' and where:match('^(.+:%d+): $')
    if place and not place:find('^user_function:') and not place:find('^luasprocs:') then
      return { err = text .. ' script: ' .. K.EXECUTE .. ', on @' .. place .. '.' }
    end
  end
  local name = running and running.name or '?' -- of a tail call Lua knows no line
  return { err = text .. ' script: ' .. K.EXECUTE .. ', on @' .. name .. '.' }
end

local explain = guard.explain

-- Runs an entry under xpcall; between two markers if there is the text of a begin marker. What arrives between these on a
-- listener's connection was caused by this run. Returns whether it went well, and the reply or an error reply.
local function run(entry, keys, args, begin)
  if begin then redis.call('PUBLISH', K.MARKERS, core.proof .. begin) end
  settle()
  running, running_keys, running_args = entry, keys, args
  local ok, reply = xpcall(run_handed, explain)
  if begin then redis.call('PUBLISH', K.MARKERS, core.proof .. 'end') end
  return ok, reply
end
guard.run = run

-- Counts a direct call that failed. Returns its reply.
local function counted(entry, ok, reply)
  if not ok or (type(reply) == 'table' and rawget(reply, 'err') ~= nil) then entry.raised = entry.raised + 1 end
  return reply
end

-- A direct call of a guarded sproc.
function guard.reply_of(entry, keys, args)
  local refused = guard.no_room(entry)
  if refused then return { err = refused } end
  return counted(entry, run(entry, keys, args, entry.begin))
end

-- The same by a function of its own, to which the server has given room. One that may not write may not publish.
function guard.own_reply_of(entry, keys, args)
  return counted(entry, run(entry, keys, args, not entry.readonly and entry.begin or nil))
end

-- Undoes what a sproc may have changed for whatever runs after it in the same call.
function guard.put_back()
  redis.setresp(2)
  redis.set_repl(redis.REPL_ALL)
  redis.call('SELECT', K.DB)
  settle()
end

-- Takes the first argument off.
function guard.shift(args)
  local last = #args
  for place = 2, last do args[place - 1] = args[place] end
  args[last] = nil
end

guard.serve = {}

function guard.serve.execute_ro(keys, args)
  local name = args[1]
  local entry = entries[name] or load_entry(name)
  if entry.refused then return { err = entry.refused } end
  if not entry.readonly then
    return { err = "NOTREADONLY '" .. name .. "' is not readonly=yes: call it with FCALL " .. K.EXECUTE }
  end
  guard.shift(args)
  entry.left = entry.left - 1
  return counted(entry, run(entry, keys, args))
end

return guard
