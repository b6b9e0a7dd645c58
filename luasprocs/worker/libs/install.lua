-- Takes the compiled parts: name, bytecode, name, bytecode, … Returns a function that puts `cjson`, `cmsgpack`, `bit` and `struct`
-- into a table of globals, each time anew; what is loaded from bytecode is kept.
-- A library is empty until something in it is looked up: what a job doesn't use it doesn't pay for.
local loadstring, setfenv, setmetatable, rawget, pairs, select = loadstring, setfenv, setmetatable, rawget, pairs, select
local getmetatable, newproxy, getinfo = getmetatable, newproxy, debug.getinfo

local codes, chunks = {}, {}
for i = 1, select('#', ...), 2 do
  local name, code = select(i, ...)
  codes[name] = code
end

local LIBRARIES = { 'cjson', 'cmsgpack', 'bit', 'struct' }
local NEEDS = {
  bit = { 'checks' }, struct = { 'checks', 'floats' }, cmsgpack = { 'checks', 'floats' },
  cjson = { 'checks', 'null', 'cjson_encode', 'cjson_decode' }, cjson_encode = { 'null' }, cjson_decode = { 'null' },
}

local function null_text() return 'userdata: (nil)' end

return function(globals)
  local loaded = {}

  -- What the parts see of the globals, whatever becomes of these before a part is loaded.
  local environment = {
    string = globals.string, math = globals.math, table = globals.table, debug = { getinfo = getinfo }, type = globals.type,
    next = globals.next, pairs = pairs, rawget = rawget, select = select, pcall = globals.pcall, error = globals.error,
    tonumber = globals.tonumber, unpack = globals.unpack, setmetatable = setmetatable,
  }

  -- Lua has no light userdata of its own making; this one looks the same.
  loaded.null = newproxy(true)
  local metatable = getmetatable(loaded.null)
  metatable.__metatable = false
  metatable.__tostring = null_text

  -- Takes a part's name. Returns what the part returned, with the parts that it needs as arguments.
  local function part(name)
    local found = loaded[name]
    if found == nil then
      local needs = {}
      for i, needed in pairs(NEEDS[name] or {}) do needs[i] = part(needed) end
      chunks[name] = chunks[name] or loadstring(codes[name])
      found = setfenv(chunks[name], environment)(needs[1], needs[2], needs[3], needs[4])
      loaded[name] = found
    end
    return found
  end

  for _, name in pairs(LIBRARIES) do
    local library = setmetatable({}, { __index = function(library, key)
      setmetatable(library, nil)
      for known, value in pairs(part(name)) do
        if rawget(library, known) == nil then library[known] = value end
      end
      return library[key]
    end })
    globals[name] = library
    if globals.package then globals.package.loaded[name] = library end
  end
end
