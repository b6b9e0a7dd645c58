-- The part of the engine that is compiled when it is loaded. The others are text until they are used: the server's garbage
-- collector goes through all that is compiled, at the expense of every call.
local entries = {} -- name -> a compiled sproc, see compile.lua. FUNCTION LOAD REPLACE, part of every apply, empties it: no call checks versions.
local loaded = {} -- name of a library sproc -> what it returned
local core = { entries = entries, loaded = loaded, loading = {}, later = {}, text_id = TEXT_ID, FLUSH_EVERY = 1000 } -- what the parts share; `later`: name -> a sproc that runs in workers

local function part(name)
  return loadstring(PARTS[name], '@luasprocs')(core)
end

local remove -- table.remove, which is not there while a library loads
local function load_entry(name)
  remove = table.remove
  local entry = core.later[name or '']
  if entry then return entry end
  entry = part('compile').load_entry(name)
  if entry.is_async then core.later[name] = entry end
  return entry
end

local function require_library(name)
  local found = loaded[name]
  if found == nil then found = part('compile').load_library(name) end
  return found
end

-- Reads once after a load which registry this is.
local function pin()
  if core.generation then return end
  local found = redis.pcall('HGET', REVISION, 'generation')
  if type(found) ~= 'string' then return end -- no registry, or a caller in another db: the next call asks again
  core.generation = found
  core.triggers = redis.call('EXISTS', TRIGGERS) == 1
end

-- A word of a header, whatever its case.
local function is(value, word)
  return value and value:lower() == word
end

local function quoted(name)
  return "'" .. tostring(name) .. "'"
end

core.load_entry, core.require_library, core.pin, core.is, core.quoted = load_entry, require_library, pin, is, quoted
