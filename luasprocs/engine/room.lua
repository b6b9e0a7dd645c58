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

-- Why a run of a sproc must wait; nothing if it may run.
function room.refuse(name)
  local entry = core.entries[name] or core.load_entry(name)
  return entry.asks and room.lacks() or nil
end

-- Why a command of an async sproc must wait; nothing if it may run.
function room.refuse_command(name, command)
  return not FREE[command:lower()] and room.refuse(name) or nil
end

-- Returns whether a sproc must wait: for a list of them, as it asks the server once.
function room.asked_once()
  local full
  return function(name)
    local entry = core.entries[name] or core.load_entry(name)
    if entry.asks and full == nil then full = room.lacks() or false end
    return entry.asks and full
  end
end

-- Asks once for several sprocs. Returns why those that `waits` may not run, and whether that is all of them.
local function ask(names, waits)
  local waiting = 0
  for n, name in ipairs(names) do
    local entry = core.entries[name] or core.load_entry(name)
    waits[n] = entry.asks or false
    if waits[n] then waiting = waiting + 1 end
  end
  local full = waiting > 0 and room.lacks() or nil
  return full, full and waiting == #names
end

-- Returns the error reply if nothing of a batch of events may run now: they wait then. Beside a sproc that may, an async one is enqueued,
-- and the others don't run.
function room.refuse_batch(batch)
  local full, all = ask(batch.names, {})
  batch.full = full
  return all and redis.error_reply(full) or nil
end

-- The same of scheduled times. Beside one that may run, the others come later.
function room.refuse_items(items)
  local names, waits = {}, {}
  for n, item in ipairs(items) do names[n] = item.name end
  local full, all = ask(names, waits)
  for n, item in ipairs(full and items or {}) do item.is_full = waits[n] end
  return all and redis.error_reply(full) or nil
end

return room
