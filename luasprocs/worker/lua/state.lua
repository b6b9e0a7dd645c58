-- What the jobs of one Lua share: the code, loaded once. Takes the bytecode of a job's set-up, a function that puts the libraries into
-- globals, what is the same for all jobs (`facts`), whether they are `plain`, and the host's functions. Returns the function that runs a job.
-- Plain ones, which have no way to modules or to a global by a made-up name, come one after another, each with globals of its own: none
-- can reach what another has. Any other is its Lua's only job.
local code, install, facts, plain, fence = ...
local start, globals_of_all = loadstring(code), _G
local next, type, setmetatable, setfenv, collectgarbage = next, type, setmetatable, setfenv, collectgarbage
local set_any_metatable, metatable_of_strings = debug.setmetatable, getmetatable('')
local input, output, stdin, stdout, unpack = io.input, io.output, io.stdin, io.stdout, unpack
local host = { select(5, ...) }
local told = { __index = facts }
local HOSTS = #host

-- Were an object of Python's ever to reach a sproc, its metatable would stay out of reach: __gc, called twice, frees it twice.
getmetatable(fence).__metatable = false
-- No sproc changes what its files' methods do, nor what happens when they are collected.
getmetatable(io.stdout).__metatable = false

local OUT_OF_REACH = { '_G', 'package', 'require', 'module', 'loadfile', 'dofile', 'python' }

-- What a plain job finds: a copy of Lua's own, two levels deep, which is all that can be written to.
local names, libraries = {}, {}
for name, value in next, globals_of_all do names[name] = value end
for _, name in next, OUT_OF_REACH do names[name] = nil end
for name, value in next, names do
  if type(value) == 'table' then libraries[name], names[name] = value, nil end
end

local function own_globals()
  local globals = {}
  for name, value in next, names do globals[name] = value end
  for name, library in next, libraries do
    local own = {}
    for key, value in next, library do own[key] = value end
    globals[name] = own
  end
  globals._G = globals
  set_any_metatable('', { __index = globals.string })
  return globals
end

-- What a job may have changed for the next one. The files that it left open are closed now: what is in them belongs to it.
local function put_back(core, ...)
  local opened = core.opened
  core = nil -- which a sproc may have put files into
  setfenv(0, globals_of_all)
  setfenv(start, globals_of_all)
  set_any_metatable('', metatable_of_strings)
  input(stdin)
  output(stdout)
  collectgarbage('restart')
  collectgarbage('setpause', 200)
  collectgarbage('setstepmul', 200)
  if opened then collectgarbage() end
  return ...
end

-- Python holds the lists for as long as the run takes, and with them what a sproc puts into them.
local function copied(list)
  local copy = {}
  for i = 1, #list do copy[i] = list[i] end
  return copy
end

return function(source, memory_bytes, name, trigger, id, attempt, keys, args)
  local globals = plain and own_globals() or globals_of_all
  install(globals)
  setfenv(start, globals)
  if plain then setfenv(0, globals) end
  local sproc = { name = name, trigger = trigger, id = id, attempt = attempt }
  local core = setmetatable({ sproc = sproc, memory_bytes = memory_bytes }, told)
  local run = start(core, unpack(host, 1, HOSTS))
  return put_back(core, run(source, name, copied(keys), copied(args)))
end
