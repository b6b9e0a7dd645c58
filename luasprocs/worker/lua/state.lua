-- What the jobs of one Lua share. Takes the bytecode of sandbox.lua, files.lua and so on, a function that puts the libraries into globals, what
-- Lua is told of its surroundings (`facts`), whether its jobs are `plain`, and the host's functions. Returns the function that runs a job.
-- Plain ones, which have no way to modules, to functions' environments or to a global by a made-up name, come one after another, each with
-- tables of its own: none can reach what another has. Any other is its Lua's only job.
local code, install, facts, plain, fence, lift = ...
local next, type, format, concat, setmetatable, setfenv = next, type, string.format, table.concat, setmetatable, setfenv
local loadstring, collectgarbage, globals_of_all = loadstring, collectgarbage, _G
local set_any_metatable, metatable_of_strings = debug.setmetatable, getmetatable('')
local randomseed = math.randomseed
local input, output, stdin, stdout = io.input, io.output, io.stdin, io.stdout
local MOST_KB = 512 -- that one job leaves to the next: the collector waits for as much again

-- Were an object of Python's ever to reach a sproc, its metatable would stay out of reach: __gc, called twice, frees it twice.
getmetatable(fence).__metatable = false
-- No sproc changes what its files' methods do, nor what happens when they are collected: a file's metatable, as Lua makes it, is its own __index.
local of_files, methods = getmetatable(stdout), {}
for _, name in next, { 'close', 'flush', 'lines', 'read', 'seek', 'setvbuf', 'write' } do methods[name] = of_files[name] end
of_files.__index, of_files.__metatable = methods, false

install(globals_of_all)
local core = setmetatable({ sproc = {} }, { __index = facts })
local run = loadstring(code)(core, select(5, ...))
local call, enqueue = core.sproc.call, core.sproc.enqueue

local OUT_OF_REACH = { '_G', 'package', 'require', 'module', 'loadfile', 'dofile', 'debug', 'getfenv', 'setfenv', 'server' }

-- Returns a function that makes a plain job's globals: a copy of these, two levels deep, which is all of them that can be written to.
-- It is made as code, as a table that a constructor makes has its size from the start.
local function copier()
  local names, code_of = {}, {}
  for name, value in next, globals_of_all do names[name] = value end
  for _, name in next, OUT_OF_REACH do names[name] = nil end
  for name, value in next, names do
    local from = format('all[%q]', name)
    if type(value) == 'table' then
      local keys = {}
      for key in next, value do keys[#keys + 1] = format('[%q] = from[%q]', key, key) end
      code_of[#code_of + 1] = format('do local from = %s globals[%q] = { %s } end', from, name, concat(keys, ', '))
      from = 'false'
    end
    names[name] = format('[%q] = %s', name, from)
  end
  local fields = {}
  for _, field in next, names do fields[#fields + 1] = field end
  local body = format('local globals = { %s } %s return globals', concat(fields, ', '), concat(code_of, ' '))
  return loadstring('local all = ... return function() ' .. body .. ' end')(globals_of_all)
end

local copy = plain and copier()

local function globals_of_one()
  local globals = copy()
  install(globals)
  core.redis = globals.redis
  if facts.versions.valkey then globals.server = globals.redis end
  setfenv(0, globals)
  set_any_metatable('', { __index = globals.string })
end

-- What a job may have changed for the next one. The files that it left open are closed now: what is in them belongs to it.
local function put_back(...)
  lift() -- texts are made by what the sproc has left, which may have called the host
  local opened = core.opened
  core.sproc, core.redis, core.opened, core.refusals, core.resp = nil, nil, nil, nil, nil
  setfenv(0, globals_of_all)
  set_any_metatable('', metatable_of_strings)
  input(stdin)
  output(stdout)
  collectgarbage('restart')
  collectgarbage('setpause', 200)
  collectgarbage('setstepmul', 200)
  if opened or collectgarbage('count') > MOST_KB then collectgarbage() end
  return ...
end

-- Python holds the lists for as long as the run takes, and with them what a sproc puts into them.
local function copied(list)
  local own = {}
  for i = 1, #list do own[i] = list[i] end
  return own
end

return function(source, memory_bytes, name, trigger, id, attempt, seed, keys, args)
  if plain then globals_of_one() end
  core.memory_bytes = memory_bytes
  randomseed(seed) -- the process has one order of random numbers, which the job before may have set
  core.sproc = { name = name, trigger = trigger, id = id, attempt = attempt, shard = facts.shard, call = call, enqueue = enqueue }
  return put_back(run(source, name, copied(keys), copied(args)))
end
