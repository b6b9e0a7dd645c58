-- How far each schedule has run: `ms schedule`. On a single server that is a field of SCHEDULED. In a cluster it is a key in the slot of the
-- schedule's `at`, so that it moves with that slot: what serves the slot runs the schedule. One with at=each runs on each shard by itself.
local core = ...
local prelude, marks = core.use 'prelude', {}
local moved = K.TAG ~= '' and core.use 'moved'
local key_of = moved and moved.mark_key

-- The mark of each name, false for none; and which of them another shard has, or will have in a moment.
function marks.of(names)
  local found, elsewhere = redis.pcall('HMGET', K.SCHEDULED, unpack(names)), {}
  if found.err then found = {} end
  for n, name in ipairs(key_of and names or {}) do
    local key = key_of(name)
    if key then
      elsewhere[n] = moved.is_elsewhere(key) or nil
      local held = not elsewhere[n] and redis.pcall('GET', key)
      found[n] = type(held) == 'string' and held
    end
  end
  return found, elsewhere
end

-- Sets the marks of a list of names, each followed by its mark.
function marks.set(list)
  local fields = {}
  for i = 1, #list, 2 do
    local key = key_of and key_of(list[i])
    if key then
      redis.call('SET', key, list[i + 1])
    else
      fields[#fields + 1], fields[#fields + 2] = list[i], list[i + 1]
    end
  end
  for first = 1, #fields, 1000 do
    redis.call('HSET', prelude.writable(K.SCHEDULED, 'hash'), unpack(fields, first, math.min(#fields, first + 999)))
  end
end

return marks
