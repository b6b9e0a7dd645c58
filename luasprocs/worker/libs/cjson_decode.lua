-- Decoding of `cjson`. `config` is a module's settings, `text` what is decoded and `at` a place in it.
local null = ...
local byte, char, sub, find, match, lower = string.byte, string.char, string.sub, string.find, string.match, string.lower
local format, concat, floor = string.format, table.concat, math.floor
local tonumber, error = tonumber, error

local STACK_LIMIT = 8000 -- LUAI_MAXCSTACK: what a C function may have on its stack
local UNESCAPES = { ['"'] = '"', ['\\'] = '\\', ['/'] = '/', b = '\b', t = '\t', n = '\n', f = '\f', r = '\r' }
local SINGLE = {
  ['{'] = 'T_OBJ_BEGIN', ['}'] = 'T_OBJ_END', ['['] = 'T_ARR_BEGIN', [']'] = 'T_ARR_END', [':'] = 'T_COLON', [','] = 'T_COMMA',
}

-- Takes a format and its values. Ends the decoding: cjson.lua raises the text with the sproc's line.
local function refuse(text, ...)
  error({ format(text, ...) })
end

-- Takes a place after a backslash and `u`. Returns the character as UTF-8 and the place after it, or nil.
local function unicode_at(text, at)
  local code = match(text, '^[0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F]', at)
  code = code and tonumber(code, 16)
  if not code then return nil end
  at = at + 4
  if code >= 0xd800 and code <= 0xdfff then
    local low = code < 0xdc00 and match(text, '^\\u([0-9a-fA-F][0-9a-fA-F][0-9a-fA-F][0-9a-fA-F])', at)
    low = low and tonumber(low, 16)
    if not low or low < 0xdc00 or low > 0xdfff then return nil end
    code = (code - 0xd800) * 1024 + low - 0xdc00 + 0x10000
    at = at + 6
  end
  if code <= 0x7f then return char(code), at end
  local last = 0x80 + code % 64
  if code <= 0x7ff then return char(0xc0 + floor(code / 64), last), at end
  local third = 0x80 + floor(code / 64) % 64
  if code <= 0xffff then return char(0xe0 + floor(code / 4096), third, last), at end
  return char(0xf0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, third, last), at
end

-- Takes the place of a quote. Returns the string and the place after it, or nil, what is wrong and where.
local function string_at(text, at)
  local from = at + 1
  local stop = find(text, '["\\%z]', from)
  if stop and byte(text, stop) == 34 then return sub(text, from, stop - 1), stop + 1 end
  local parts, n = {}, 0
  while true do
    local found = stop and byte(text, stop)
    if found ~= 34 and found ~= 92 then return nil, 'unexpected end of string', stop or #text + 1 end
    n = n + 1
    parts[n] = sub(text, from, stop - 1)
    if found == 34 then return concat(parts), stop + 1 end
    local escaped = sub(text, stop + 1, stop + 1)
    n = n + 1
    if escaped == 'u' then
      parts[n], from = unicode_at(text, stop + 2)
      if not from then return nil, 'invalid unicode escape code', stop end
    else
      parts[n], from = UNESCAPES[escaped], stop + 2
      if not parts[n] then return nil, 'invalid escape code', stop end
    end
    stop = find(text, '["\\%z]', from)
  end
end

-- Takes a place. Returns where the longest number that C's strtod finds there ends, or nil.
local function number_end(text, at)
  local from = match(text, '^[+-]?()', at)
  local word = lower(sub(text, from, from + 7))
  if word == 'infinity' then return from + 7 end
  if sub(word, 1, 3) == 'inf' then return from + 2 end
  if sub(word, 1, 3) == 'nan' then return (match(text, '^%([0-9A-Za-z_]*%)()', from + 3) or from + 3) - 1 end
  local digits, after = match(text, '^0[xX]([0-9a-fA-F]*%.?[0-9a-fA-F]*)()', from)
  local power = '^[pP][+-]?[0-9]+()'
  if not digits or not find(digits, '[0-9a-fA-F]') then
    digits, after = match(text, '^([0-9]*%.?[0-9]*)()', from)
    power = '^[eE][+-]?[0-9]+()'
    if not find(digits, '[0-9]') then return nil end
  end
  return (match(text, power, after) or after) - 1
end

-- Takes a place. Returns whether strtod reads there what is no JSON.
local function is_invalid_number(text, at)
  if byte(text, at) == 43 then return true end -- +
  at = match(text, '^%-?()', at)
  if find(text, '^0[xX0-9]', at) then return true end
  local word = lower(sub(text, at, at + 2))
  return word == 'inf' or word == 'nan'
end

-- Takes the settings and the place of a sign, a digit or a letter. Returns the number there and the place after it, or nil.
local function number_at(config, text, at)
  if config.decode_invalid_numbers == 0 and is_invalid_number(text, at) then return nil end
  local word, after = match(text, '^([0-9A-Za-z.+-]+)()', at)
  local number = tonumber(word)
  if number == nil or byte(text, after) == 40 then -- nan(...)
    after = number_end(text, at)
    if not after then return nil end
    number, after = tonumber(sub(text, at, after)), after + 1
  end
  return number, after
