-- Registers the functions that sprocs have of their own (`function=`). K.OWN: for each its name, the sproc's, and its flags. The server itself
-- refuses what a flag doesn't allow.
local core = ...
local OWN, entries = K.OWN, core.entries

for place = 1, #OWN, 3 do -- ipairs is not there while a library loads
  local name, flags, reads = OWN[place + 1], OWN[place + 2], false
  for i = 1, #flags do reads = reads or flags[i] == 'no-writes' end
  redis.register_function({
    function_name = OWN[place],
    flags = flags,
    callback = function(keys, args)
      local entry = entries[name]
      if not entry then
        entry = core.load_entry(name)
        if entry.refused then return { err = entry.refused } end
      end
      local left = entry.left - 1
      entry.left = left
      if left <= 0 and not reads then core.use('flush').serve.flush() end
      if not entry.guarded then return entry.run(keys, args) end
      local _, reply = core.use('guard').run(entry, keys, args, not reads and entry.begin or nil) -- what only reads may not publish
      return reply
    end,
  })
end
