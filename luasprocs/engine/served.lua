-- Which chunk serves a function, and its name there, by its place in K.REGISTERED: what has no part in a plain call is not kept for it.
local SERVED = K.SERVED

return function(place)
  return SERVED[place], SERVED[place + 1]
end
