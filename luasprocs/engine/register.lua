-- Registers the functions that are text until they are called. K.SERVED: for each chunk its name, and for each of its functions the name, the
-- name there, a flag or false, and what its arguments are, see arguments.lua.
local core = ...
local SERVED = K.SERVED

local function serve(chunk, name, keys, args, rule)
  local wrong = rule and core.use 'arguments'(args, rule)
  if wrong then return redis.error_reply(wrong) end
  local made = chunk == 'inspect' and core.once(chunk) or core.use(chunk) -- syncs are seldom
  return made.serve[name](keys, args)
end

for place = 1, #SERVED, 2 do -- ipairs is not there while a library loads
  local chunk, functions = SERVED[place], SERVED[place + 1]
  for i = 1, #functions, 4 do
    local name, flag, rule = functions[i + 1], functions[i + 2], functions[i + 3]
    redis.register_function({
      function_name = functions[i],
      flags = flag and { flag } or {},
      callback = function(keys, args) return serve(chunk, name, keys, args, rule) end,
    })
  end
end
