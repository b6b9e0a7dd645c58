-- Which chunk serves a function, its name there, and what its arguments are (see arguments.lua), by its place in K.REGISTERED: what has no
-- part in a plain call is not kept for it.
local SERVED = K.SERVED

return function(place)
  local at = (place - 1) / 2 * 3
  return SERVED[at + 1], SERVED[at + 2], SERVED[at + 3]
end
