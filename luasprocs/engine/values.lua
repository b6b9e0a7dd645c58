-- The value of a key as an event sproc gets it: the string itself, or a JSON text; empty when the key is gone.
local VALUE_LIMIT_BYTES = 512 * 1024
local VALUE_LIMIT_TEXT = '524288' -- the same for a command: a number costs more to hand over
local ELEMENTS_LIMIT = 10000 -- of a hash, list, set, zset or stream

-- What publishes these leaves a string, so that one command reads it and TYPE need not be asked.
local STRING_EVENTS = {
  set = true, append = true, incrby = true, incrbyfloat = true, setrange = true, setbit = true, pfadd = true,
}

-- Bytes of a part: a string, or a stream's entry, `{ id, { field, value, ... } }`.
local function size_of(part)
  if type(part) == 'string' then return #part end
  local bytes = #part[1]
  for _, text in ipairs(part[2]) do bytes = bytes + #text end
  return bytes
end

-- Takes how many parts make an element and a function that adds element `i` of `flat` to the result. Returns the elements
-- that fit the limit of bytes.
local function fitting(flat, width, add)
  local kept, bytes = {}, 0
  for i = 1, #flat, width do
    for part = i, i + width - 1 do bytes = bytes + size_of(flat[part]) end
    if bytes > VALUE_LIMIT_BYTES then break end
    add(kept, flat, i)
  end
  return kept
end

local function add_one(kept, flat, i) kept[#kept + 1] = flat[i] end
local function add_pair(kept, flat, i) kept[flat[i]] = flat[i + 1] end
local function add_scored(kept, flat, i) kept[#kept + 1] = { flat[i], flat[i + 1] } end

local function add_entry(kept, flat, i)
  local fields = {}
  for j = 1, #flat[i][2], 2 do fields[flat[i][2][j]] = flat[i][2][j + 1] end
  kept[#kept + 1] = { flat[i][1], fields }
end

-- At most ELEMENTS_LIMIT elements of a hash or set that has more.
local function scanned(command, key, width)
  local found, cursor = {}, '0'
  repeat
    local reply = redis.call(command, key, cursor, 'COUNT', 1000)
    cursor = reply[1]
    for _, part in ipairs(reply[2]) do found[#found + 1] = part end
  until cursor == '0' or #found >= ELEMENTS_LIMIT * width
  for i = #found, ELEMENTS_LIMIT * width + 1, -1 do found[i] = nil end
  return found
end

-- For each type: how many elements there are, and a reader of at most ELEMENTS_LIMIT of them.
local READERS = {
  hash = { 'HLEN', 2, add_pair, function(key, many)
    return many and scanned('HSCAN', key, 2) or redis.call('HGETALL', key)
  end },
  set = { 'SCARD', 1, add_one, function(key, many)
    return many and scanned('SSCAN', key, 1) or redis.call('SMEMBERS', key)
  end },
  list = { 'LLEN', 1, add_one, function(key) return redis.call('LRANGE', key, 0, ELEMENTS_LIMIT - 1) end },
  zset = { 'ZCARD', 2, add_scored, function(key)
    return redis.call('ZRANGE', key, 0, ELEMENTS_LIMIT - 1, 'WITHSCORES')
  end },
  stream = { 'XLEN', 1, add_entry, function(key) return redis.call('XRANGE', key, '-', '+', 'COUNT', ELEMENTS_LIMIT) end },
}

-- A string, and its whole size where it was cut.
local function read_string(key)
  local value = redis.call('GETRANGE', key, '0', VALUE_LIMIT_TEXT)
  if #value <= VALUE_LIMIT_BYTES then return value end
  return value:sub(1, VALUE_LIMIT_BYTES), redis.call('STRLEN', key) .. ' bytes'
end

local function read_elements(reader, key)
  local length = redis.call(reader[1], key)
  local flat = reader[4](key, length > ELEMENTS_LIMIT)
  local width = reader[2]
  local kept = fitting(flat, width, reader[3])
  local count = 0
  for _ in pairs(kept) do count = count + 1 end
  local cut = count < length and (length .. ' elements') or nil
  return json().encode(kept), cut
end

local function read_json(key)
  local value = redis.call('JSON.GET', key)
  if #value <= VALUE_LIMIT_BYTES then return value end
  return '', #value .. ' bytes'
end

-- Takes a key and whether its value is wanted. Returns value, type (`none` for a key that is gone), and the whole size where the
-- value was cut. Raises what a command raises.
local function read_value(key, wanted)
  local kind = redis.call('TYPE', key).ok
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
