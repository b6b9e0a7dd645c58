-- Who may run in a full server. It refuses nothing to a function with the flag allow-oom, which those that run sprocs have as soon as one of
-- these says `oom=allow`: so for the others it is asked here, as the server itself asks before each command. This file is there only then.
local core = ...
local header, room, FREE = core.use 'header', {}, {}
for _, command in ipairs(K.FREE_COMMANDS) do FREE[command] = true end

-- Whether a run of a source must ask for room. What reads, or by its text (if that is tame) does nothing that needs any, need not.
function room.asks(source, values, tame)
  if header.value(values, 'oom') == 'allow' or header.flag(values, 'readonly') then return false end
  if not tame then return true end
  for command in source:gmatch('%f[%w_]redis%.p?call%s*%(%s*[\'"]([%w|._-]+)') do
    if not FREE[command:lower()] then return true end
  end
  return false
end

-- Why there is no room; nothing if there is.
function room.lacks()
  local info = redis.pcall('INFO', 'memory')
  if type(info) == 'table' and info.verbatim_string then info = info.verbatim_string.string end -- after redis.setresp(3)
  if type(info) ~= 'string' then return info.err end
  local function number(name) return tonumber(info:match('%f[%w_]' .. name .. ':(%d+)')) or 0 end
  local limit = number('maxmemory')
  if limit == 0 or info:find('maxmemory_policy:allkeys', 1, true) then return end -- these make room
  if number('used_memory') - number('mem_not_counted_for_evict') <= limit then return end
  return "OOM this server's used memory > 'maxmemory', and the sproc is not oom=allow"
end

-- Whether a triggered run of a sproc waits in a full server: it may not add to it, or makes a job.
function room.waits(name)
  local entry = core.entries[name] or core.load_entry(name)
  return entry.asks or entry.is_async
end

-- Asks once for several sprocs. Returns why those that wait may not run; and whether that is all of them.
function room.ask(names)
  local waiting = 0
  for _, name in ipairs(names) do
    if room.waits(name) then waiting = waiting + 1 end
  end
  local full = waiting > 0 and room.lacks() or nil
  return full, full and waiting == #names
end

return room
