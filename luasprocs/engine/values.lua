-- The value of a key as an event sproc gets it: the string itself, or a JSON text; empty when the key is gone.
local core = ...
local prelude = core.use 'prelude'
local LIMIT_BYTES, LIMIT_TEXT = K.VALUE_LIMIT_BYTES, tostring(K.VALUE_LIMIT_BYTES) -- a number costs more to hand over
local values = { LIMIT_BYTES = LIMIT_BYTES, LIMIT_TEXT = LIMIT_TEXT }

-- What publishes these leaves a string, so that one command reads it and TYPE need not be asked.
values.STRING_EVENTS = {
  set = true, append = true, incrby = true, incrbyfloat = true, setrange = true, setbit = true, pfadd = true,
}

local PAGE_ELEMENTS = 128 -- read at once

-- Bytes of a part: a string, or a stream's entry, `{ id, { field, value, ... } }`.
local function size_of(part)
  if type(part) == 'string' then return #part end
  local bytes = #part[1]
  for _, text in ipairs(part[2]) do bytes = bytes + #text end
  return bytes
end

local function add_one(kept, flat, i) kept[#kept + 1] = flat[i] end
local function add_pair(kept, flat, i) kept[flat[i]] = flat[i + 1] end
local function add_scored(kept, flat, i) kept[#kept + 1] = { flat[i], flat[i + 1] } end

local function add_entry(kept, flat, i)
  local fields = {}
  for j = 1, #flat[i][2], 2 do fields[flat[i][2][j]] = flat[i][2][j + 1] end
  kept[#kept + 1] = { flat[i][1], fields }
end

-- Pages are read one after the other, since a value of 10,000 elements may be far larger than what is passed. A reader of pages
-- takes key, length and where to go on (nil at first); it returns the parts, and where the next page begins, nil after the last.
local function ranged(command, ...)
  local more = { ... }
  return function(key, length, from)
    from = from or 0
    local till = from + PAGE_ELEMENTS
    local found = redis.call(command, key, from, till - 1, unpack(more))
    return found, till < length and till or nil
  end
end

local function scanned(whole, command)
  return function(key, length, cursor)
    if length <= PAGE_ELEMENTS then return redis.call(whole, key) end
    local reply = redis.call(command, key, cursor or '0', 'COUNT', PAGE_ELEMENTS)
    return reply[2], reply[1] ~= '0' and reply[1] or nil
  end
end

local function stream_page(key, _, after)
  local found = redis.call('XRANGE', key, after or '-', '+', 'COUNT', PAGE_ELEMENTS)
  return found, #found == PAGE_ELEMENTS and '(' .. found[#found][1] or nil
end

-- For each type: how many elements there are, how many parts make one, how it is added to the result, pages, and whether an
-- element may stand in two pages.
local READERS = {
  hash = { 'HLEN', 2, add_pair, scanned('HGETALL', 'HSCAN'), true },
  set = { 'SCARD', 1, add_one, scanned('SMEMBERS', 'SSCAN'), true },
  list = { 'LLEN', 1, add_one, ranged('LRANGE') },
  zset = { 'ZCARD', 2, add_scored, ranged('ZRANGE', 'WITHSCORES') },
  stream = { 'XLEN', 1, add_entry, stream_page },
}

-- A string, and its whole size where it was cut.
local function read_string(key)
  local value = redis.call('GETRANGE', key, '0', LIMIT_TEXT)
  if #value <= LIMIT_BYTES then return value end
  return value:sub(1, LIMIT_BYTES), redis.call('STRLEN', key) .. ' bytes'
end

-- The elements that fit both limits, how many they are, and how many there are.
local function elements_of(reader, key)
  local width, add, page, twice = reader[2], reader[3], reader[4], reader[5]
  local kept, count, bytes, seen, flat, at = {}, 0, 0, {}, nil, nil
  local length = redis.call(reader[1], key)
  repeat
    flat, at = page(key, length, at)
    for i = 1, #flat, width do
      if not (twice and seen[flat[i]]) then
        for part = i, i + width - 1 do bytes = bytes + size_of(flat[part]) end
        if bytes > LIMIT_BYTES or count == K.ELEMENTS_LIMIT then return kept, count, length end
        add(kept, flat, i)
        count = count + 1
        if twice then seen[flat[i]] = true end
      end
    end
  until not at
  return kept, count, length
end

local function read_elements(reader, key)
  local kept, count, length = elements_of(reader, key)
  return prelude.json().encode(kept), count < length and length .. ' elements' or nil
end

local function read_json(key)
  local value = redis.call('JSON.GET', key)
  if #value <= LIMIT_BYTES then return value end
  return '', #value .. ' bytes'
end

-- The type of a key, `none` if it is gone. OBJECT looks first, as TYPE of a key that is gone publishes `keymiss`: an event that no
-- client caused, whose run would read the key again.
local function type_of(key)
  if not redis.call('OBJECT', 'ENCODING', key) then return 'none' end
  return redis.call('TYPE', key).ok
end

-- Takes a key and whether its value is wanted. Returns value, type (`none` for a key that is gone), and the whole size where the
-- value was cut. Raises what a command raises.
function values.read(key, wanted)
  local kind = type_of(key)
  if not wanted or kind == 'none' then return '', kind end
  if kind == 'string' then
    local value, cut = read_string(key)
    return value, kind, cut
  end
  local value, cut = '', nil
  if READERS[kind] then
    value, cut = read_elements(READERS[kind], key)
  elseif kind == 'ReJSON-RL' then
    value, cut = read_json(key)
  end
  return value, kind, cut
end

return values
