-- The events of one dispatch, as its daemon sends them, and the values of their keys.
local core = ...
local entries, load_entry, values = core.entries, core.load_entry, core.use 'values'
local LIMIT_BYTES, LIMIT_TEXT, STRING_EVENTS = values.LIMIT_BYTES, values.LIMIT_TEXT, values.STRING_EVENTS
local ROUTE_WORDS = 5

-- Takes a text: one number for all, or a list of them. Returns the number, or the list.
local function listed(text)
  local one = tonumber(text)
  if one then return one end
  local numbers = {}
  for word in text:gmatch('%d+') do numbers[#numbers + 1] = tonumber(word) end
  return nil, numbers
end

-- Places as text, `1 3`, as a set.
local function places_of(text)
  local one = tonumber(text)
  if one then return { [one] = true } end
  local places = {}
  for place in text:gmatch('%d+') do places[tonumber(place)] = true end
  return places
end

-- Takes args, and the place where the batch begins in them: number of names, names, number of routes, and for each: depth, roots, origin, state
-- (`deep`, `poison`, `timeout 2` for the second name alone, or empty), picks (`1 3`, places of names); then the events' counts (the
-- first one's if they follow each other, else all) and routes (one for all, or all); then each event's key and name.
-- Returns that, with room for what is known of each event that is run: its route, the place of its key, value, type and cut.
local function read(args, at)
  local names, routes = {}, {}
  local function counted() -- no more than there are words
    local number = tonumber(args[at])
    if not number or number < 0 or number > #args then error('ERR a batch that is none', 0) end
    return number
  end
  local many = counted()
  for i = 1, many do names[i] = args[at + i] end
  at = at + many + 1
  many = counted()
  at = at + 1
  for i = 1, many do
    local depth, roots, origin, state, picks = unpack(args, at, at + ROUTE_WORDS - 1)
    local route = { depth = tonumber(depth), roots = tonumber(roots), origin = origin, picks = places_of(picks) }
    if state ~= '' then route.state, route.culprit = state:match('^(%a*) ?(%d*)$') end
    routes[i] = route
    at = at + ROUTE_WORDS
  end
  local counts, ways = args[at], args[at + 1]
  local batch = { args = args, names = names, routes = routes, events = at + 2, chosen = {}, places = {}, values = {}, kinds = {}, cuts = {} }
  batch.first_count, batch.counts = listed(counts)
  batch.way, batch.ways = listed(ways)
  batch.total = (#args - batch.events + 1) / 2
  return batch
end

-- The count of a batch's `n`th event within its tick.
local function count_of(batch, n)
  return batch.counts and batch.counts[n] or batch.first_count + n - 1
end

-- Whether a route's sprocs want the value of a key.
local function wants_value(batch, route)
  for place in next, route.picks do
    local name = batch.names[place]
    local entry = entries[name] or load_entry(name)
    if entry.value ~= false then return true end
  end
  return false
end

-- Reads type and value of each event from the `first` on, before any sproc runs. Stops at enough bytes.
local function read_values(batch, first)
  local args, places, found, kinds, chosen = batch.args, batch.places, batch.values, batch.kinds, batch.chosen
  local bytes, n, pcall, type, get, events, read_value = 0, 0, pcall, type, redis.pcall, batch.events, values.read
  for i = 1, #batch.routes do batch.routes[i].wanted = wants_value(batch, batch.routes[i]) end
  local only = batch.way and batch.routes[batch.way]
  for i = first, batch.total do
    local at = events + (i - 1) * 2
    local route = only or batch.routes[batch.ways[i]]
    local wanted, ok, value, kind, cut = route.wanted, nil, nil, 'string', nil
    if wanted and STRING_EVENTS[args[at + 1]] then value = get('GETRANGE', args[at], '0', LIMIT_TEXT) end
    if type(value) ~= 'string' or #value == 0 or #value > LIMIT_BYTES then -- not simply a string
      ok, value, kind, cut = pcall(read_value, args[at], wanted)
      if not ok then value, kind, cut = '', 'none', nil end
    end
    n = n + 1
    places[n], found[n], kinds[n], chosen[n] = at, value, kind, route
    if cut then batch.cuts[n] = cut end
    bytes = bytes + #value
    if bytes >= K.BATCH_BYTES then break end
  end
  batch.size = n
end

return { read = read, count_of = count_of, read_values = read_values }
