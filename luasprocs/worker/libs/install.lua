-- Takes the compiled parts: name, bytecode, name, bytecode, … Returns a function that puts `cjson`, `cmsgpack`, `bit` and `struct`
-- into a table of globals, each time as new; what is loaded for them is kept.
-- A library is empty until something in it is looked up: what a job doesn't use it doesn't pay for.
local loadstring, setfenv, setmetatable, rawget, pairs, select = loadstring, setfenv, setmetatable, rawget, pairs, select

local codes, loaded = {}, {}
for i = 1, select('#', ...), 2 do
  local name, code = select(i, ...)
  codes[name] = code
end

-- What the parts see of the globals, whatever becomes of these before a part is loaded.
local environment = {
  string = string, math = math, table = table, debug = { getinfo = debug.getinfo }, type = type, next = next, pairs = pairs,
  rawget = rawget, select = select, pcall = pcall, error = error, tonumber = tonumber, unpack = unpack,
  setmetatable = setmetatable,
}
local NEEDS = {
  bit = { 'checks' }, struct = { 'checks', 'floats' }, cmsgpack = { 'checks', 'floats' },
  cjson = { 'checks', 'null', 'cjson_encode', 'cjson_decode' }, cjson_encode = { 'null' }, cjson_decode = { 'null' },
}

-- Lua has no light userdata of its own making; this one looks the same.
loaded.null = newproxy(true)
local metatable = getmetatable(loaded.null)
metatable.__metatable = false
function metatable.__tostring() return 'userdata: (nil)' end

-- Takes a part's name. Returns what the part returned, with the parts that it needs as arguments.
local function part(name)
  local found = loaded[name]
  if found == nil then
    local needs = {}
    for i, needed in pairs(NEEDS[name] or {}) do needs[i] = part(needed) end
    found = setfenv(loadstring(codes[name]), environment)(needs[1], needs[2], needs[3], needs[4])
    loaded[name] = found
  end
  return found
end

-- By library: fills it when something in it is looked up first. cjson has settings, which are each library's own.
local fill = {}
for _, name in pairs({ 'cjson', 'cmsgpack', 'bit', 'struct' }) do
  fill[name] = function(library, key)
    setmetatable(library, nil)
    local functions = part(name)
    for known, value in pairs(functions.new and functions.new() or functions) do
      if rawget(library, known) == nil then library[known] = value end
    end
    return library[key]
  end
end

return function(globals)
  for name, filled in pairs(fill) do
    local library = setmetatable({}, { __index = filled })
    globals[name] = library
    if globals.package then globals.package.loaded[name] = library end
  end
end
