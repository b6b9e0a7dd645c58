-- Registers the functions that are text until they are called. K.REGISTERED: for each its name, and its flags.
local core = ...
local REGISTERED = K.REGISTERED

local function serve(place, keys, args)
  local chunk, name, rule = core.use('served')(place)
  local wrong = core.use 'arguments'(args, rule)
  if wrong then return redis.error_reply(wrong) end
  local made = chunk == 'inspect' and core.once(chunk) or core.use(chunk) -- syncs are seldom
  return made.serve[name](keys, args)
end

for place = 1, #REGISTERED, 2 do -- ipairs is not there while a library loads
  redis.register_function({
    function_name = REGISTERED[place],
    flags = REGISTERED[place + 1],
    callback = function(keys, args) return serve(place, keys, args) end,
  })
end
