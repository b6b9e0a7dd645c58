-- Registers the functions that sprocs have of their own (`function=`). K.OWN: for each its name, the sproc's, and its flags. The server itself
-- refuses what a flag doesn't allow.
local core = ...
local OWN, direct = K.OWN, core.direct

-- The name whose call by its own function has not returned, see core.lua.
local under_way
local function settle()
  local entry = core.entries[under_way]
  under_way = nil
  if entry then entry.raised = entry.raised + 1 end
end
function core.settle_own()
  if under_way then settle() end
end

for place = 1, #OWN, 3 do -- ipairs is not there while a library loads
  local name, flags, how = OWN[place + 1], OWN[place + 2], 'own'
  for i = 1, #flags do
    if flags[i] == 'no-writes' then how = 'reads' end
  end
  redis.register_function({
    function_name = OWN[place],
    flags = flags,
    callback = function(keys, args)
      if under_way then settle() end
      local run = direct[name]
      if not run then
        local entry = core.load_entry(name)
        if entry.refused then return { err = entry.refused } end
        run = entry.direct
      end
      under_way = name
      local reply = run(keys, args, how)
      under_way = nil
      return reply
    end,
  })
end
