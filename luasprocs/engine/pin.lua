-- Reads once after a load which registry this is, and whether it has triggers.
local core = ...

return function()
  if core.generation then return end
  local found = redis.pcall('HGET', K.REVISION, 'generation')
  if type(found) ~= 'string' then return end -- no registry, or a caller in another db: the next call asks again
  core.generation = found
  core.use 'pace'()
  core.triggers = redis.call('EXISTS', K.TRIGGERS) == 1
end
