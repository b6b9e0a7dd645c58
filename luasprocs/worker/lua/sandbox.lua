-- The globals of a job: what could harm the process goes, the rest is Lua 5.1's own.
-- A library's functions are kept as locals: a sproc may overwrite its globals.
local type, rawget, pcall, error = type, rawget, pcall, error
local loadstring, real_load, getinfo = loadstring, load, debug.getinfo
local sub, byte, gsub, find = string.sub, string.byte, string.gsub, string.find

-- A host's function answers with Lua's memory limit lifted, as running into it there would hang the process. `fence` puts it back.
local function fenced(...)
  fence()
  return ...
end

-- What was refused to this job, for its record: `denied(what, why)`.
local function denied(what, why)
  local refusals = core.refusals or {}
  core.refusals = refusals
  if #refusals < 10 then refusals[#refusals + 1] = sub(what .. ': ' .. why, 1, 300) end
end

-- Whether a text is bytecode, which could do anything to the process.
local function is_bytecode(text)
  return type(text) == 'string' and byte(text, 1) == 27
end

local BYTECODE = 'bytecode is not loaded'

-- loadstring(text, name): as Lua's, for sources only.
local function load_text(text, name)
  if is_bytecode(text) then
    denied('loadstring', BYTECODE)
    return nil, BYTECODE
  end
  return loadstring(text, name)
end

-- A sproc's source as a function of KEYS, ARGV, sproc, require, redis; or nothing, and what Lua says. As the engine's eval.lua.
local function load_sproc(source, name)
  if sub(source, 1, 2) == '#!' then source = '--' .. sub(source, 3) end
  local chunk, problem = load_text(core.PREFIX .. source, '@' .. name)
  if chunk or not find(problem, ' has more than ', 1, true) then return chunk, problem end
  local make
  make, problem = load_text(core.ROOMY .. source .. '\nend', '@' .. name)
  return make and function(...) return make(...)() end, problem
end

-- load(reader, name): as Lua's, for sources only.
local function load_pieces(reader, name)
  local begun = false
  return real_load(function()
    local piece = reader()
    if not begun and type(piece) == 'string' and #piece > 0 then
      begun = true
      if is_bytecode(piece) then
        denied('load', BYTECODE)
        error(BYTECODE, 0)
      end
    end
    return piece
  end, name)
end

-- The place of the nearest function that comes from a file, as `name.lua:3`; nothing if there is none.
local function place(level)
  for at = level, level + 30 do
    local info = getinfo(at, 'Sl')
    if not info then return end
    if sub(info.source, 1, 1) == '@' and info.currentline > 0 then return sub(info.source, 2) .. ':' .. info.currentline end
  end
end

-- pcall as the server's: of an error object it gives the text; of another table, for whatever reason, a nil behind it.
local function unwrapped(ok, ...)
  if ok then return true, ... end
  local problem = ...
  if type(problem) ~= 'table' then return false, problem end
  local text = rawget(problem, 'err')
  if type(text) == 'string' then return false, text end
  return false, problem, nil
end

local function protected(...)
  return unwrapped(pcall(...))
end

-- debug.getinfo without functions: they would lead to the host's.
local function tame_info(of, what)
  if type(of) == 'number' then of = of + 1 end
  local info = getinfo(of, (gsub(what or 'Slnu', '[^Slnu]', '')))
  return info
end

_G.python, _G.newproxy, _G.gcinfo = nil, nil, nil
_G.loadstring, _G.load, _G.pcall = load_text, load_pieces, protected
local traceback = debug.traceback
_G.debug = { traceback = traceback, getinfo = tame_info }

core.fenced, core.denied, core.place, core.load_text, core.load_sproc = fenced, denied, place, load_text, load_sproc
