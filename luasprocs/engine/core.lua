-- What all chunks share. `core.use 'name'` gives what the chunk of that file returned, as Lua's own require would.
-- This one, problem.lua, call.lua and register.lua are compiled when the engine is loaded. The others are text until they are used:
-- the server's garbage collector goes through all that is compiled, at the expense of every call.
local core = ...
local kept, chunks = core.kept, core.chunks
core.entries = {} -- name -> a compiled sproc, see compile.lua. FUNCTION LOAD REPLACE, part of every apply, empties it: no call checks versions.
core.loaded = {} -- name of a library sproc -> what it returned
core.loading = {} -- name of a library sproc that is being loaded
core.later = {} -- name -> a sproc that runs in workers

-- Compiles a chunk and runs it once more: for what must not be kept.
local function once(name)
  return loadstring(chunks[name], '@luasprocs:' .. name)(core)
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
  local entry = core.later[name or '']
  if entry then return entry end
  entry = once('compile').load_entry(name)
  if entry.is_async then core.later[name] = entry end
  return entry
end

local function require_library(name)
  local found = core.loaded[name]
  if found == nil then found = once('compile').load_library(name) end
  return found
end

-- Reads once after a load which registry this is, and whether it has triggers.
local function pin()
  if core.generation then return end
  local found = redis.pcall('HGET', K.REVISION, 'generation')
  if type(found) ~= 'string' then return end -- no registry, or a caller in another db: the next call asks again
  core.generation = found
  core.triggers = redis.call('EXISTS', K.TRIGGERS) == 1
end

core.use, core.once, core.load_entry, core.require_library, core.pin = use, once, load_entry, require_library, pin