end

-- Takes the settings and a place after white space. Returns the name of the token there, or what is wrong with it, and its place.
local function token_at(config, text, at)
  local first = sub(text, at, at)
  if first == '' or first == '\0' then return 'T_END', at end
  if SINGLE[first] then return SINGLE[first], at end
  if first == '"' then
    local found, problem, place = string_at(text, at)
    if found then return 'T_STRING', at end
    return problem, place
  end
  if find(first, '[0-9-]') then return number_at(config, text, at) and 'T_NUMBER' or 'invalid number', at end
  if find(text, '^true', at) or find(text, '^false', at) then return 'T_BOOLEAN', at end
  if find(text, '^null', at) then return 'T_NULL', at end
  if find(first, '[iInN+]') and config.decode_invalid_numbers == 1 and is_invalid_number(text, at) then
    return number_at(config, text, at) and 'T_NUMBER' or 'invalid number', at
  end
  return 'invalid token', at
end

-- Takes the settings, a place and what should be there. Ends the decoding.
local function refuse_token(config, text, at, expected)
  refuse('Expected %s but found %s at character %d', expected, token_at(config, text, at))
end

-- Takes a place. Returns the next one that is no white space.
local function skipped(text, at)
  return find(text, '[^ \t\n\r]', at) or #text + 1
end

-- Checks the nesting. Takes the settings, the depth, C's slots in use and those it needs, and the place after the bracket.
local function descend(config, depth, used, needed, at)
  if depth > config.decode_max_depth or used + needed > STACK_LIMIT then
    refuse('Found too many nested data structures (%d) at character %d', depth, at)
  end
end

local decode_value

-- Takes the place after a brace and the nesting with it. Returns the table and the place after it.
local function decode_object(config, text, at, depth, used)
  descend(config, depth, used, 3, at - 1)
  local result = {}
  at = skipped(text, at)
  if byte(text, at) == 125 then return result, at + 1 end
  while true do
    if byte(text, at) ~= 34 then refuse_token(config, text, at, 'object key string') end
    local key, after = string_at(text, at)
    if not key then refuse_token(config, text, at, 'object key string') end
    at = after
    if byte(text, at) ~= 58 then
      at = skipped(text, at)
      if byte(text, at) ~= 58 then refuse_token(config, text, at, 'colon') end
    end
    result[key], at = decode_value(config, text, at + 1, depth, used + 2)
    local found = byte(text, at)
    if found ~= 44 and found ~= 125 then
      at = skipped(text, at)
      found = byte(text, at)
    end
    if found == 125 then return result, at + 1 end
    if found ~= 44 then refuse_token(config, text, at, 'comma or object end') end
    at = skipped(text, at + 1)
  end
end

-- The same for an array.
local function decode_array(config, text, at, depth, used)
  descend(config, depth, used, 2, at - 1)
  local result, n = {}, 0
  at = skipped(text, at)
  if byte(text, at) == 93 then return result, at + 1 end
  while true do
    n = n + 1
    result[n], at = decode_value(config, text, at, depth, used + 1)
    local found = byte(text, at)
    if found ~= 44 and found ~= 93 then
      at = skipped(text, at)
      found = byte(text, at)
    end
    if found == 93 then return result, at + 1 end
    if found ~= 44 then refuse_token(config, text, at, 'comma or array end') end
    at = at + 1
  end
end

-- Takes the settings, a text, a place, how deep it is and the slots of C's stack in use. Returns the value and the place
-- after it.
function decode_value(config, text, at, depth, used)
  local first = byte(text, at)
  if first == 32 or first == 10 or first == 13 or first == 9 then
    at = skipped(text, at)
    first = byte(text, at)
  end
  if first == 34 then
    local found, after = string_at(text, at)
    if found then return found, after end
  elseif first == 123 then
    return decode_object(config, text, at + 1, depth + 1, used)
  elseif first == 91 then
    return decode_array(config, text, at + 1, depth + 1, used)
  elseif first == 116 then
    if sub(text, at, at + 3) == 'true' then return true, at + 4 end
  elseif first == 102 then
    if sub(text, at, at + 4) == 'false' then return false, at + 5 end
  elseif first == 110 and sub(text, at, at + 3) == 'null' then
    return null, at + 4
  elseif first and (first >= 48 and first <= 57 or first == 45 or token_at(config, text, at) == 'T_NUMBER') then
    local number, after = number_at(config, text, at)
    if number then return number, after end
  end
  refuse_token(config, text, at, 'value')
end

-- Takes the settings and a text. Returns its value.
return function(config, text)
  local value, at = decode_value(config, text, 1, 0, 1)
  at = skipped(text, at)
  local rest = byte(text, at)
  if rest and rest ~= 0 then refuse_token(config, text, at, 'the end') end
  return value
end
