-- Compiles a sproc when it is used first. Made anew for each: nothing here is kept but what it puts into the core's tables.
local core = ...
local entries, loaded, loading, is, quoted = core.entries, core.loaded, core.loading, core.is, core.quoted
local require_library, call_sproc, api = core.require_library, core.call_sproc, redis

-- What a library reaches through a metatable and an upvalue doesn't: 2% of a call's time for a handful of uses.
local SHARED = { 'tonumber', 'tostring', 'type', 'pairs', 'ipairs', 'unpack', 'math', 'string', 'table', 'cjson' }

-- An entry that can't run; `refused` says why.
local function refusal(text)
  return { refused = text }
end

-- Takes a name. Returns its source and flags as written, or nothing and the refusal's text.
local function fetch(name)
  if not name then return nil, 'ERR no sproc named: FCALL ' .. EXECUTE .. ' numkeys [key ...] name [arg ...]' end
  core.pin()
  local found = redis.pcall('HMGET', NAME .. name, 'source', 'enabled', 'library', 'runasync', 'readonly', 'type', 'value', 'retries')
  if found.err then
    if found.err:find('WRONGTYPE', 1, true) == 1 then
      return nil, 'ERR the registry of ' .. quoted(name) .. ' was changed by hand: sync again'
    end
    return nil, found.err
  end
  if not found[1] then
    local where = core.generation and '' or ' here: this engine serves the registry of db ' .. DB
    return nil, 'NOSPROC no sproc named ' .. quoted(name) .. where
  end
  if is(found[2], 'no') then return nil, 'DISABLED sproc ' .. quoted(name) .. ' has enabled=no' end
  return found
end

-- require(name) inside a sproc: what the library sproc of that name returned, run once after each load.
local function load_library(name)
  if loading[name] then error('require ' .. quoted(name) .. ' requires itself', 3) end
  local found, refused = fetch(name)
  if not found then error(refused, 3) end
  if not is(found[3], 'yes') then error('require ' .. quoted(name) .. ': it is not library=yes', 3) end
  local chunk, problem = loadstring(PREFIX .. found[1], '@' .. name)
  if not chunk then error(problem, 0) end
  loading[name] = true
  local ok, result = pcall(chunk, {}, {}, { name = name, trigger = 'require', call = call_sproc, enqueue = core.enqueue }, require_library, redis)
  loading[name] = nil
  if not ok then error(result, 0) end
  if result == nil then result = true end
  loaded[name] = result
  return result
end

-- A source as it is, and without its comments: what looks like one may stand in a string, so both count.
local function readings(source)
  local without_blocks = source:gsub('%-%-%[(=*)%[.-%]%1%]', ' ')
  return { source, without_blocks, (without_blocks:gsub('%-%-[^\n]*', ' ')), (source:gsub('%-%-[^\n]*', ' ')) }
end

-- Whether a source may assign to a name, as far as a pattern can tell: then it must not be an upvalue, which would keep it.
local function assigns(source, name)
  for _, text in ipairs(readings(source)) do
    if text:find(name .. '%s*[=,]') or text:find('function%s+' .. name .. '%s*%(') then return true end
  end
  return false
end

-- The start of the function that a source is made into, all on its first line.
local function head(source)
  local shared = {}
  for _, name in ipairs(SHARED) do
    if source:find('%f[%w_]' .. name .. '%f[^%w_]') and not assigns(source, name) then shared[#shared + 1] = name end
  end
  local names = table.concat(shared, ', ')
  local copies = #shared > 0 and 'local ' .. names .. ' = ' .. names .. '; ' or ''
  return 'local sproc, require, redis = ...; ' .. copies .. 'return function(KEYS, ARGV) '
end

-- The function that runs a source which compiles: made once, of fixed arity, which is faster than a chunk.
-- A source that uses `...` itself, or assigns to what is handed over, can't be made so, and stays a chunk.
local function runner(source, name, chunk, sproc)
  local fixed = not (assigns(source, 'redis') or assigns(source, 'sproc') or assigns(source, 'require'))
  local make = fixed and loadstring(head(source) .. source .. '\nend', '@' .. name)
  if make then return make(sproc, require_library, api) end
  return function(keys, args) return chunk(keys, args, sproc, require_library, api) end
end

-- What redis may be followed by in a source that changes neither db nor protocol nor replication: a command named by a literal.
local TAME_USES = {
  '%f[%w_]redis%.p?call%s*%(%s*\'[%w|._-]+\'%s*[,)]', '%f[%w_]redis%.p?call%s*%(%s*"[%w|._-]+"%s*[,)]',
  '%f[%w_]redis%.sha1hex%f[^%w_]', '%f[%w_]redis%.error_reply%f[^%w_]', '%f[%w_]redis%.status_reply%f[^%w_]',
}
local WILD_WORDS = { 'select', 'require', 'sproc', '_g', 'server', 'loadstring', 'load' }

-- Whether nothing need be put back after a run (0.6 us): a proof by the text, so one that is merely unusual is not tame.
local function is_tame(source)
  local lower = source:lower()
  for _, word in ipairs(WILD_WORDS) do
    if lower:find('%f[%w_]' .. word .. '%f[^%w_]') then return false end
  end
  if lower:find('select', 1, true) then return false end
  local _, uses = source:gsub('%f[%w_]redis%f[^%w_]', '')
  for _, pattern in ipairs(TAME_USES) do
    local _, tame = source:gsub(pattern, '')
    uses = uses - tame
  end
  return uses == 0
end

-- Whether a source may raise something that is no string: redis-server 7.0 crashes where such an error reaches it.
local function may_raise(source)
  return source:find('error', 1, true) or source:find('assert', 1, true) or not is_tame(source)
end

-- A header's comma list of types as a set; nil is any.
local function types_of(text)
  if not text then return nil end
  local types = {}
  for word in text:gmatch('[^,%s]+') do types[word] = true end
  return types
end

-- The entry for a name that `entries` hasn't: compiled and kept, or a refusal, which is not kept.
local function load_entry(name)
  local found, refused = fetch(name)
  if not found then return refusal(refused) end
  if is(found[3], 'yes') then return refusal('ERR ' .. quoted(name) .. ' is library=yes: other sprocs require it') end
  if is(found[4], 'yes') then
    local later = refusal('ASYNC ' .. quoted(name) .. ' is runasync=yes: it runs in a worker, not on the server; luasprocs execute, sproc.enqueue or FCALL ' .. ENQUEUE .. ' enqueues it')
    later.is_async, later.types, later.value = true, types_of(found[6]), not is(found[7], 'no')
    return later
  end
  local chunk, problem = loadstring(PREFIX .. found[1], '@' .. name)
  if not chunk then return refusal('ERR ' .. problem) end
  local sproc = { name = name, trigger = 'call', call = call_sproc, enqueue = core.enqueue }
  local entry = {
    name = name,
    run = runner(found[1], name, chunk, sproc),
    left = core.FLUSH_EVERY,
    readonly = is(found[5], 'yes'),
    types = types_of(found[6]),
    value = not is(found[7], 'no'),
    retried = (tonumber(found[8]) or 0) > 0,
    sproc = sproc,
    tame = is_tame(found[1]),
    guarded = may_raise(found[1]),
    begin = core.triggers and 'begin 1 1 - ' .. name, -- the marker of a direct call, if anybody listens
  }
  entries[name] = entry
  return entry
end

return { load_entry = load_entry, load_library = load_library }
