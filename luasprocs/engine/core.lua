-- What is compiled when the engine is loaded: calls of sprocs that need nothing else, and how everything else is got when it is used.
-- The server's garbage collector goes, every 50 calls, through all that is compiled, at the expense of whoever calls. So this file holds as
-- little as it can. `core.use 'name'` gives what the chunk of that file returned, as Lua's own require would.
local core = ...
local kept, chunks, entries, direct, later = {}, core.chunks, {}, {}, {}
core.entries = entries -- name -> a compiled sproc, see compile.lua. FUNCTION LOAD REPLACE, part of every apply, empties it: no call checks versions.
core.direct = direct -- name -> what a direct call of it runs, see compile.lua
core.later = later -- name -> a sproc that runs in workers

-- Compiles a chunk and runs it once more: for what must not be kept. All chunks are one text, each behind a line with its name.
local function once(name)
  local _, head = chunks:find('\n--@ ' .. name .. '\n', 1, true)
  local tail = chunks:find('\n--@ ', head, true)
  return loadstring(chunks:sub(head + 1, tail), '@luasprocs:' .. name)(core)
end

local function use(name)
  local found = kept[name]
  if found == nil then
    found = once(name)
    kept[name] = found
  end
  return found
end

-- The entry of a name that `entries` hasn't, or a refusal.
local function load_entry(name)
  return later[name or ''] or once('compile').load_entry(name)
end

-- The name whose call has not returned. Another call begins only after it: so one that is still here then has raised.
local under_way
local function settle()
  local entry = entries[under_way]
  under_way = nil
  if entry then entry.raised = entry.raised + 1 end
end
function core.settle()
  if under_way then settle() end
end

-- Each of Lua's own instructions is 0.2% of a call: `none`, which nobody passes, is a nil that is at hand.
redis.register_function({ function_name = K.EXECUTE, flags = K.EXECUTE_FLAGS, callback = function(keys, args, none)
  if under_way then settle() end
  local name = args[1]
  under_way = name
  local reply = (direct[name] or load_entry(name).direct)(keys, args, true)
  under_way = none
  return reply
end })

core.use, core.once, core.load_entry = use, once, load_entry
