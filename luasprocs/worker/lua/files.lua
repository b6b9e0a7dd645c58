-- `io` and `os`: Lua's own, with what was denied noted. The kernel refuses (Landlock); what it can't is refused here.
local fenced, denied, load_text = core.fenced, core.denied, core.load_text
local type, error, tostring, sub, gsub = type, error, tostring, string.sub, string.gsub
local open, lines, input, output, close, remove, rename = io.open, io.lines, io.input, io.output, io.close, os.remove, os.rename
local setlocale = os.setlocale
local PERMISSION, ACCESS, OPEN_FILES, CROSS_DEVICE, TOO_LARGE = 1, 13, 24, 18, 27
local REFUSALS = { [PERMISSION] = true, [ACCESS] = true, [OPEN_FILES] = true, [CROSS_DEVICE] = true, [TOO_LARGE] = true }

-- Passes on what a file function returned; a refusal is noted.
local function noted(what, found, problem, number)
  if found == nil and REFUSALS[number] then denied(what, tostring(problem)) end
  return found, problem, number
end

-- io.open(path, mode): as Lua's. /proc would lead to this process's own pipes, which the kernel doesn't count as files.
local function open_file(path, mode)
  if type(path) == 'string' or type(path) == 'number' then
    local refused, failed = fenced(locate(tostring(path)))
    if refused ~= nil then
      refused = refused or failed
      denied('open', refused)
      return nil, refused, ACCESS
    end
  end
  core.opened = true
  return noted('open', open(path, mode))
end

-- Raises what io.open returns for a path that can't be opened so.
local function check(path, mode)
  local file, problem = open_file(path, mode)
  if not file then error(problem, 3) end
  close(file)
end

io.open = open_file

function io.lines(path)
  if path ~= nil then check(path, 'r') end
  return lines(path)
end

function io.input(file)
  if type(file) == 'string' or type(file) == 'number' then check(file, 'r') end
  if file == nil then return input() end
  return input(file)
end

function io.output(file)
  if type(file) == 'string' or type(file) == 'number' then check(file, 'w') end
  if file == nil then return output() end
  return output(file)
end

function os.remove(path) return noted('remove', remove(path)) end

function os.rename(from, to) return noted('rename', rename(from, to)) end

-- A name in the working folder: /tmp is out of reach.
function os.tmpname() return (fenced(temporary())) end

function io.tmpfile()
  local path = os.tmpname()
  local file, problem, number = open_file(path, 'w+b')
  if file then remove(path) end
  return file, problem, number
end

function os.exit() error('os.exit is not there: return ends a run', 2) end

-- The process's locale is everybody's: asked, never changed.
function os.setlocale(name, category)
  if name == nil or name == '' or name == 'C' or name == 'POSIX' then return setlocale(nil, category) end
  return nil
end

-- A function that the host's settings don't allow.
local function forbidden(name)
  return function()
    local why = 'the host\'s setting `allow` has no exec'
    denied(name, why)
    error(name .. ' is off: ' .. why, 2)
  end
end

if core.allow_exec then
  -- io.popen(command, mode): a file that the command's output is read from, or its input is written to.
  function io.popen(command, mode)
    local path, problem = fenced(popen(tostring(command), mode or 'r'))
    if not path then return nil, problem end
    core.opened = true
    local file, why, number = open(path, mode or 'r')
    remove(path)
    return file, why, number
  end
else
  os.execute, io.popen = forbidden('os.execute'), forbidden('io.popen')
end

-- loadfile(path): as Lua's, for sources only.
function loadfile(path)
  if path == nil then return nil, 'loadfile needs a path: there is no input' end
  local file, problem = open_file(path, 'rb')
  if not file then return nil, 'cannot open ' .. tostring(problem) end
  local text, why = file:read('*a')
  file:close()
  if not text then return nil, 'cannot read ' .. tostring(path) .. ': ' .. tostring(why) end
  if sub(text, 1, 1) == '#' then text = gsub(text, '^[^\n]*', '', 1) end
  return load_text(text, '@' .. path)
end

local loadfile = loadfile
function dofile(path)
  local chunk, problem = loadfile(path)
  if not chunk then error(problem, 2) end
  return chunk()
end

core.open, core.loadfile = open, loadfile
