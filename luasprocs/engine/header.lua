-- What a sproc's header says: values as they are written in its hash, and the contract's defaults for what it doesn't say.
local header = {}

local function is(value, word)
  return value and value:lower() == word
end

-- Takes a sproc's name and keys of headers. Returns a table of those that are written; or nothing, and the server's error.
function header.read(name, ...)
  local found = redis.pcall('HMGET', K.NAME_PREFIX .. name, ...)
  if found.err then return nil, found.err end
  local values = {}
  for place, key in ipairs({ ... }) do values[key] = found[place] or nil end
  return values
end

-- What a key is where the header doesn't say it, beside the values that it says; nothing for a key without a default.
local function default(values, key)
  for _, one in ipairs(K.DEFAULTS[key] or {}) do
    local value, when, wanted = one[1], one[2], one[3]
    if not when or (values[when] and (not wanted or is(values[when], wanted))) then return value end
  end
end

function header.value(values, key)
  return values[key] or default(values, key)
end

-- The same of a key that is yes or no.
function header.flag(values, key)
  if is(values[key], 'yes') then return true end
  return not is(values[key], 'no') and default(values, key) == 'yes'
end

local UNITS_MS = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }

-- The same of a duration, in milliseconds. It was checked when it was synced; what was broken by hand is as if it weren't said.
function header.duration_ms(values, key)
  local function parsed(text)
    local total = 0
    for number, unit in text:lower():gmatch('([%d.]+)%s*(%a+)') do total = total + (tonumber(number) or 0) * (UNITS_MS[unit] or 0) end
    return total
  end
  local written = values[key] and parsed(values[key]) or 0
  return written > 0 and written or parsed(default(values, key))
end

-- The same of a number.
function header.number(values, key)
  return tonumber(values[key]) or tonumber(default(values, key))
end

return header
