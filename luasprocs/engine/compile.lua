-- Compiles a sproc when it is used first. Nothing of this file is kept but what it puts into the core's tables.
local core = ...
local entries, header, eval = core.entries, core.once 'header', core.once 'eval'

local SHARD = K.TAG ~= '' and K.TAG or nil -- `sproc.shard`

-- What a library reaches through a metatable and an upvalue doesn't: 2% of a call's time for a handful of uses.
local SHARED = { 'tonumber', 'tostring', 'type', 'pairs', 'ipairs', 'unpack', 'math', 'string', 'table', 'cjson' }

local function quoted(name)
  return "'" .. tostring(name) .. "'"
end

-- An entry that can't run; `refused` says why, and begins with its code, if not the server's own error.
local function refusal(code, text, error)
  local refused = error or code .. ' ' .. text
  return { refused = refused, code = code, direct = function() return { err = refused } end }
end

-- Takes a name. Returns its header's values and `source`, or nothing and a refusal.
local function fetch(name)
  if not name then return nil, refusal('ERR', 'no sproc named: ' .. K.USAGE_EXECUTE) end
  core.once 'pin'()
  local values, problem = header.read(name, 'source', 'enabled', 'library', 'runasync', 'readonly', 'type', 'value', 'retries', 'event', 'reentrant', 'record', 'oom')
  if not values then
    if problem:find('WRONGTYPE', 1, true) ~= 1 then return nil, refusal('ERR', nil, problem) end
    return nil, refusal('DIRTY', 'the registry of ' .. quoted(name) .. ' was changed by hand: sync again')
  end
  if not values.source then
    local where = core.generation and '' or ' here: this engine serves the registry of db ' .. K.DB
    return nil, refusal('NOSPROC', 'no sproc named ' .. quoted(name) .. where)
  end
  if not header.flag(values, 'enabled') then return nil, refusal('DISABLED', 'sproc ' .. quoted(name) .. ' has enabled=no') end
  return values
end

-- What a source may call these for without changing anything that outlives the run, see guard.lua.
local SETTLED_USES = {
  cjson = { '%f[%w_]cjson%.encode%f[^%w_]', '%f[%w_]cjson%.decode%f[^%w_]', '%f[%w_]cjson%.null%f[^%w_]' }, math = { '%f[%w_]math%.[%w_]+' },
  collectgarbage = { '%f[%w_]collectgarbage%(%)', '%f[%w_]collectgarbage%(["\']co[%a]+["\']%)' },
}

-- Whether a source may change the settings of cjson, the order of random numbers or the collector's pace, as far as a pattern can tell.
local function may_unsettle(source)
  if source:find('randomseed', 1, true) or source:find('%f[%w_]_G%f[^%w_]') or source:find('%f[%w_]load') then return true end
  for word, patterns in pairs(SETTLED_USES) do
    local _, uses = source:gsub('%f[%w_]' .. word .. '%f[^%w_]', '')
    for _, pattern in ipairs(patterns) do
      local _, settled = source:gsub(pattern, '')
      uses = uses - settled
    end
    if uses > 0 then return true end
  end
  return false
end

-- require(name) inside a sproc: what the library sproc of that name returned, run once after each load.
local function load_library(name)
  local guard = core.use 'guard'
  local loaded, loading = guard.loaded, guard.loading
  if loading[name] then error('require ' .. quoted(name) .. ' requires itself', 3) end
  local values, refused = fetch(name)
  if not values then error(refused.refused, 3) end
  if not header.flag(values, 'library') then error('require ' .. quoted(name) .. ': it is not library=yes', 3) end
  local chunk, problem = eval.load(values.source, name)
  if not chunk then error(problem, 0) end
  if may_unsettle(values.source) then guard.unsettle() end
  loading[name] = true
  local ok, result = pcall(chunk, {}, {}, { name = name, trigger = 'require', shard = SHARD, call = guard.call_sproc, enqueue = guard.enqueue }, guard.require, eval.api(values.source))
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

-- A direct call is counted by its sproc itself, in an upvalue, and a source that looks at ARGV takes the name off it: in Lua's own
-- code both cost next to nothing, done by the caller 5% of a call's time. `luasprocs_named`: true for a call by name; nil for any other run.
local COUNT = 'if luasprocs_named then local n = luasprocs_calls + 1 luasprocs_calls = n if n >= %d then luasprocs_flush() end %s end '
local SHIFT = 'n = #ARGV for i = 2, n do ARGV[i - 1] = ARGV[i] end ARGV[n] = nil'

