-- What a sproc that is readonly=yes gets of `redis` and `sproc`: commands that write are refused, as under EVAL's flag no-writes, by whichever
-- function it is called. The server itself refuses them to FCALL_RO alone.
local core = ...
local WRITES = {}
for _, command in ipairs(K.WRITE_COMMANDS) do WRITES[command] = true end
local REFUSED = 'ERR Write commands are not allowed from read-only scripts.'
local readonly = {}

-- Whether a source may write. `tame`: each of its commands is a literal.
function readonly.may_write(source, tame)
  if not tame then return true end
  for command in source:gmatch('%f[%w_]redis%.p?call%s*%(%s*[\'"]([%w|._-]+)') do
    if WRITES[command:lower()] then return true end
  end
  return false
end

local function writes(command)
  return type(command) == 'string' and WRITES[command:lower()]
end

-- Takes the `redis` that it would get. Returns another one.
function readonly.api(api)
  local call, pcall = api.call, api.pcall
  local own = {
    call = function(...) -- without an argument the server says so
      if writes((...)) then error({ err = REFUSED }, 0) end
      return call(...)
    end,
    pcall = function(...)
      if writes((...)) then return { err = REFUSED, ignore_error_stats_update = true } end
      return pcall(...)
    end,
  }
  local function refuse() error('Attempt to modify a readonly table', 2) end
  return setmetatable({}, { __index = function(_, name) return own[name] or api[name] end, __newindex = refuse })
end

-- sproc.call runs other sprocs that are readonly=yes, sproc.enqueue nothing.
function readonly.call_sproc(name, keys, args)
  local entry = core.entries[name] or core.load_entry(name)
  if not entry.refused and not entry.readonly then error({ err = "NOTREADONLY '" .. name .. "' is not readonly=yes, as its caller is" }, 0) end
  local reply = core.use 'guard'.call_sproc(name, keys, args)
  return reply
end

function readonly.enqueue()
  error({ err = REFUSED }, 0)
end

return readonly
