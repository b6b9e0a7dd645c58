-- Runs a sproc under the server's debugger as the engine runs it: by the engine's own text, which gets these sprocs as a registry's.
-- Whoever evaluates this has ARGV: this text, and in parts a text of `LENGTH:WORD`: values.lua, inspect.lua, the engine, number of sprocs, for each
-- name, first line, first site and source with others (or nothing), number of fields and fields; then what each site names, a line each; trigger (`call`, `event`, `cron`; `arguments`: those of an event), the sproc's name, its hash's prefix,
-- event or time, and its arguments. KEYS are the sproc's. A chunk whose name has `user_script` in it is what the debugger stops in.
local given, at, text, place = {}, 1, table.concat(ARGV, '', 2), 1
while place <= #text do
  local colon = text:find(':', place, true)
  place = colon + tonumber(text:sub(place, colon - 1)) + 1
  given[#given + 1] = text:sub(colon + 1, place - 1)
end
local loadstring, xpcall, redis, setmetatable = loadstring, xpcall, redis, setmetatable
local function take()
  at = at + 1
  return given[at - 1]
end

-- Stands on the third line when something was raised, above the function that did.
local stop = loadstring('\nlocal stop = function() redis.breakpoint()\nreturn true\nend\nreturn stop', '@user_script')()
local written, encode, brief = loadstring(take(), '@luasprocs:values')()
local inspect_text, engine, firsts = take(), take(), {}
local fields_of, heads, sited, sources = {}, {}, {}, {}
for _ = 1, tonumber(take()) do
  local name, fields = take(), {}
  firsts[name], heads[name], sited[name], sources[name] = tonumber(take()), take(), take(), ''
  for i = 1, tonumber(take()) do fields[i] = take() end
  for i = 1, #fields, 2 do
    if fields[i] == 'source' then sources[name] = fields[i + 1]:sub(3) end
  end
  fields_of[name] = fields
end
local inspect = loadstring(inspect_text, '@luasprocs:inspect')(written, encode, take())
local trigger, name, prefix, word = take(), take(), take(), take()
for other, fields in pairs(fields_of) do redis.call('HSET', prefix .. other, unpack(fields)) end

local function watched(run, handler)
  return xpcall(run, function(problem)
    inspect.problem = problem
    stop()
    return handler(problem)
  end)
end

-- What sprocs have as `redis`: what they log is said, too, each with its place.
local function place()
  return select(2, pcall(error, '', 4)):match(':(%d+): $') or '0'
end

local sproc_api = setmetatable({
  log = function(level, ...)
    redis.log(level, ...)
    local parts = {}
    for i = 1, select('#', ...) do
      local part = select(i, ...)
      if type(part) == 'string' or type(part) == 'number' then parts[#parts + 1] = part end -- as the server does
    end
    redis.debug('luasprocs:log:' .. place() .. ':' .. level .. ':' .. encode(table.concat(parts, ' '):sub(1, 2000)))
  end,
  debug = function(...)
    redis.debug('luasprocs:debug:' .. place() .. '::' .. brief(...))
  end,
}, { __index = redis, __newindex = redis })

local api = setmetatable({ register_function = function() end }, { __index = redis })

-- Where the engine has put a source, without its first two bytes, which may be `#!`: to the text's end, or an `end`. Nothing for one as short.
local function found_in(text, source)
  if source == '' then return nil end
  local from, to = text:find(source, 1, true)
  while to < #text and not text:find('^\nend', to + 1) do from, to = text:find(source, from + 1, true) end
  return from, to
end

-- As the engine's loadstring: a sproc gets lines of its own, a chunk of the engine this function.
local function load_text(text, chunk_name)
  local own = chunk_name:sub(2)
  local first = firsts[own]
  if first then
    local from, to = found_in(text, sources[own])
    if from then
      local source, head = sited[own] ~= '' and sited[own] or text:sub(from - 2, to), heads[own] ~= '' and heads[own] or '\n'
      text = text:sub(1, from - 3) .. head .. source .. text:sub(to + 1)
    end
    text = ('\n'):rep(first - 1) .. 'local luasprocs_see = ...; return function(...) ' .. text .. '\nend'
    local make, problem = loadstring(text, '@user_script')
    return make and make(inspect.seen), problem
  end
  local chunk, problem = loadstring('local _, loadstring, xpcall, redis = ...; ' .. text, chunk_name)
  if not chunk then return nil, problem end
  return function(core)
    local made = chunk(core, load_text, watched, api)
    if chunk_name == '@luasprocs:eval' then
      local head = made.head
      made.api = function() return sproc_api end -- redis.breakpoint is there
      made.head = function(source) return head(source, true) end -- Valkey's `server` is the same
    end
    return made
  end
end

local core = loadstring('local loadstring, redis = ...; ' .. engine .. '\nreturn core', '@luasprocs:core')(load_text, api)
setmetatable(ARGV, { luasprocs = inspect })
local keys, args = {}, { unpack(given, at) }
for i = 1, #KEYS do keys[i] = KEYS[i] end
for i = math.max(#args, #ARGV), 1, -1 do ARGV[i] = args[i] end -- the global ARGV is the sproc's, for who looks at it

local function run()
  local entry, cut = core.load_entry(name), nil
  if trigger == 'cron' then
    args = { word, 'cron' }
  elseif trigger ~= 'call' then
    local batch = core.use 'batch'
    local one = batch.read({ '1', name, '1', '1', '1', '-', '', '1', '1', '1', keys[1], word }, 1)
    batch.read_values(one, 1)
    args, cut = { one.values[1], word, one.kinds[1] }, one.cuts[1]
  end
  if trigger == 'arguments' then return args end
  if entry.refused then return { err = entry.refused } end
  entry.sproc.cut = cut
  local row, reply = core.use('runs').once(entry, keys, args, trigger, '-', 1)
  return reply
end

local _, reply = watched(run, core.use('guard').explain)
return reply
