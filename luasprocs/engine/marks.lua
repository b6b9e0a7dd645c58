-- How far each schedule has run: `ms schedule`. On a single server that is a field of SCHEDULED. In a cluster it is a key in the slot of the
-- schedule's `at`, so that it moves with that slot: what serves the slot runs the schedule. One with at=each runs on each shard by itself.
local core = ...
local prelude, header = core.use 'prelude', core.use 'header'
local marks = {}

-- The tag of a schedule's key. What can't be a tag as it is, as it has braces, has a tag of its own.
local function tag_of(at)
  local tag = at:match('^[^{]*{([^}]+)}')
  if tag then return tag end
  return at:find('}', 1, true) and redis.sha1hex(at) or at
end

-- The key of a name's mark; nothing if it is a field of SCHEDULED.
local function key_of(name)
  if K.TAG == '' then return nil end
  local values = header.read(name, 'at') or {}
  if values.at == 'each' then return nil end
  return '{' .. tag_of(values.at or name) .. '}:' .. K.MARK .. name
end

-- The mark of each name, false for none; and which of them another shard has.
function marks.of(names)
  local found, elsewhere, fields, places = {}, {}, {}, {}
  for n, name in ipairs(names) do
    local key = key_of(name)
    if key then
      local held = redis.pcall('GET', key)
      elsewhere[n] = type(held) == 'table' or nil
      found[n] = type(held) == 'string' and held
    else
      fields[#fields + 1], places[#places + 1] = name, n
    end
  end
  local held = #fields > 0 and redis.pcall('HMGET', K.SCHEDULED, unpack(fields)) or {}
  for place, n in ipairs(places) do found[n] = not held.err and held[place] or false end
  return found, elsewhere
end

-- Sets the marks of a list of names, each followed by its mark.
function marks.set(list)
  local fields = {}
  for i = 1, #list, 2 do
    local key = key_of(list[i])
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
