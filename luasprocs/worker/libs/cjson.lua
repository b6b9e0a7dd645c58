-- `cjson`: Lua CJSON 2.1.0 (Mark Pulford, MIT) as Redis has it, in Lua. Strings are bytes, passed as they are; JSON's null
-- is `cjson.null`, a userdata.
local checks, null, encode, decode = ...
local fail, argument_error = checks.fail, checks.argument_error
local check_string, check_integer = checks.check_string, checks.check_integer
local byte, type, select, pcall, error = string.byte, type, select, pcall, error

local INT_MAX = 2 ^ 31 - 1
local ON_OFF = { off = 0, on = 1 }

-- Takes how many arguments an option function got and how many it may get. Two functions below the sproc, as the next two.
local function check_count(count, most)
  if count > most then argument_error(2, most + 1, 'found too many arguments') end
end

-- Takes settings, a name, the argument and its number, and the range. Sets it unless it is nil. Returns the setting.
local function whole_option(config, name, value, number, least, most)
  if value ~= nil then
    local found = (check_integer(2, number, value, number) + 2 ^ 31) % 2 ^ 32 - 2 ^ 31 -- an int in C
    if found < least or found > most then
      argument_error(2, 1, ('expected integer between %d and %d'):format(least, most))
    end
    config[name] = found
  end
  return config[name]
end

-- Takes settings, a name, the argument and the words that it may be. Sets it unless it is nil. Returns a boolean, or the word.
local function word_option(config, name, value, words)
  if type(value) == 'boolean' then
    config[name] = value and 1 or 0
  elseif value ~= nil then
    local word = check_string(2, 1, value, 1)
    word = word:match('^%Z*') -- a C string
    if not words[word] then argument_error(2, 1, ("invalid option '%s'"):format(word)) end
    config[name] = words[word]
  end
  if config[name] > 1 then return 'null' end
  return config[name] == 1
end

-- Takes a function of this file, settings and a value. Returns whether it succeeded and its result, or the text of its error.
local function converted(convert, config, value)
  local done, result = pcall(convert, config, value)
  if done then return true, result end
  if type(result) ~= 'table' then error(result, 0) end -- out of memory, say
  return false, result[1]
end

-- cjson.new(). Returns a module with settings of its own.
local function new()
  local config = {
    encode_sparse_convert = 0, encode_sparse_ratio = 2, encode_sparse_safe = 10, encode_max_depth = 1000,
    encode_invalid_numbers = 0, encode_number_precision = 14, encode_keep_buffer = 1,
    decode_invalid_numbers = 1, decode_max_depth = 1000,
  }
  local module = { _NAME = 'cjson', _VERSION = '2.1.0', null = null, new = new }

  function module.encode(...)
    if select('#', ...) ~= 1 then argument_error(1, 1, 'expected 1 argument') end
    local done, result = converted(encode, config, (...))
    if not done then fail(1, result) end
    return result
  end

  function module.decode(...)
    if select('#', ...) ~= 1 then argument_error(1, 1, 'expected 1 argument') end
    local text = check_string(1, 1, (...), 1)
    if #text >= 2 and (byte(text, 1) == 0 or byte(text, 2) == 0) then
      fail(1, 'JSON parser does not support UTF-16 or UTF-32')
    end
    local done, result = converted(decode, config, text)
    if not done then fail(1, result) end
    return result
  end

  function module.encode_sparse_array(...)
    check_count(select('#', ...), 3)
    local convert, ratio, safe = ...
    convert = word_option(config, 'encode_sparse_convert', convert, ON_OFF)
    ratio = whole_option(config, 'encode_sparse_ratio', ratio, 2, 0, INT_MAX)
    safe = whole_option(config, 'encode_sparse_safe', safe, 3, 0, INT_MAX)
    return convert, ratio, safe
  end

  -- The functions of one whole number and of one word.
  for name, most in pairs({ encode_max_depth = INT_MAX, decode_max_depth = INT_MAX, encode_number_precision = 14 }) do
    module[name] = function(...)
      check_count(select('#', ...), 1)
      local result = whole_option(config, name, (...), 1, 1, most)
      return result
    end
  end
  local words = { off = 0, on = 1, null = 2 }
  for name, known in pairs({ encode_keep_buffer = ON_OFF, encode_invalid_numbers = words, decode_invalid_numbers = ON_OFF }) do
    module[name] = function(...)
      check_count(select('#', ...), 1)
      local result = word_option(config, name, (...), known)
      return result
    end
  end
  return module
end

return new()
