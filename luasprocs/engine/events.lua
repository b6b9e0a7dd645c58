-- Events and recorded runs: what daemons call. Made at the first such call, and kept.
local core = ...
local serve = {}
local entries, loading, load_entry, is = core.entries, core.loading, core.load_entry, core.is
local text_of, explain, run_marked, put_back = core.text_of, core.explain, core.run_marked, core.put_back

-- A cjson of the engine's own: a sproc may change the settings of the shared one.
local own_json
local function json()
  own_json = own_json or cjson.new()
  return own_json
end

local function empty(kept)
  for key in next, kept do kept[key] = nil end
end

-- Makes `registered` the registry that is served: what was compiled from another is dropped.
local function serve_generation(registered)
  if registered ~= core.generation then
    empty(entries)
    empty(core.loaded)
    empty(core.later)
    core.generation = nil
  end
  core.pin()
end

-- xpcall passes no arguments in Lua 5.1: they are handed over here, and no closure is made on each run.
local running, running_keys, running_args
local function run_handed()
  return running.run(running_keys, running_args)
end

-- The sproc of an event's run: FUNCTION KILL leaves it as it was then, until `mend`.
local unmended
local function mend()
  if unmended then
    unmended.trigger, unmended.cut, unmended = 'call', nil, nil
    core.origin, core.depth = nil, nil
    empty(loading)
  end
end
