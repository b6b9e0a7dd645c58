-- Checks what a sproc was called with. A wrong key or argument becomes one readable error that names the
-- sproc, the argument, its place, and what would be right:
--
--   ERR lock/acquire.lua: ttl_ms (ARGV[2]) must be an integer from 1 to 86400000, not 'soon'
--
-- description=Argument checks, and the server's time in milliseconds
-- tags=library
-- library=yes

local Args = {}
Args.__index = Args

-- What a sproc writes:
--
--   local Args = require('lib/args.lua')
--   local args = Args.of(sproc.name, KEYS, ARGV)
--   local lock = args:key(1, 'lock')
--   local ttl_ms = args:integer(2, 'ttl_ms', 1, Args.DAY_MS)
--   args:no_more(1, 2)
--
-- Everything is checked before the first write, so that a refused call changes nothing.

Args.DAY_MS = 24 * 60 * 60 * 1000
Args.YEAR_MS = 366 * Args.DAY_MS

-- Integers are exact in a double up to here.
local EXACT = 2 ^ 53

function Args.of(name, keys, argv)
  return setmetatable({ name = name, keys = keys, argv = argv }, Args)
end

-- The server's clock. Those of its clients differ from each other, and this one alone decides when keys
-- expire.
function Args.now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Digits without an exponent: `..` would make 1e+15 of a large number.
function Args.digits(integer)
  return string.format('%.0f', integer)
end

-- An argument as an error may show it: short, and nothing that could break the reply or a terminal.
local function shown(value)
  local safe = value:sub(1, 40):gsub('[^\32-\126]', '?')
  return "'" .. safe .. (#value > 40 and "'..." or "'")
end

local function bound(number)
  return string.format(number == math.floor(number) and '%.0f' or '%g', number)
end

function Args:fail(message)
  error({ err = 'ERR ' .. self.name .. ': ' .. message })
end

function Args:wrong(position, name, expected)
  local value = self.argv[position]
  local got = value == nil and ' and is missing' or ', not ' .. shown(value)
  self:fail(name .. ' (ARGV[' .. position .. ']) must be ' .. expected .. got)
end

-- A key: given, not empty, and none of the keys before it.
function Args:key(position, name)
  local key = self.keys[position]
  if not key or key == '' then
    self:fail(name .. ' (KEYS[' .. position .. ']) ' .. (key and 'must not be empty' or 'is missing'))
  end
  for before = 1, position - 1 do
    if self.keys[before] == key then
      self:fail(name .. ' (KEYS[' .. position .. ']) must differ from KEYS[' .. before .. ']')
    end
  end
  return key
end

-- Any bytes, none at all included.
function Args:value(position, name)
  return self.argv[position] or self:wrong(position, name, 'a value')
end

-- Any bytes, at least one.
function Args:text(position, name, default)
  local text = self.argv[position] or default
  if not text or text == '' then
    self:wrong(position, name, 'a text that is not empty')
  end
  return text
end

-- Decimal digits with a sign if need be, from `least` to `most`: no fraction, no exponent, no hex.
function Args:integer(position, name, least, most, default)
  local text = self.argv[position]
  if text == nil and default then
    return default
  end
  local number = text and text:find('^%-?%d+$') and tonumber(text)
  most = math.min(most or EXACT, EXACT)
  if not number or number < least or number > most then
    self:wrong(position, name, 'an integer from ' .. bound(least) .. ' to ' .. bound(most))
  end
  return number
end

-- A decimal number, also with fraction and exponent, from `least` to `most`: never nan, inf or hex.
function Args:number(position, name, least, most)
  local text = self.argv[position]
  local number = text and text:find('^[-+%d.eE]+$') and tonumber(text)
  if not number or number < least or number > most then
    self:wrong(position, name, 'a number from ' .. bound(least) .. ' to ' .. bound(most))
  end
  return number
end

-- One of the words in `choices`.
function Args:choice(position, name, choices, default)
  local word = self.argv[position] or default
  for _, choice in ipairs(choices) do
    if choice == word then
      return word
    end
  end
  return self:wrong(position, name, 'one of ' .. table.concat(choices, ', '))
end

-- A key or argument too many is mostly one at the wrong place.
function Args:no_more(keys, argv)
  if #self.keys > keys then
    self:fail('takes no KEYS[' .. keys + 1 .. "], but it got " .. #self.keys .. ' keys')
  end
  if #self.argv > argv then
    self:fail('takes no ARGV[' .. argv + 1 .. "], but it got " .. #self.argv .. ' arguments')
  end
end

return Args
