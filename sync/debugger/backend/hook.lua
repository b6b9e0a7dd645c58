-- Stops an async sproc: a hook that Lua calls at each line. Takes what is called when it stops (reason, text), which returns how to go on, and
-- what is asked now and then (`pause`, `end`, or nothing). Returns the functions that look at what stands. Of `name.lua` a chunk is `@name.lua`.
local on_stop, on_tick, written, encode = ...
local sethook, getinfo, getlocal, setlocal = debug.sethook, debug.getinfo, debug.getlocal, debug.setlocal
local getupvalue, setupvalue, getfenv, setfenv = debug.getupvalue, debug.setupvalue, getfenv, setfenv
local type, rawget, next, select, unpack, sub, find, max = type, rawget, next, select, unpack, string.sub, string.find, math.max
local loadstring, setmetatable, pcall, error, real_xpcall = loadstring, setmetatable, pcall, error, xpcall
local TICK = 100000 -- instructions
local stops, mode, depth, from = {}, 'continue', 0, nil

local function is_sproc(info)
  return sub(info.source, 1, 1) == '@' and sub(info.source, -4) == '.lua' and info.currentline > 0
end

-- How many functions of sprocs run above a level.
local function depth_at(level)
  local count = 0
  while true do
    local info = getinfo(level, 'Sl')
    if not info then return count end
    if is_sproc(info) then count = count + 1 end
    level = level + 1
  end
end

local function stopped(reason, text, now)
  mode = on_stop(reason, text)
  depth, from = now, nil
end

local function hook(event, line)
  if event == 'count' then
    local wish = on_tick()
    if wish == 'pause' then mode = 'in' end
    if wish == 'end' then error('stopped by the debugger', 0) end
    return
  end
  local here = stops[line]
  if mode == 'continue' and not here then return end
  local info = getinfo(2, 'Sl')
  if not is_sproc(info) then return end
  local at_breakpoint = here and here[info.source]
  if mode == 'continue' and not at_breakpoint then return end
  local now = depth_at(3)
  local step = mode == 'in' or (mode == 'next' and now <= depth) or (mode == 'out' and now < depth)
  if step or at_breakpoint then stopped(at_breakpoint and 'breakpoint' or 'step', step and 'step' or '', now) end
end

-- What was raised: `!` and the text, or `#` and a value as values.lua writes it.
local function raised(problem)
  local text = type(problem) == 'table' and rawget(problem, 'err') or problem
  return type(text) == 'string' and '!' .. encode(text) or '#' .. written(text)
end

-- The outermost call of xpcall is the one that runs the sproc: what reaches it ends the run. Others are the sproc's own.
local active = false
function xpcall(run, handler)
  if active then return real_xpcall(run, handler) end
  active = true
  local function ended(...)
    active = false
    return ...
  end
  return ended(real_xpcall(run, function(problem)
    stopped('exception', raised(problem), depth_at(3))
    return handler(problem)
  end))
end

local function packed(...)
  return select('#', ...), { ... }
end

local inspect = {}

function inspect.stop_at(lines) stops = lines end

-- The frames, the innermost first: name, source, line, and the level that the other functions take.
function inspect.frames()
  local frames, level = {}, 1
  while true do
    local info = getinfo(level, 'nSl')
    if not info then return frames end
    if is_sproc(info) then frames[#frames + 1] = { info.what == 'main' and '' or info.name or '?', sub(info.source, 2), info.currentline, level } end
    level = level + 1
  end
end

-- KEYS and ARGV of the source that a level is of, by their names: its outermost function has them, an inner one only if it uses them.
local function given_at(level)
  local found, source = {}, getinfo(level, 'S').source
  while true do
    local info = getinfo(level, 'Sf')
    if not info then return found end
    if info.source == source then
      for _, get in next, { function(i) return getupvalue(info.func, i) end, function(i) return getlocal(level + 1, i) end } do
        for i = 1, 250 do
          local name, value = get(i)
          if not name then break end
          if name == 'KEYS' or name == 'ARGV' then found[name] = { value } end
        end
      end
    end
    level = level + 1
  end
end

function inspect.given(level)
  local given, found = given_at(level + 1), {}
  for _, name in next, { 'KEYS', 'ARGV' } do
    if given[name] then found[#found + 1] = { name, written(given[name][1]) } end
  end
  return found
end

function inspect.locals(level)
  local found = {}
  for i = 1, 250 do
    local name, value = getlocal(level, i)
    if not name then break end
    if sub(name, 1, 1) ~= '(' then found[#found + 1] = { name, written(value) } end
  end
  return found
end

function inspect.upvalues(level)
  local found, run = {}, getinfo(level, 'f').func
  for i = 1, 60 do
    local name, value = getupvalue(run, i)
    if not name then break end
    found[#found + 1] = { name, written(value) }
  end
  return found
end

-- Evaluates code as if it stood at a level: an expression; with `sets` it may also be a statement, which sets locals. Returns whether it did, and the
-- values, or what was raised.
function inspect.evaluate(code, level, sets)
  local run = getinfo(level, 'f').func
  local locals, upvalues, i = {}, {}, 1
  while true do
    local name = getlocal(level, i)
    if not name then break end
    locals[name], i = i, i + 1
  end
  i = 1
  while true do
    local name = getupvalue(run, i)
    if not name then break end
    upvalues[name], i = i, i + 1
  end
  local globals, values, given = getfenv(run), {}, {}
  if find(code, 'KEYS', 1, true) or find(code, 'ARGV', 1, true) then given = given_at(level + 1) end
  for name, place in next, locals do
    local _, value = getlocal(level, place)
    values[name] = { value }
  end
  local env = setmetatable({}, {
    __index = function(_, name)
      if values[name] then return values[name][1] end
      if upvalues[name] then
        local _, value = getupvalue(run, upvalues[name])
        return value
      end
      if given[name] then return given[name][1] end
      return globals[name]
    end,
    __newindex = function(_, name, value)
      if locals[name] or upvalues[name] then
        values[name] = { value }
      else
        globals[name] = value
      end
    end,
  })
  local chunk, problem = loadstring('return ' .. code .. '\n', '=expression')
  local statement, other
  if not chunk then statement, other = loadstring(code, '=expression') end
  if statement and not sets then return false, raised('this is no expression') end
  if not chunk and not statement then return false, raised(find(problem, "near '='", 1, true) and other or problem) end
  local count, results = packed(pcall(setfenv(chunk or statement, env)))
  if not results[1] then return false, raised(results[2]) end
  if chunk then return true, written(unpack(results, 2, max(count, 2))) end
  for name, place in next, locals do setlocal(level, place, values[name][1]) end
  for name, place in next, upvalues do
    if values[name] and not locals[name] then setupvalue(run, place, values[name][1]) end
  end
  return true, written(nil)
end

function inspect.go(how) mode = how end

sethook(hook, 'l', TICK)
return inspect
