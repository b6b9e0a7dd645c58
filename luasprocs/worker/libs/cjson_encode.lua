-- Encoding of `cjson`. `config` is a module's settings, `parts` and `n` are the texts so far and how many.
local null = ...
local byte, find, gsub, format, concat = string.byte, string.find, string.gsub, string.format, table.concat
local floor, huge = math.floor, math.huge
local type, next, rawget, error = type, next, rawget, error

local INT_MAX = 2 ^ 31 - 1
local STACK_LIMIT = 8000 -- LUAI_MAXCSTACK: what a C function may have on its stack
local ESCAPED = '[%z\1-\31"\\/\127]'
local ESCAPES = {
  ['\b'] = '\\b', ['\t'] = '\\t', ['\n'] = '\\n', ['\f'] = '\\f', ['\r'] = '\\r', ['"'] = '\\"', ['\\'] = '\\\\', ['/'] = '\\/',
}

-- Takes a format and its values. Ends the encoding: cjson.lua raises the text with the sproc's line.
local function refuse(text, ...)
  error({ format(text, ...) })
end

-- Takes a character. Returns its escape.
local function escape(character)
  return ESCAPES[character] or format('\\u%04x', byte(character))
end

-- Takes a string. Returns it as JSON.
local function quoted(text)
  if find(text, ESCAPED) then text = gsub(text, ESCAPED, escape) end
  return '"' .. text .. '"'
end

-- Takes the settings and a number. Returns its text, or the number itself where Lua writes it so.
local function number_text(config, number)
  if number ~= number or number == huge or number == -huge then
    local mode = config.encode_invalid_numbers
    if mode == 0 then refuse('Cannot serialise number: must not be NaN or Inf') end
    if mode == 2 then return 'null' end
    if number ~= number then return 'nan' end
  end
  if config.encode_number_precision == 14 then return number end
  return format('%.' .. config.encode_number_precision .. 'g', number)
end

-- Takes the settings and a table. Returns its length as an array, or 0 for an object.
local function array_length(config, value)
  local max, items = 0, 0
  for key in next, value do
    if type(key) ~= 'number' or key < 1 or floor(key) ~= key then return 0 end
    if key > max then max = key <= INT_MAX and key or -INT_MAX - 1 end -- an int in C
    items = items + 1
  end
  local ratio = config.encode_sparse_ratio
  if ratio > 0 and max > items * ratio and max > config.encode_sparse_safe then
    if config.encode_sparse_convert == 0 then refuse('Cannot serialise table: excessively sparse array') end
    return 0
  end
  return max
end

-- Takes settings, parts and how many, a value, its depth and the slots of C's stack that it would use. Returns how many
-- parts there are with it.
local function encode_value(config, parts, n, value, depth, used)
  local kind = type(value)
  n = n + 1
  if kind == 'string' then
    parts[n] = quoted(value)
  elseif kind == 'number' then
    parts[n] = number_text(config, value)
  elseif kind == 'boolean' then
    parts[n] = value and 'true' or 'false'
  elseif value == nil or value == null then
    parts[n] = 'null'
  elseif kind ~= 'table' then
    refuse('Cannot serialise %s: type not supported', kind)
  else
    depth = depth + 1
    if depth > config.encode_max_depth or used + 3 > STACK_LIMIT then
      refuse('Cannot serialise, excessive nesting (%d)', depth)
    end
    local length = array_length(config, value)
    if length > 0 then
      parts[n] = '['
      for i = 1, length do
        if i > 1 then
          n = n + 1
          parts[n] = ','
        end
        n = encode_value(config, parts, n, rawget(value, i), depth, used + 1)
      end
      n = n + 1
      parts[n] = ']'
    else
      local opening = '{'
      for key, element in next, value do
        kind = type(key)
        parts[n] = opening
        n = n + 1
        if kind == 'string' then
          parts[n] = quoted(key) .. ':'
        elseif kind == 'number' then
          parts[n] = '"' .. number_text(config, key) .. '":'
        else
          refuse('Cannot serialise %s: table key must be a number or string', kind)
        end
        n = encode_value(config, parts, n, element, depth, used + 2) + 1
        opening = ','
      end
      parts[n] = opening == '{' and '{}' or '}'
    end
  end
  return n
end

-- Takes the settings and a value. Returns its JSON.
return function(config, value)
  local parts = {}
  encode_value(config, parts, 0, value, 0, 1)
  return concat(parts)
end
