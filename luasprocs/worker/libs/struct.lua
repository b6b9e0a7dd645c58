-- `struct`: the library for C structs of Roberto Ierusalimschy (MIT) as Redis has it, in Lua: little-endian and unaligned
-- unless the format says otherwise, `l` and `T` of 8 bytes.
local checks, floats = ...
local fail, argument_error, type_error, as_number = checks.fail, checks.argument_error, checks.type_error, checks.as_number
local check_string, check_integer = checks.check_string, checks.check_integer
local byte, char, sub, rep, find = string.byte, string.char, string.sub, string.rep, string.find
local floor, ceil, concat, select, unpack = math.floor, math.ceil, table.concat, select, unpack

local INT_MAX = 2 ^ 31 - 1
local WORD = 2 ^ 32
local STACK_LIMIT = 8000 -- LUAI_MAXCSTACK: what a C function may have on its stack
local SIZES = { b = 1, B = 1, h = 2, H = 2, l = 8, L = 8, T = 8, f = 4, d = 8, x = 1 }
local INTEGERS = { b = true, B = true, h = true, H = true, l = true, L = true, T = true, i = true, I = true }

-- Takes a format, a place in it and a default. Returns the number there and the place after it. Two functions below a public one.
local function number_at(format, at, default)
  local digit = byte(format, at)
  if not digit or digit < 48 or digit > 57 then return default, at end
  local number = 0
  repeat
    number = number * 10 + digit - 48
    if number > INT_MAX then fail(3, 'integral size overflow') end
    at = at + 1
    digit = byte(format, at)
  until not digit or digit < 48 or digit > 57
  return number, at
end

-- Takes an option, the format and the place after the option. Returns the option's size and the place after that.
local function size_of(option, format, at)
  local size = SIZES[option]
  if size then return size, at end
  if option == 'c' then return number_at(format, at, 1) end
  if option ~= 'i' and option ~= 'I' then return 0, at end
  size, at = number_at(format, at, 4)
  if size > 32 then fail(2, ('integral size %d is larger than limit of 32'):format(size)) end
  return size, at
end

-- Takes a place, the alignment, an option and its size. Returns how many bytes bring the option to where it belongs.
local function padding(place, align, option, size)
  if align == 1 or size == 0 or option == 'c' then return 0 end
  if size > align then size = align end
  local mask, rest, power = size - 1, 0, 1
  while power <= mask do -- AND, since a size need be no power of two
    if floor(mask / power) % 2 == 1 and floor(place / power) % 2 == 1 then rest = rest + power end
    power = power * 2
  end
  local needed, result = size - rest, 0
  power = 1
  while power <= mask do
    if floor(mask / power) % 2 == 1 and floor(needed / power) % 2 == 1 then result = result + power end
    power = power * 2
  end
  return result
end

-- Takes an option that is none of a value, the format, the place after it, endianness and alignment. Returns the last three anew.
local function control(option, format, at, little, align)
  if option == ' ' then return at, little, align end
  if option == '<' then return at, true, align end
  if option == '>' then return at, false, align end
  if option ~= '!' then argument_error(2, 1, "invalid format option '" .. option .. "'") end
  align, at = number_at(format, at, 8)
  local power = align
  while power > 1 do power = power / 2 end
  if power ~= 1 then fail(2, ('alignment %d is not a power of 2'):format(align)) end
  return at, little, align
end

-- Takes a number. Returns the high and the low word of it cut to 64 bits, as x86 does it.
local function words(number)
  if number ~= number or number < -2 ^ 63 then return 2 ^ 31, 0 end
  if number >= 2 ^ 64 then return 0, 0 end
  local whole = number < 0 and ceil(number) or floor(number)
  return floor(whole / WORD) % WORD, whole % WORD
end

-- Takes a word. Returns its four bytes, the lowest first.
local function bytes_of(word)
  local first = word % 256
  word = (word - first) / 256
  local second = word % 256
  word = (word - second) / 256
  local third = word % 256
  return char(first, second, third, (word - third) / 256)
end

-- Takes a number, how many bytes and the endianness. Returns the bytes.
local function integer_bytes(number, size, little)
  local text
  if size == 1 and number >= 0 and number < 256 then
    return char(floor(number))
  else
    local high, low = words(number)
    text = size <= 4 and bytes_of(low) or bytes_of(low) .. bytes_of(high)
  end
  if #text < size then text = text .. rep('\0', size - #text) end
  if #text > size then text = sub(text, 1, size) end
  return little and text or text:reverse()
end

-- Takes data, a place, a size and the endianness. Returns the high and the low word of the integer there; of more than
-- 8 bytes the lowest count.
local function words_at(data, place, size, little)
  local text = sub(data, place + 1, place + size)
  if not little then text = text:reverse() end
  local a, b, c, d, e, f, g, h = byte(text, 1, 8)
  return ((((h or 0) * 256 + (g or 0)) * 256) + (f or 0)) * 256 + (e or 0),
    ((((d or 0) * 256 + (c or 0)) * 256) + (b or 0)) * 256 + (a or 0)
end

