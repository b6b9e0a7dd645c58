-- `cmsgpack`: lua-cmsgpack 0.4.0 (Salvatore Sanfilippo, MIT), in Lua. A table of nothing but 1 to n is an array, any other
-- a map; whole numbers are integers, others floats where a float holds them.
local checks, floats = ...
local fail, argument_error = checks.fail, checks.argument_error
local check_string, check_integer = checks.check_string, checks.check_integer
local byte, char, sub = string.byte, string.char, string.sub
local floor, huge, concat = math.floor, math.huge, table.concat
local type, next, select, unpack, error = type, next, select, unpack, error

local WORD = 2 ^ 32
local NESTING_LIMIT = 16 -- tables below are nil
local STACK_LIMIT = 8000 -- LUAI_MAXCSTACK: what a C function may have on its stack
local RESULTS = 'stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)'
local EOF, BAD_FORMAT = 'Missing bytes in input.', 'Bad data format in input.'

-- Takes a word. Returns its four bytes, the highest first.
local function bytes_of(word)
  local low = word % 256
  word = (word - low) / 256
  local third = word % 256
  word = (word - third) / 256
  local second = word % 256
  return char((word - second) / 256, second, third, low)
end

-- Takes a head's first bytes for 16 and for 32 bits, and a count. Returns the head.
local function long_head(head16, head32, count)
  if count <= 0xffff then return char(head16, floor(count / 256), count % 256) end
  return char(head32) .. bytes_of(count % WORD)
end

-- Takes a string. Returns its head.
local function string_head(text)
  local length = #text
  if length < 32 then return char(0xa0 + length) end
  if length <= 0xff then return char(0xd9, length) end
  return long_head(0xda, 0xdb, length)
end

-- Takes a number. Returns it packed.
local function number_bytes(number)
  if number >= -32 and number <= 127 and floor(number) == number then return char(number % 256) end
  -- NaN is no integer, and so is what 64 bits don't hold
  if not (number >= -2 ^ 63 and number < 2 ^ 63 and floor(number) == number) then
    local high, low = floats.double_words(number)
    local word = floats.float_word(number)
    if floats.float_of(word) == number then return '\202' .. bytes_of(word) end
    return '\203' .. bytes_of(high) .. bytes_of(low)
  end
  if number >= 0 then
    if number <= 0xff then return char(0xcc, number) end
    if number <= 0xffff then return char(0xcd, floor(number / 256), number % 256) end
    if number < WORD then return '\206' .. bytes_of(number) end
    return '\207' .. bytes_of(floor(number / WORD)) .. bytes_of(number % WORD)
  end
  if number >= -0x80 then return char(0xd0, number % 256) end
  if number >= -0x8000 then return char(0xd1, floor(number / 256) % 256, number % 256) end
  if number >= -2 ^ 31 then return '\210' .. bytes_of(number % WORD) end
  return '\211' .. bytes_of(floor(number / WORD) % WORD) .. bytes_of(number % WORD)
end

-- Takes a table. Returns how many elements it has as an array, or nil and how many keys as a map.
local function array_length(value)
  local count, max = 0, 0
  for key in next, value do
    count = count + 1
    if max then
      if type(key) ~= 'number' or key <= 0 or key >= 2 ^ 31 or floor(key) ~= key then max = nil
      elseif key > max then max = key end
    end
  end
  if max == count then return count end
  return nil, count
end

-- Takes the parts so far and how many, a value and how deep it is. Returns how many parts there are with it.
local function encode(parts, n, value, level)
  local kind = type(value)
  n = n + 1
  if kind == 'string' then
    parts[n] = string_head(value)
    n = n + 1
    parts[n] = value
  elseif kind == 'number' then
    parts[n] = number_bytes(value)
  elseif kind == 'boolean' then
    parts[n] = value and '\195' or '\194'
  elseif kind ~= 'table' or level == NESTING_LIMIT then
    parts[n] = '\192'
  else
    local length, keys = array_length(value)
    if length then
      parts[n] = length <= 15 and char(0x90 + length) or long_head(0xdc, 0xdd, length)
      for i = 1, length do n = encode(parts, n, value[i], level + 1) end
    else
      parts[n] = keys <= 15 and char(0x80 + keys) or long_head(0xde, 0xdf, keys)
      for key, element in next, value do
        n = encode(parts, n, key, level + 1)
        n = encode(parts, n, element, level + 1)
      end
    end
  end
  return n
