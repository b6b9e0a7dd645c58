-- Registers the functions that sprocs have of their own (`function=`). K.OWN: for each its name, the sproc's, and its flags. The server itself
-- refuses what a flag doesn't allow.
local core = ...
local OWN, direct = K.OWN, core.direct
local counts = {}
core.own = counts -- name -> what takes the count of its calls by a function of its own, see flush.lua

for place = 1, #OWN, 3 do -- ipairs is not there while a library loads
  local name, begun, ended = OWN[place + 1], 0, 0
  redis.register_function({
    function_name = OWN[place],
    flags = OWN[place + 2],
    callback = function(keys, args)
      local run, number = direct[name] or core.load_entry(name).direct, begun + 1
      if number > K.FLUSH_EVERY then
        core.use 'flush'.write()
        number = begun + 1
      end
      begun = number
      local reply = run(keys, args)
      ended = ended + 1
      return reply
    end,
  })
  -- Returns the calls since it was last asked, and how many of them raised.
  counts[name] = function()
    local calls, raised = begun, begun - ended
    begun, ended = 0, 0
    return calls, raised
  end
end