-- Takes words and the size that they had. Returns them as a signed number. Where C leaves undefined what happens, with more
-- than 8 bytes, as x86 does it.
local function signed(high, low, size)
  local shift = (size * 8 - 1) % 64
  if shift >= 32 then
    local place = 2 ^ (shift - 32)
    if high >= place then high = high % place - place end
  elseif high > 0 or low >= 2 ^ shift then
    return low % 2 ^ shift - 2 ^ shift
  end
  return high * WORD + low
end

-- struct.pack(format, value...). Returns a string.
local function pack(...)
  local count = select('#', ...)
  local format = check_string(1, 1, (...), count)
  local values = { select(2, ...) }
  local parts, total, number, at, little, align = {}, 0, 1, 1, true, 1
  while true do
    local option = sub(format, at, at)
    if option == '' or option == '\0' then return concat(parts) end
    local size
    size, at = size_of(option, format, at + 1)
    local pad = padding(total, align, option, size)
    if pad > 0 then parts[#parts + 1] = rep('\0', pad) end
    total = total + pad
    if INTEGERS[option] or option == 'f' or option == 'd' then
      local value = as_number(values[number])
      if not value then type_error(1, number + 1, 'number', values[number], number + 1) end
      number = number + 1
      if option == 'd' then
        local high, low = floats.double_words(value)
        local text = bytes_of(low) .. bytes_of(high)
        parts[#parts + 1] = little and text or text:reverse()
      elseif option == 'f' then
        local text = bytes_of(floats.float_word(value))
        parts[#parts + 1] = little and text or text:reverse()
      else
        parts[#parts + 1] = integer_bytes(value, size, little)
      end
    elseif option == 'c' or option == 's' then
      local text = check_string(1, number + 1, values[number], number + 1)
      number = number + 1
      if size == 0 then size = #text end
      if #text < size then argument_error(1, number + 1, 'string too short') end
      parts[#parts + 1] = #text == size and text or sub(text, 1, size)
      if option == 's' then
        parts[#parts + 1] = '\0'
        size = size + 1
      end
    elseif option == 'x' then
      parts[#parts + 1] = '\0'
    else
      at, little, align = control(option, format, at, little, align)
    end
    total = total + size
  end
end

-- Readers of the options that always have the same size. Each takes the data, a place, a size and the endianness.
local READERS = {
  f = function(data, place, size, little)
    local _, word = words_at(data, place, size, little)
    return floats.float_of(word)
  end,
  d = function(data, place, size, little) return floats.double_of(words_at(data, place, size, little)) end,
}
for option in pairs(INTEGERS) do
  READERS[option] = find(option, '[a-z]') and function(data, place, size, little)
    local high, low = words_at(data, place, size, little)
    return signed(high, low, size)
  end or function(data, place, size, little)
    local high, low = words_at(data, place, size, little)
    return high * WORD + low
  end
end

-- struct.unpack(format, data[, position]). Returns the values and the position after them.
local function unpack_values(...)
  local count = select('#', ...)
  local format = check_string(1, 1, (...), count)
  local data = check_string(1, 2, (select(2, ...)), count)
  local given = select(3, ...)
  local place = given == nil and 1 or check_integer(1, 3, given, count)
  if place == 0 then argument_error(1, 3, 'offset must be 1 or greater') end
  place = place - 1
  local results, found, at, little, align, length = {}, 0, 1, true, 1, #data
  while true do
    local option = sub(format, at, at)
    if option == '' or option == '\0' then break end
    local size
    size, at = size_of(option, format, at + 1)
    place = place + padding(place, align, option, size)
    -- a position below 1 is far beyond the end: C takes it for unsigned
    if place < 0 or place > length - size then argument_error(1, 2, 'data string too short') end
    if count + found + 2 > STACK_LIMIT then fail(1, 'stack overflow (too many results)') end
    local reader = READERS[option]
    if reader then
      found = found + 1
      results[found] = reader(data, place, size, little)
    elseif option == 'c' then
      if size == 0 then
        local before = found > 0 and as_number(results[found])
        if not before then fail(1, "format 'c0' needs a previous size") end
        local high, low = words(before)
        size = high * WORD + low
        found = found - 1
        if place > length - size then argument_error(1, 2, 'data string too short') end
      end
      found = found + 1
      results[found] = sub(data, place + 1, place + size)
    elseif option == 's' then
      local zero = find(data, '\0', place + 1, true)
      if not zero then fail(1, 'unfinished string in data') end
      size = zero - place
      found = found + 1
      results[found] = sub(data, place + 1, zero - 1)
    elseif option ~= 'x' then
      at, little, align = control(option, format, at, little, align)
    end
    place = place + size
  end
  results[found + 1] = place + 1
  results[found + 2] = nil
  return unpack(results)
end

-- struct.size(format). Returns how many bytes it takes.
local function size(...)
  local format = check_string(1, 1, (...), select('#', ...))
  local place, at, align = 0, 1, 1
  while true do
    local option = sub(format, at, at)
    if option == '' or option == '\0' then return place end
    local width, _
    width, at = size_of(option, format, at + 1)
    place = place + padding(place, align, option, width)
    if option == 's' then argument_error(1, 1, "option 's' has no fixed size") end
    if option == 'c' and width == 0 then argument_error(1, 1, "option 'c0' has no fixed size") end
    if not find(option, '[0-9A-Za-z]') then at, _, align = control(option, format, at, true, align) end
    place = place + width
  end
end

return { pack = pack, unpack = unpack_values, size = size }
