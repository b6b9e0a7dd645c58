-- What is compiled when the engine is loaded: calls of sprocs that need nothing else, and how everything else is got when it is used.
-- The server's garbage collector goes, every 50 calls, through all that is compiled, at the expense of whoever calls. So this file holds as
-- little as it can. `core.use 'name'` gives what the chunk of that file returned, as Lua's own require would.
local core = ...
local kept, chunks, entries, later = {}, core.chunks, {}, {}
core.entries = entries -- name -> a compiled sproc, see compile.lua. FUNCTION LOAD REPLACE, part of every apply, empties it: no call checks versions.
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

redis.register_function({ function_name = K.EXECUTE, flags = K.EXECUTE_FLAGS, callback = function(keys, args)
  local entry = entries[args[1]]
  if not entry then
    entry = load_entry(args[1])
    if entry.refused then return { err = entry.refused } end
  end
  local left = entry.left - 1
  entry.left = left
  if left <= 0 then use('flush').serve.flush() end
  local run = entry.run_named
  if run then return run(keys, args) end
  local last = #args -- table.remove would take 5% of a call's time
  for place = 2, last do args[place - 1] = args[place] end
  args[last] = nil
  if entry.guarded then return use('guard').reply_of(entry, keys, args) end
  return entry.run(keys, args)
end })

core.use, core.once, core.load_entry = use, once, load_entry
