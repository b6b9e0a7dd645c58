-- What a source has under EVAL, and a function of a library hasn't: room for all its locals and upvalues, and members of `redis` that do nothing.
local eval = {}

local NOTHING = {
  replicate_commands = function() return true end,
  breakpoint = function() return false end,
  debug = function() end,
}
local NAMED = {
  replicate_commands = { '%f[%w_]replicate_commands%f[^%w_]' },
  breakpoint = { '%f[%w_]breakpoint%f[^%w_]' },
  debug = { '%.%s*debug%f[^%w_]', '%[%s*["\']debug["\']' },
}

-- Whether a source names one of them, as far as a pattern can tell. A pattern is tried at every byte, a word is found at once.
local function names_nothing(source)
  for word, patterns in pairs(NAMED) do
    if source:find(word, 1, true) then
      for _, pattern in ipairs(patterns) do
        if source:find(pattern) then return true end
      end
    end
  end
  return false
end

-- The `redis` of a source: the server's own, unless it names one of these.
function eval.api(source)
  if not names_nothing(source) then return redis end
  local function refuse() error('Attempt to modify a readonly table', 2) end
  return setmetatable({}, { __index = function(_, name) return NOTHING[name] or redis[name] end, __newindex = refuse })
end

-- What stands before a source that is handed a `redis` of its own (`limited`, or with those members): on Valkey it is called `server`, too.
function eval.head(source, limited)
  local too = (limited or names_nothing(source)) and source:find('%f[%w_]server%f[^%w_]') and pcall(function() return server end)
  return too and 'local server = redis; ' or ''
end

-- A source as Lua takes it: its first line `#!lua flags=…` is a comment. Its header says what that means.
function eval.compilable(source)
  return source:sub(1, 2) == '#!' and '--' .. source:sub(3) or source
end

-- As `load`, for what needs more room than the names leave that every source is handed. `redis` is the global then.
local function roomy(source, name, limited)
  local head = (limited or names_nothing(source)) and K.PREFIX .. eval.head(source, limited) .. 'return function() ' or K.ROOMY
  local make, problem = loadstring(head .. source .. '\nend', '@' .. name)
  return make and function(...) return make(...)() end, problem
end

-- A source as a function of KEYS, ARGV, sproc, require, redis; or nothing, and what Lua says.
function eval.load(source, name, limited)
  source = eval.compilable(source)
  local chunk, problem = loadstring(K.PREFIX .. eval.head(source, limited) .. source, '@' .. name)
  if not chunk and problem:find(' has more than ', 1, true) then return roomy(source, name, limited) end
  return chunk, problem
end

return eval
