-- Reads and sets what a sproc's sites can see (sites.py), and evaluates expressions with it. Takes values.lua's functions, and a text of
-- lines `NUMBER NAME…`. A site is told by its number and by what Lua says of the function, as the debugger shows it.
local written, encode, text = ...
local loadstring, pcall, rawequal, rawget, select, tonumber, tostring = loadstring, pcall, rawequal, rawget, select, tonumber, tostring
local pairs, type, unpack, concat, gmatch, sub, find, max = pairs, type, unpack, table.concat, string.gmatch, string.sub, string.find, math.max
local DONE, done = '"luasprocs:done"', 'luasprocs:done' -- what a statement returns first, unless it has a `return` in a block
local PIECE = 16000 -- the debugger cuts what is longer, and the replies of commands shall be cut
local seen = setmetatable({}, { __mode = 'k' })
local names_of = {}
for number, line in gmatch(text, '(%d+)([^\n]*)\n') do
  local names = {}
  for name in gmatch(line, '%S+') do names[#names + 1] = name end
  names_of[tonumber(number)] = names
end

local function packed(...)
  return select('#', ...), { ... }
end

-- What is visible from a site: by name its value, and where it is set.
local function visible(number, pointer)
  local site
  for one, own in pairs(seen) do
    if own == number and tostring(one) == pointer then site = one end
  end
  local found = {}
  while site do
    local count, values = packed(site())
    for place, name in pairs(names_of[seen[site]]) do
      found[name] = found[name] or { value = values[place + 1], site = site, place = place }
    end
    site = values[1]
  end
  return found
end

local function set(one, value)
  local count, values = packed(one.site())
  values[one.place + 1] = value
  one.site(true, unpack(values, 2, count))
end

local inspect, rest = { seen = seen }, ''

-- A text's beginning; behind it `>` if there is more.
local function piece(text)
  rest = sub(text, PIECE + 1)
  return sub(text, 1, PIECE) .. (rest ~= '' and '>' or '')
end

function inspect.more() return piece(rest) end

-- `=` and the values of names, each as values.lua writes it.
function inspect.read(number, pointer, names)
  local found, values, count = visible(number, pointer), {}, 0
  for name in gmatch(names, '%S+') do
    count = count + 1
    values[count] = found[name] and found[name].value
  end
  return piece('=' .. written(unpack(values, 1, count)))
end

-- What was raised: `!` and the text, or `#` and a value.
local function raised(problem)
  local text = type(problem) == 'table' and rawget(problem, 'err') or problem
  return piece(type(text) == 'string' and '!' .. encode(text) or '#' .. written(text))
end

-- Evaluates an expression; with `sets` it may also be a statement, which sets what is visible. Returns `=` and the values, or what was raised.
function inspect.evaluate(number, pointer, code, sets)
  local found, names, values, listed = visible(number, pointer), {}, {}, {}
  for name in gmatch(code, '[A-Za-z_][A-Za-z0-9_]*') do
    if found[name] and not listed[name] then
      names[#names + 1], listed[name] = name, true
      values[#names] = found[name].value
    end
  end
  local head = #names > 0 and 'local ' .. concat(names, ',') .. ' = ...; ' or ''
  local run, problem = loadstring(head .. 'return ' .. code .. '\n', '=expression')
  local statement, other
  if not run then
    statement, other = loadstring(head .. code .. '\nreturn ' .. concat(names, ','), '=expression') -- no `return` of its own
    statement = statement and loadstring(head .. 'do ' .. code .. '\nend return ' .. concat({ DONE, unpack(names) }, ','), '=expression') -- nor locals
  end
  if statement and not sets then return raised('this is no expression') end
  if not run and not statement then return raised(find(problem, "near '='", 1, true) and other or problem) end
  local count, results = packed(pcall(run or statement, unpack(values, 1, #names)))
  if not results[1] then return raised(results[2]) end
  if run then return piece('=' .. written(unpack(results, 2, max(count, 2)))) end
  for place, name in pairs(names) do
    local value = results[place + 2]
    if results[2] == done and not rawequal(value, values[place]) then set(found[name], value) end
  end
  return '=' .. written(nil)
end

function inspect.raised() return raised(inspect.problem) end

return inspect
