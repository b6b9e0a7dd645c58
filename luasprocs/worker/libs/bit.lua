-- `bit`: Lua BitOp 1.0.2 (Mike Pall, MIT), in Lua. Lua 5.1 has no operators for bits, so that AND is looked up and the
-- others follow from it. Inside, words are 0 to 2^32 - 1; what a sproc gets is signed.
local checks = ...
local as_number, type_error = checks.as_number, checks.type_error
local floor, frexp, abs, select, format = math.floor, math.frexp, math.abs, select, string.format

local WORD = 2 ^ 32
local SIGN = 2 ^ 31
local MAGIC = 2 ^ 52 + 2 ^ 51 -- added to a number, its whole part rounded to even is in the low bits of the sum

-- AND of two bytes, by 256 * first + second; each is worked out at its first use, a table of all would cost every job.
local AND = setmetatable({}, { __index = function(known, at)
  local first, second, result = floor(at / 256), at % 256, 0
  for power = 0, 7 do
    if first % 2 == 1 and second % 2 == 1 then result = result + 2 ^ power end
    first, second = floor(first / 2), floor(second / 2)
  end
  known[at] = result
  return result
end })

-- Takes two words. Returns their AND.
local function both(first, second)
  local a, b = first % 256, second % 256
  first, second = (first - a) / 256, (second - b) / 256
  local c, d = first % 256, second % 256
  first, second = (first - c) / 256, (second - d) / 256
  local e, f = first % 256, second % 256
  return AND[a * 256 + b] + 256 * AND[c * 256 + d] + 65536 * AND[e * 256 + f]
    + 16777216 * AND[first - e + (second - f) / 256]
end

-- Takes a public function's argument, its number and how many there are. Returns its word: the low 32 bits of the sum, even
-- where the number is so large that they mean something else.
local function word(value, number, count)
  local found = as_number(value)
  if not found then type_error(2, number, 'number', value, count) end
  if found > -2 ^ 51 and found < 2 ^ 51 then return (found + MAGIC) % WORD end
  local sum = found + MAGIC
  if sum ~= sum or sum - sum ~= 0 then return 0 end
  return abs(frexp(sum)) * 2 ^ 53 % WORD
end

-- Takes a word. Returns it signed.
local function signed(value)
  return value >= SIGN and value - WORD or value
end

local function band(...)
  local count = select('#', ...)
  local result = word((...), 1, count)
  for number = count, 2, -1 do result = both(result, word((select(number, ...)), number, count)) end
  return result >= SIGN and result - WORD or result
end

local function bor(...)
  local count = select('#', ...)
  local result = word((...), 1, count)
  for number = count, 2, -1 do
    local other = word((select(number, ...)), number, count)
    result = result + other - both(result, other)
  end
  return result >= SIGN and result - WORD or result
end

local function bxor(...)
  local count = select('#', ...)
  local result = word((...), 1, count)
  for number = count, 2, -1 do
    local other = word((select(number, ...)), number, count)
    result = result + other - 2 * both(result, other)
  end
  return result >= SIGN and result - WORD or result
end

local function tobit(...)
  local result = word((...), 1, select('#', ...))
  return result >= SIGN and result - WORD or result
end

local function bnot(...)
  local result = WORD - 1 - word((...), 1, select('#', ...))
  return result >= SIGN and result - WORD or result
end

local function lshift(...)
  local value, by, count = ..., (select(2, ...)), select('#', ...)
  local result = word(value, 1, count) * 2 ^ (word(by, 2, count) % 32) % WORD
  return result >= SIGN and result - WORD or result
end

local function rshift(...)
  local value, by, count = ..., (select(2, ...)), select('#', ...)
  local result = floor(word(value, 1, count) / 2 ^ (word(by, 2, count) % 32))
  return result >= SIGN and result - WORD or result
end

local function arshift(...)
  local value, by, count = ..., (select(2, ...)), select('#', ...)
  local result = word(value, 1, count)
  return floor((result >= SIGN and result - WORD or result) / 2 ^ (word(by, 2, count) % 32))
end

-- Takes a word and by how much. Returns it turned to the left.
local function turned(value, by)
  local moved = value * 2 ^ by
  return signed(moved % WORD + floor(moved / WORD))
end

local function rol(...)
  local value, by, count = ..., (select(2, ...)), select('#', ...)
  value, by = word(value, 1, count), word(by, 2, count)
  local result = turned(value, by % 32)
  return result
end

local function ror(...)
  local value, by, count = ..., (select(2, ...)), select('#', ...)
  value, by = word(value, 1, count), word(by, 2, count)
  local result = turned(value, -by % 32)
  return result
end

local function bswap(...)
  local value = word((...), 1, select('#', ...))
  local first, second, third = value % 256, floor(value / 256) % 256, floor(value / 65536) % 256
  local result = first * 16777216 + second * 65536 + third * 256 + floor(value / 16777216)
  return result >= SIGN and result - WORD or result
end

local function tohex(...)
  local count = select('#', ...)
  local value, digits = word((...), 1, count), 8
  if count > 1 then digits = signed(word((select(2, ...)), 2, count)) end
  local text = format(digits < 0 and '%08X' or '%08x', value)
  digits = abs(digits)
  if digits >= 8 then return text end
  return text:sub(9 - digits)
end

return {
  tobit = tobit, bnot = bnot, band = band, bor = bor, bxor = bxor, lshift = lshift, rshift = rshift, arshift = arshift,
  rol = rol, ror = ror, bswap = bswap, tohex = tohex,
}
