-- Errors of arguments as Lua's C API words them. A `level` is where the function that the sproc called stands: 1 is the
-- caller of the function here, 2 the caller's caller. Positions in messages are those of the sproc's line.
local getinfo, error, type, tonumber, ceil, floor = debug.getinfo, error, type, tonumber, math.ceil, math.floor

-- luaL_error. Takes the level and the text. Never returns.
local function fail(level, text)
  error(text, level + 2)
end

-- luaL_argerror. Takes the level, the argument's number and what is wrong with it. Never returns.
local function argument_error(level, number, text)
  local called = getinfo(level + 1, 'n')
  local name = called.name or '?'
  if called.namewhat == 'method' then
    number = number - 1
    if number == 0 then error(("calling '%s' on bad self (%s)"):format(name, text), level + 2) end
  end
  error(("bad argument #%d to '%s' (%s)"):format(number, name, text), level + 2)
end

-- luaL_typerror. Takes the level, the argument's number, the expected type, the value and how many arguments there are.
-- Never returns.
local function type_error(level, number, expected, value, count)
  local got = number > count and 'no value' or type(value)
  argument_error(level + 1, number, expected .. ' expected, got ' .. got)
end

-- lua_tonumber. Takes any value. Returns its number, or nil.
local function as_number(value)
  local kind = type(value)
  if kind == 'number' then return value end
  return kind == 'string' and tonumber(value) or nil
end

-- luaL_checklstring. Takes the level, the argument's number, the value and how many arguments there are. Returns a string.
local function check_string(level, number, value, count)
  local kind = type(value)
  if kind == 'string' then return value end
  if kind == 'number' then return value .. '' end
  type_error(level + 1, number, 'string', value, count)
end

-- luaL_checkinteger. Takes the same. Returns the number cut to a whole one; what 64 bits can't hold is -2^63, as on x86.
local function check_integer(level, number, value, count)
  local found = as_number(value)
  if not found then type_error(level + 1, number, 'number', value, count) end
  if found >= -2 ^ 63 and found < 2 ^ 63 then return found < 0 and ceil(found) or floor(found) end
  return -2 ^ 63
end

return {
  fail = fail, argument_error = argument_error, type_error = type_error, as_number = as_number,
  check_string = check_string, check_integer = check_integer,
}
