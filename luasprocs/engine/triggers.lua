-- What daemons read to know what they have to run, each at one moment.
local core = ...
local prelude, header, marks = core.use 'prelude', core.use 'header', core.use 'marks'
local serve = {}

local function generation()
  local registered = redis.pcall('HGET', K.REVISION, 'generation')
  return type(registered) == 'string' and registered or ''
end

-- Every sproc's name.
local function listed()
  local names = redis.pcall('LRANGE', K.LIST, 0, -1)
  return names.err and {} or names
end

local BOUND = { 'event', 'key', 'reentrant', 'catchup', 'timeout' }

function serve.bound()
  local reply, bound = { generation() }, {}
  local function add(...)
    for place = 1, select('#', ...) do reply[#reply + 1] = select(place, ...) end
  end
  local found = redis.pcall('HGETALL', K.TRIGGERS)
  for i = 1, found.err and 0 or #found, 2 do
    local source, names = found[i], found[i + 1]
    add(source, names)
    for name in names:gmatch('[^\n]+') do bound[name] = true end
  end
  add('')
  for name in pairs(bound) do
    local values = header.read(name, unpack(BOUND)) or {}
    add(name)
    for _, key in ipairs(BOUND) do add(values[key] or '') end
  end
  for _, name in ipairs(listed()) do
    local timeout = not bound[name] and redis.pcall('HGET', K.NAME_PREFIX .. name, 'timeout')
    if type(timeout) == 'string' then add(name, '', '', '', '', timeout) end
  end
  return reply
end

function serve.schedules()
  local reply = { generation(), prelude.now_ms() }
  for _, name in ipairs(listed()) do
    local values = header.read(name, 'cron', 'every', 'timezone', 'misfire', 'enabled') or {}
    if (values.cron or values.every) and header.flag(values, 'enabled') then
      local held, elsewhere = marks.of({ name })
      local paused = prelude.is_paused(name)
      for _, part in ipairs(elsewhere[1] and {} or {
        name, values.cron or '', values.every or '', header.value(values, 'timezone'), header.value(values, 'misfire'),
        paused and '1' or '', held[1] or '',
      }) do reply[#reply + 1] = part end
    end
  end
  return reply
end

-- OBJECT looks first: PEXPIRETIME of a missing key publishes `keymiss`, which no client caused.
function serve.deadlines(_, keys)
  local reply = {}
  for i, key in ipairs(keys) do
    reply[i] = redis.pcall('OBJECT', 'ENCODING', key) and redis.pcall('PEXPIRETIME', key) or -2
  end
  return reply
end

return { serve = serve }
