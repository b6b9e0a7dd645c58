-- Registers the functions that are text until they are called. K.SERVED: for each chunk its name, and for each of its functions the name, the
-- name there, and a flag or false.
local core = ...
local SERVED = K.SERVED

local function serve(chunk, name, keys, args)
  local made = chunk == 'inspect' and core.once(chunk) or core.use(chunk) -- syncs are seldom
  return made.serve[name](keys, args)
end

for place = 1, #SERVED, 2 do -- ipairs is not there while a library loads
  local chunk, functions = SERVED[place], SERVED[place + 1]
  for i = 1, #functions, 3 do
    local name, flag = functions[i + 1], functions[i + 2]
    redis.register_function({
      function_name = functions[i],
      flags = flag and { flag } or {},
      callback = function(keys, args) return serve(chunk, name, keys, args) end,
    })
  end
end