end

-- cmsgpack.pack(value...). Returns a string.
local function pack(...)
  local count = select('#', ...)
  if count == 0 then argument_error(1, 0, 'MessagePack pack needs input.') end
  local parts, n = {}, 0
  for number = 1, count do n = encode(parts, n, (select(number, ...)), 0) end
  return concat(parts)
end

local decode

-- Readers of the heads that say all but an offset: by head, the bytes that they need and a function of the text and the place
-- of the first byte after the head.
local FIXED = {
  [0xcc] = { 1, function(text, at) return (byte(text, at)) end },
  [0xd0] = { 1, function(text, at)
    local value = byte(text, at)
    return value >= 128 and value - 256 or value
  end },
  [0xcd] = { 2, function(text, at)
    local a, b = byte(text, at, at + 1)
    return a * 256 + b
  end },
  [0xd1] = { 2, function(text, at)
    local a, b = byte(text, at, at + 1)
    local value = a * 256 + b
    return value >= 2 ^ 15 and value - 2 ^ 16 or value
  end },
  [0xc0] = { 0, function() return nil end },
  [0xc2] = { 0, function() return false end },
  [0xc3] = { 0, function() return true end },
}

-- Takes a text and the place of a word. Returns the word.
local function word_at(text, at)
  local a, b, c, d = byte(text, at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

-- Takes a text and the place of two words. Returns them as a signed number: an unsigned one is taken for that, too.
local function long_at(text, at)
  local high = word_at(text, at)
  return (high >= 2 ^ 31 and high - WORD or high) * WORD + word_at(text, at + 4)
end

FIXED[0xce] = { 4, word_at }
FIXED[0xd2] = { 4, function(text, at)
  local value = word_at(text, at)
  return value >= 2 ^ 31 and value - WORD or value
end }
FIXED[0xcf] = { 8, long_at }
FIXED[0xd3] = { 8, long_at }
FIXED[0xca] = { 4, function(text, at) return floats.float_of(word_at(text, at)) end }
FIXED[0xcb] = { 8, function(text, at) return floats.double_of(word_at(text, at), word_at(text, at + 4)) end }

-- How many bytes of length follow a head, and of what.
local LENGTHS = {
  [0xd9] = { 1, 'string' }, [0xda] = { 2, 'string' }, [0xdb] = { 4, 'string' },
  [0xdc] = { 2, 'array' }, [0xdd] = { 4, 'array' }, [0xde] = { 2, 'map' }, [0xdf] = { 4, 'map' },
}

-- Takes a text, the place after an array's head, its length and the slots in use. Returns as `decode`.
local function decode_array(text, at, length, used)
  local result = {}
  if used + 2 > STACK_LIMIT then return nil, nil, 'stack overflow (in function mp_decode_to_lua_array)' end
  for i = 1, length do
    local value, after, problem = decode(text, at, used + 2)
    if not after then return nil, nil, problem end
    result[i], at = value, after
  end
  return result, at
end

-- The same for a map.
local function decode_map(text, at, length, used)
  local result = {}
  for _ = 1, length do
    local key, after, problem = decode(text, at, used + 1)
    if not after then return nil, nil, problem end
    local value
    value, after, problem = decode(text, after, used + 2)
    if not after then return nil, nil, problem end
    if key == nil then error('table index is nil', 0) end
    if key ~= key then error('table index is NaN', 0) end
    result[key], at = value, after
  end
  return result, at
end

-- Takes a text, a place and how many slots C's stack would have in use. Returns the value there and the place after it, or
-- nil, nil and what is wrong.
function decode(text, at, used)
  local head = byte(text, at)
  if not head then return nil, nil, EOF end
  if used + 1 > STACK_LIMIT then return nil, nil, RESULTS end
  if head < 0x80 then return head, at + 1 end
  if head >= 0xe0 then return head - 256, at + 1 end
  local length, kind = nil, 'string'
  if head < 0x90 then
    length, kind = head - 0x80, 'map'
  elseif head < 0xa0 then
    length, kind = head - 0x90, 'array'
  elseif head < 0xc0 then
    length = head - 0xa0
  end
  at = at + 1
  if not length then
    local fixed = FIXED[head]
    if fixed then
      if at + fixed[1] > #text + 1 then return nil, nil, EOF end
      return fixed[2](text, at), at + fixed[1]
    end
    local sized = LENGTHS[head]
    if not sized then return nil, nil, BAD_FORMAT end
    if at + sized[1] > #text + 1 then return nil, nil, EOF end
    length, kind = 0, sized[2]
    for i = at, at + sized[1] - 1 do length = length * 256 + byte(text, i) end
    at = at + sized[1]
  end
  if kind == 'array' then return decode_array(text, at, length, used) end
  if kind == 'map' then return decode_map(text, at, length, used) end
  if at + length > #text + 1 then return nil, nil, EOF end
  return sub(text, at, at + length - 1), at + length
end

-- Takes a whole number. Returns it as C's int has it.
local function int(number)
  return (number + 2 ^ 31) % WORD - 2 ^ 31
end

-- Takes a text, at most how many values, an offset and the arguments on C's stack. Returns the values, how many, and the
-- offset to go on from, -1 at the end. One function below a public one.
local function values_of(text, limit, offset, used)
  local length = #text
  if offset < 0 or limit < 0 then
    fail(2, ('Invalid request to unpack with offset of %d and limit of %d.'):format(int(offset), int(length)))
  elseif offset > length then
    fail(2, ('Start offset %d greater than input length %d.'):format(int(offset), int(length)))
  end
  local all = limit == 0 and offset == 0
  local values, found, at = {}, 0, offset + 1
  while at <= length and (all or found < limit) do
    local value, after, problem = decode(text, at, used + found)
    if not after then fail(2, problem) end
    found = found + 1
    values[found], at = value, after
  end
  if not all and used + found + 1 > STACK_LIMIT then fail(2, 'stack overflow (in function mp_unpack_full)') end
  return values, found, at > length and -1 or at - 1, all
end

-- cmsgpack.unpack(text). Returns all values.
local function unpack_all(...)
  local count = select('#', ...)
  local values, found = values_of(check_string(1, 1, (...), count), 0, 0, count)
  -- two apart, since `unpack` has room for a few less than C
  if found > 2 then return values[1], values[2], unpack(values, 3, found) end
  return unpack(values, 1, found)
end

-- cmsgpack.unpack_one(text[, offset]). Returns the offset to go on from, and a value unless there is none.
local function unpack_one(...)
  local count = select('#', ...)
  local offset = select(2, ...)
  offset = offset == nil and 0 or check_integer(1, 2, offset, count)
  local values, found, after = values_of(check_string(1, 1, (...), count), 1, offset, 1)
  return after, unpack(values, 1, found)
end

-- cmsgpack.unpack_limit(text, limit[, offset]). Returns the offset to go on from and the values; with a limit and an offset of 0
-- all values and no offset.
local function unpack_limit(...)
  local count = select('#', ...)
  local limit = check_integer(1, 2, (select(2, ...)), count)
  local offset = select(3, ...)
  offset = offset == nil and 0 or check_integer(1, 3, offset, count)
  local values, found, after, all = values_of(check_string(1, 1, (...), count), limit, offset, 1)
  if found > 2 and all then return values[1], values[2], unpack(values, 3, found) end
  if all then return unpack(values, 1, found) end
  if found > 2 then return after, values[1], values[2], unpack(values, 3, found) end
  return after, unpack(values, 1, found)
end

return {
  pack = pack, unpack = unpack_all, unpack_one = unpack_one, unpack_limit = unpack_limit,
  _NAME = 'cmsgpack', _VERSION = 'lua-cmsgpack 0.4.0', _COPYRIGHT = 'Copyright (C) 2012, Salvatore Sanfilippo',
  _DESCRIPTION = 'MessagePack C implementation for Lua',
}
