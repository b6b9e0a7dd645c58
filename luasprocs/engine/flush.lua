-- Direct calls, and those that raised, are counted in their sprocs' entries; this writes what they count.
local core = ...
local serve = {}

-- Adds the calls counted since the last flush to each sproc's stats. Returns how many were added.
-- A caller's ACL may forbid it: then the counts wait for somebody who may.
local function write()
  core.use 'pace'()
  local added = 0
  for name, count in pairs(core.own or {}) do
    local calls, raised = count()
    local entry = core.entries[name]
    if entry then entry.left, entry.raised = entry.left - calls, entry.raised + raised end
  end
  for name, entry in pairs(core.entries) do
    if entry.counted then entry.left = entry.left - entry.counted() end
    local calls = K.FLUSH_EVERY - entry.left
    if calls > 0 then
      local reply = redis.pcall('HINCRBY', K.STATS_PREFIX .. name, 'calls', calls)
      if type(reply) == 'number' then
        added = added + calls
        entry.left = K.FLUSH_EVERY
      end
    end
    if entry.raised > 0 and type(redis.pcall('HINCRBY', K.STATS_PREFIX .. name, 'call_errors', entry.raised)) == 'number' then
      entry.raised = 0
    end
  end
  return added
end

function serve.flush()
  core.settle()
  return write()
end

return { serve = serve, write = write } -- `write`: while a direct call is under way
