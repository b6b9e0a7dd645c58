-- Microseconds. TIME advances inside a function on Redis 7.0, and is frozen on Valkey, which has os.clock instead.
local floor, time_call = math.floor, redis.call
local there, clock = pcall(function() return os.clock end)
if there and clock then return function() return floor(clock() * 1000000) end end
return function()
  local now = time_call('TIME')
  return now[1] * 1000000 + now[2]
end
