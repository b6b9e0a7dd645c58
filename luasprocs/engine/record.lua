-- Runs a sproc and records the run in the Executions stream.
local EXECUTIONS_LIMIT = 10000 -- entries, about
local TEXT_LIMIT_BYTES = 1024 -- of a reply or an error in a record

-- Microseconds. TIME advances inside a function on Redis 7.0, and is frozen on Valkey, which has os.clock instead.
local has_clock
local function clock_us()
  if has_clock == nil then has_clock = pcall(function() return os.clock() end) end
  if has_clock then return math.floor(os.clock() * 1000000) end
  local now = redis.call('TIME')
  return now[1] * 1000000 + now[2]
end

local function short(text)
  if #text <= TEXT_LIMIT_BYTES then return text end
  return text:sub(1, TEXT_LIMIT_BYTES) .. '… (' .. #text .. ' bytes)'
end

-- A reply as text for a record; never raises.
local function readable(reply)
  if type(reply) == 'string' then return short(reply) end
  if type(reply) == 'table' then
    if type(reply.ok) == 'string' then return short(reply.ok) end
    local ok, text = pcall(cjson.encode, reply)
    return ok and short(text) or 'a table'
  end
  if reply == nil or reply == false then return '' end
  local ok, text = pcall(tostring, reply)
  return ok and short(text) or type(reply)
end

-- A record is no reason to lose a reply: a key of the wrong type, made by hand, gives way.
local function writable(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then redis.call('DEL', key) end
  return key
end

local function record(entry, trigger, by, duration_us, ok, reply)
  local failed = not ok or (type(reply) == 'table' and reply.err ~= nil)
  local found = redis.pcall('HGET', NAME .. entry.name, 'commit')
  redis.call('XADD', writable(EXECUTIONS, 'stream'), 'MAXLEN', '~', EXECUTIONS_LIMIT, '*',
    'sproc', entry.name, 'trigger', trigger, 'key', '', 'event', '', 'origin', by, 'depth', 1,
    'status', failed and 'error' or 'ok', 'duration_us', duration_us,
    'reply', failed and '' or readable(reply), 'error', failed and short(tostring(reply.err)) or '',
    'commit', type(found) == 'string' and found or '', 'daemon', '')
  local stats = writable(STATS .. entry.name, 'hash')
  redis.call('HINCRBY', stats, 'runs', 1)
  redis.call('HINCRBY', stats, 'duration_us_total', duration_us)
  if duration_us > tonumber(redis.call('HGET', stats, 'duration_us_max') or 0) then
    redis.call('HSET', stats, 'duration_us_max', duration_us)
  end
  redis.call('HSET', stats, 'last_run', redis.call('TIME')[1])
  if failed then
    redis.call('HINCRBY', stats, 'errors', 1)
    redis.call('HSET', stats, 'last_error', short(tostring(reply.err)))
  end
end

-- FCALL <ns>luasprocs_run numkeys [key ...] name by [arg ...]: as execute, and recorded. `by`: who asked.
-- Errors: execute's, and NORECORD, with nothing run, where the user's ACL forbids the record.
redis.register_function(RUN, function(keys, args)
  local name, by = shift(args), shift(args)
  local entry = entries[name or ''] or load_entry(name)
  if entry.refused then return { err = entry.refused } end
  -- Asked before the run: afterwards the sproc's writes would stay, and the caller would hear of an error.
  local may = redis.acl_check_cmd('XADD', EXECUTIONS, '*', 'sproc', name)
    and redis.acl_check_cmd('HINCRBY', STATS .. name, 'runs', '1')
    and redis.acl_check_cmd('TYPE', EXECUTIONS)
  if not may then return { err = 'NORECORD this user may not write records: call FCALL ' .. EXECUTE } end
  local started_us = clock_us()
  local ok, reply = run_marked(entry, keys, args)
  local duration_us = math.max(0, clock_us() - started_us)
  redis.setresp(2)
  redis.call('SELECT', DB)
  record(entry, 'call', by or '', duration_us, ok, reply)
  return reply
end)