-- A source as Lua that returns the function which runs it, of fixed arity, and one that says how often it was called since it was last asked. What is
-- added stands on the first line and behind the last.
local function wrapped(source, limited)
  local shared = {}
  for _, name in ipairs(SHARED) do
    if source:find('%f[%w_]' .. name .. '%f[^%w_]') and not assigns(source, name) then shared[#shared + 1] = name end
  end
  local names = table.concat(shared, ', ')
  local copies = #shared > 0 and 'local ' .. names .. ' = ' .. names .. '; ' or ''
  local count = COUNT:format(K.FLUSH_EVERY, source:find('ARGV', 1, true) and SHIFT or '')
  return 'local sproc, require, redis, luasprocs_flush = ...; local luasprocs_calls = 0; ' .. eval.head(source, limited) .. copies
    .. 'return function(KEYS, ARGV, luasprocs_named) ' .. count .. source
    .. '\nend, function() local calls = luasprocs_calls; luasprocs_calls = 0; return calls end'
end

local function flush()
  core.use 'flush'.write()
end

-- The function that runs a source which compiles, made once, and what `wrapped` returns beside it. `limited`: what readonly.lua returned, or nothing. A source that uses `...` itself, assigns to what
-- is handed over, or has more locals or upvalues than that leaves, can't be wrapped, and stays a chunk.
local function runner(source, name, chunk, sproc, require_library, limited)
  local api = eval.api(source)
  if limited then api = limited.api(api) end
  local fixed = not (assigns(source, 'redis') or assigns(source, 'sproc') or assigns(source, 'require') or source:find('luasprocs_', 1, true))
  local make = fixed and loadstring(wrapped(source, limited), '@' .. name)
  if make then return make(sproc, require_library, api, flush) end
  return function(keys, args) return chunk(keys, args, sproc, require_library, api) end
end

-- What a direct call runs that can't call its sproc's function as it is: by name, or by a function of its own, which counts itself.
local function called(entry)
  return function(keys, args, named)
    if named then
      entry.left = entry.left - 1
      if entry.left <= 0 then flush() end
      core.use('guard').shift(args)
    end
    if not entry.guarded then return entry.run(keys, args) end
    local guard = core.use 'guard'
    if named then return guard.reply_of(entry, keys, args) end
    return guard.own_reply_of(entry, keys, args)
  end
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

-- Which of a sproc's records are written: nothing for all of them.
local function recorded(values)
  local record = header.value(values, 'record')
  return record ~= 'all' and record or nil
end

-- Whether a source may raise something that is no string: redis-server 7.0 crashes where such an error reaches it. Or return an error,
-- which is one more that failed.
local function may_raise(source)
  for _, word in ipairs({ 'err', 'assert', 'pcall' }) do
    if source:find(word, 1, true) then return true end
  end
  return not is_tame(source)
end

-- A header's comma list of types as a set; nil is any.
local function types_of(text)
  if not text then return nil end
  local types = {}
  for word in text:gmatch('[^,%s]+') do types[word] = true end
  return types
end

-- The marker of a direct call. Only a sproc that is bound to events could be triggered by itself, and only if it isn't reentrant: it needs one.
-- A direct call counts as what a client does, so the events that it causes are at the beginning of their chains: depth 0, no origin.
local function marker_of(name, values)
  if core.triggers and values.event and not header.flag(values, 'reentrant') then return 'begin 0 0 - ' .. name end
end

-- The entry for a name that `entries` hasn't: compiled and kept, or a refusal, which is not kept.
local function load_entry(name)
  local values, refused = fetch(name)
  if not values then return refused end
  local types, wants_value = types_of(values.type), header.flag(values, 'value')
  if header.flag(values, 'library') then return refusal('LIBRARY', quoted(name) .. ' is library=yes: other sprocs require it') end
  if header.flag(values, 'runasync') then
    local how = 'it runs in a worker, not on the server; luasprocs execute, sproc.enqueue or FCALL ' .. K.ENQUEUE .. ' enqueues it'
    local later = refusal('ASYNC', quoted(name) .. ' is runasync=yes: ' .. how)
    later.is_async, later.types, later.value, later.record = true, types, wants_value, recorded(values)
    later.asks = K.FULL and header.value(values, 'oom') ~= 'allow' -- see room.lua
    core.later[name] = later
    return later
  end
  local source = eval.compilable(values.source)
  local tame, readonly, limited = is_tame(source), header.flag(values, 'readonly'), nil
  if readonly then
    limited = core.once 'readonly'
    if not limited.may_write(source, tame) then limited = nil end
  end
  local chunk, problem = eval.load(source, name, limited)
  if not chunk then return refusal('ERR', problem) end
  local begin, sproc = marker_of(name, values), { name = name, trigger = 'call', shard = SHARD }
  local guard = not tame and core.use 'guard' or {} -- a tame source names neither `sproc` nor `require`
  sproc.call, sproc.enqueue = (limited or guard).call_sproc, (limited or guard).enqueue
  local run, counted = runner(source, name, chunk, sproc, guard.require, limited)
  local unsettles, asks_first = may_unsettle(source), K.FULL and core.use('room').asks(source, values, tame)
  local guarded = limited ~= nil or begin ~= nil or may_raise(source) or unsettles or asks_first
  if unsettles or source:find('require', 1, true) then run = core.use 'guard'.settled(run, unsettles) end
  local entry = {
    name = name,
    run = run,
    counted = counted,
    left = K.FLUSH_EVERY, -- less the direct calls that `counted` doesn't count
    raised = 0, -- direct calls that failed
    readonly = readonly,
    types = types,
    value = wants_value,
    retried = header.number(values, 'retries') > 0,
    record = recorded(values),
    sproc = sproc,
    tame = tame,
    begin = begin,
    guarded = guarded, -- see guard.lua
    asks = asks_first, -- see room.lua
  }
  entry.direct = not entry.guarded and counted and run or called(entry)
  entries[name], core.direct[name] = entry, entry.direct
  return entry
end

return { load_entry = load_entry, load_library = load_library }
