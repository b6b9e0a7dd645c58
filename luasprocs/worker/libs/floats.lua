-- Numbers as IEEE 754 bits and back, for `struct` and `cmsgpack`. A word is 0 to 2^32 - 1.
local floor, frexp, ldexp, huge, format, sub = math.floor, math.frexp, math.ldexp, math.huge, string.format, string.sub

local SIGN = 2 ^ 31
local TO_EVEN = 2 ^ 52 -- added and taken away, it rounds to a whole number, half to even

local NAN = 0 / 0
if sub(format('%f', NAN), 1, 1) == '-' then NAN = -NAN end

-- Takes a number. Returns its sign bit as part of a word, and its magnitude.
local function sign_of(number)
  if number ~= number then return sub(format('%f', number), 1, 1) == '-' and SIGN or 0, number end
  if number < 0 or number == 0 and 1 / number < 0 then return SIGN, -number end
  return 0, number
end

-- Takes a number. Returns the high and the low word of its double.
local function double_words(number)
  local sign, size = sign_of(number)
  if size == 0 then return sign, 0 end
  if size ~= size then return sign + 0x7ff80000, 0 end
  if size == huge then return sign + 0x7ff00000, 0 end
  local part, exponent = frexp(size)
  if exponent < -1021 then -- subnormal
    local bits = ldexp(part, exponent + 1074)
    return sign + floor(bits / 2 ^ 32), bits % 2 ^ 32
  end
  local fraction = (part * 2 - 1) * 2 ^ 20
  local high = floor(fraction)
  return sign + (exponent + 1022) * 2 ^ 20 + high, (fraction - high) * 2 ^ 32
end

-- Takes a number. Returns the word of the float next to it.
local function float_word(number)
  local sign, size = sign_of(number)
  if size == 0 then return sign end
  if size ~= size then return sign + 0x7fc00000 end
  local part, exponent = frexp(size)
  if size == huge or exponent > 128 then return sign + 0x7f800000 end
  if exponent < -125 then return sign + (ldexp(part, exponent + 149) + TO_EVEN - TO_EVEN) end -- subnormal
  return sign + (exponent + 125) * 2 ^ 23 + (part * 2 ^ 24 + TO_EVEN - TO_EVEN)
end

-- Takes a sign and the fraction beside the highest exponent. Returns infinity or NaN, whose sign no product would change.
local function special(sign, fraction)
  if fraction == 0 then return sign * huge end
  if sign < 0 then return -NAN end
  return NAN
end

-- Takes the high and the low word of a double. Returns its number; of NaNs only the sign is kept.
local function double_of(high, low)
  local sign = high >= SIGN and -1 or 1
  local exponent = floor(high / 2 ^ 20) % 2048
  local fraction = high % 2 ^ 20 * 2 ^ 32 + low
  if exponent == 2047 then return special(sign, fraction) end
  if exponent == 0 then return sign * ldexp(fraction, -1074) end
  return sign * ldexp(fraction + 2 ^ 52, exponent - 1075)
end

-- Takes the word of a float. Returns its number; of NaNs only the sign is kept.
local function float_of(word)
  local sign = word >= SIGN and -1 or 1
  local exponent, fraction = floor(word / 2 ^ 23) % 256, word % 2 ^ 23
  if exponent == 255 then return special(sign, fraction) end
  if exponent == 0 then return sign * ldexp(fraction, -149) end
  return sign * ldexp(fraction + 2 ^ 23, exponent - 150)
end

return { double_words = double_words, float_word = float_word, double_of = double_of, float_of = float_of }
