-- `redis` and `sproc`: each command is sent between the markers that say what it causes; replies are as Redis gives them to Lua.
local fenced, texts = core.fenced, core.texts
local type, error, tostring, tonumber, select, unpack, floor, format =
  type, error, tostring, tonumber, select, unpack, math.floor, string.format
local modern, concat, stdout = core.modern, table.concat, io.stdout
local sub, gsub, find, match = string.sub, string.gsub, string.find, string.match

local function problem_of(text, command_failed)
  return { err = text, ignore_error_stats_update = command_failed or nil }
end

-- A number as this server turns it into an argument.
local function number_text(number)
  if not modern then return format('%.17g', number) end
  if number == 0 then return '0' end
  if number == floor(number) and number <= 2 ^ 62 and number >= -2 ^ 62 then return format('%.0f', number) end
  return (fenced(shortest(number)))
end

-- The words of a command; or nothing and the error object that says why they are none.
local function words_of(...)
  local count = select('#', ...)
  if count == 0 then return nil, problem_of('ERR ' .. texts.no_arguments) end
  local words, bytes = { ... }, 0
  for i = 1, count do
    local kind = type(words[i])
    if kind == 'number' then
      words[i] = number_text(words[i])
    elseif kind ~= 'string' then
      return nil, problem_of('ERR ' .. texts.bad_arguments)
    end
    bytes = bytes + #words[i]
  end
  -- One string may be given a thousand times, but Python has a copy of each.
  if bytes > core.memory_bytes then return nil, problem_of('ERR not enough memory: a command larger than memory') end
  return words
end

-- Many words go to Python as they are, in a table: Lua's stack has no room for all that unpack may give and some more.
local function passed(words)
  if #words > 1000 then return words end
  return unpack(words)
end

-- Sends a command. Returns its reply, and whether it is a refusal of the server.
local function sent(words)
  local ok, reply = fenced(command(core.resp or 2, passed(words)))
  if ok then return reply end
  return problem_of(reply, true), true
end

local redis = {
  REDIS_VERSION = core.versions.redis, REDIS_VERSION_NUM = core.versions.redis_number, LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
}

function redis.call(...)
  local words, problem = words_of(...)
  if not words then error(problem, 0) end
  local reply, failed = sent(words)
  if failed then error(reply, 0) end
  return reply
end

function redis.pcall(...)
  local words, problem = words_of(...)
  if not words then return problem end
  return (sent(words))
end

-- redis.error_reply(text): an error object; a text without a code gets ERR.
function redis.error_reply(...)
  local text = ...
  if select('#', ...) ~= 1 or type(text) ~= 'string' then return { err = 'ERR wrong number or type of arguments' } end
  if sub(text, 1, 1) == '-' then
    text = gsub(sub(text, 2), '[\r\n]+$', '')
    if not find(text, ' ', 1, true) then text = 'ERR ' .. text end
  else
    text = gsub(text, '[\r\n]+$', '')
    if not find(text, ' ', 1, true) then text = 'ERR ' .. text end
  end
  return { err = text }
end

function redis.status_reply(...)
  local text = ...
  if select('#', ...) ~= 1 or type(text) ~= 'string' then return { err = 'ERR wrong number or type of arguments' } end
  return { ok = text }
end

function redis.sha1hex(...)
  if select('#', ...) ~= 1 then error(problem_of('ERR wrong number of arguments'), 0) end
  return (fenced(sha1hex(tostring((...)))))
end

-- redis.log(level, text, ...): the line goes to what the sproc prints, as a worker has no log of its own.
function redis.log(...)
  local count, level = select('#', ...), ...
  if count < 2 then error(problem_of('ERR ' .. texts.api .. '.log() requires two arguments or more.'), 0) end
  if type(level) ~= 'number' then error(problem_of('ERR First argument must be a number (log level).'), 0) end
  if level < 0 or level > 3 then error(problem_of('ERR ' .. texts.bad_level), 0) end
  local parts = { select(2, ...) }
  for i = 1, count - 1 do parts[i] = (type(parts[i]) == 'string' or type(parts[i]) == 'number') and tostring(parts[i]) or '' end
  stdout:write(concat(parts, ' '), '\n') -- print would end at a NUL
end

function redis.setresp(...)
  local version = ...
  if select('#', ...) ~= 1 then error(problem_of('ERR ' .. texts.api .. '.setresp() requires one argument.'), 0) end
  version = tonumber(version)
  if version ~= 2 and version ~= 3 then error(problem_of('ERR RESP version must be 2 or 3.'), 0) end
  core.resp = version
end

function redis.set_repl()
  error(problem_of('ERR ' .. texts.api .. '.set_repl is not there in an async sproc'), 0)
end

-- As under EVAL, where they do nothing any more.
function redis.replicate_commands() return true end
function redis.breakpoint() return false end
function redis.debug() end

if core.versions.valkey then
  redis.SERVER_NAME, redis.VALKEY_VERSION, redis.VALKEY_VERSION_NUM = 'valkey', core.versions.valkey, core.versions.valkey_number
  _G.server = redis
end

-- The keys and arguments of another sproc as words; raises for what is neither string nor number.
local function listed(list, words)
  for i = 1, list and #list or 0 do
    local word, problem = words_of(list[i])
    if not word then error(problem, 0) end
    words[#words + 1] = word[1]
  end
  return list and #list or 0
end

local function run_function(what, name, keys, args)
  local words, rest = {}, {}
  local count = listed(keys, words)
  listed(args, rest)
  local _ = concat(words), concat(rest) -- fails where the memory does
  for i = 1, #rest do words[#words + 1] = rest[i] end
  local ok, reply = fenced(procedure(what, tostring(name), count, passed(words)))
  if ok then return reply end
  local text = gsub(reply, ' script: .*on @.+:%d+%.$', '') -- what the server adds to what the other sproc raised
  local raised = match(text, '^ERR (.+%.lua:%d+: .*)$')
  error(raised or { err = text }, 0)
end

-- sproc.call(name, keys, args): a server-side sproc, in one atomic step. Returns its reply, raises its error.
function core.sproc.call(name, keys, args) return (run_function('call', name, keys, args)) end

-- sproc.enqueue(name, keys, args): an async run. Returns the job's id, nil where overlap=skip left it out.
function core.sproc.enqueue(name, keys, args) return (run_function('enqueue', name, keys, args) or nil) end

core.redis, _G.redis = redis, redis
