-- What most chunks need: the time, JSON, the registry that is served, and keys that may have been made by hand.
local core = ...
local prelude = {}

-- A cjson of the engine's own: a sproc may change the settings of the shared one.
local own_json
function prelude.json()
  own_json = own_json or cjson.new()
  return own_json
end
core.json = prelude.json

function prelude.now_ms()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

prelude.clock_us = core.use 'clock'

-- A name that no other call gives: of a job, or of a chain of causes.
local ids = 0
function prelude.new_id()
  local now = redis.call('TIME')
  ids = ids + 1
  return string.format('%d-%d', now[1] * 1000000 + now[2], ids)
end

-- A record is no reason to lose a reply: a key of the wrong type, made by hand, gives way.
function prelude.writable(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then redis.call('DEL', key) end
  return key
end

function prelude.is_paused(name)
  return redis.pcall('SISMEMBER', K.PAUSED, name) == 1
end

local function empty(kept)
  for key in next, kept do kept[key] = nil end
end
prelude.empty = empty

-- The generation of the registry, which is served from here on: what was compiled from another is dropped. Empty where there is none.
function prelude.serve_generation()
  local registered = redis.pcall('HGET', K.REVISION, 'generation')
  if registered ~= core.generation then
    empty(core.entries)
    empty(core.direct)
    empty(core.later)
    empty(core.use 'guard'.loaded)
    core.generation = nil
  end
  core.use 'pin'()
  return type(registered) == 'string' and registered or ''
end

return prelude
