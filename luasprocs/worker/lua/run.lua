-- Runs the sproc, and turns what it returned or raised into a record's texts, by the rules of the engine's record.lua.
local place, load_text = core.place, core.load_text
local type, rawget, tostring, pcall, xpcall, next, error, concat = type, rawget, tostring, pcall, xpcall, next, error, table.concat
local sub, format = string.sub, string.format -- all of them as they were: a sproc may change what string methods are
local json = cjson -- loaded when it is used first
local TEXT_LIMIT_BYTES, PART_LIMIT_BYTES, PARTS_LIMIT, LEVELS_LIMIT = 1024, 256, 50, 4

local function short(text)
  if #text <= TEXT_LIMIT_BYTES then return text end
  return sub(text, 1, TEXT_LIMIT_BYTES) .. '… (' .. #text .. ' bytes)'
end

-- A copy of a reply that is small enough to be encoded, whatever it holds.
local function brief(value, level)
  if type(value) == 'string' then
    return #value <= PART_LIMIT_BYTES and value or sub(value, 1, PART_LIMIT_BYTES) .. '…'
  end
  if type(value) ~= 'table' then return value end
  if level > LEVELS_LIMIT then return '…' end
  local copy, count = {}, 0
  if rawget(value, 1) ~= nil then -- as a reply: up to the first nil
    repeat
      count = count + 1
      copy[count] = brief(rawget(value, count), level + 1)
    until count == PARTS_LIMIT or rawget(value, count + 1) == nil
    return copy
  end
  for key, part in next, value do -- not pairs: a sproc's metatable must not run here
    count = count + 1
    if count > PARTS_LIMIT then break end
    copy[tostring(key)] = brief(part, level + 1)
  end
  return copy
end

-- A reply as text; never raises.
local function readable(reply)
  if reply == nil or reply == false then return '' end
  if type(reply) == 'string' then return short(reply) end
  if type(reply) == 'number' then -- tostring keeps 14 digits
    return reply % 1 == 0 and reply > -2 ^ 63 and reply < 2 ^ 63 and format('%.0f', reply) or tostring(reply)
  end
  if type(reply) == 'table' then
    local status = rawget(reply, 'ok')
    if type(status) == 'string' then return short(status) end
    local ok, text = pcall(function() return json.new().encode(brief(reply, 1)) end)
    return ok and type(text) == 'string' and short(text) or 'a table'
  end
  return reply == true and 'true' or type(reply)
end

-- The text of an error, which may be anything; never raises.
local function text_of(problem)
  if type(problem) == 'table' then problem = rawget(problem, 'err') or 'ERR an error that is a table' end
  if type(problem) == 'string' then return problem end
  return type(problem) == 'number' and tostring(problem) or 'ERR an error that is a ' .. type(problem)
end

-- xpcall's handler. A text has its place already; an error object gets it as the server gives it.
local explained
local function explain(problem)
  local text
  if type(problem) == 'string' then
    text = 'ERR ' .. problem
  else
    local where = place(3) or core.sproc.name -- of a tail call (`return redis.call(...)`) Lua knows no line
    text = text_of(problem) .. ' script: worker, on @' .. where .. '.'
  end
  explained = true
  return text
end

-- What a run is: whether it went well, its reply's text (nil where it returned nothing), its error's.
return function(source, name, keys, args)
  explained = false
  fence()
  local ok, reply = xpcall(function()
    local chunk, problem = load_text(core.PREFIX .. source, '@' .. name)
    if not chunk then error(problem, 0) end
    local answer = chunk(keys, args, core.sproc, core.require, core.redis)
    return answer
  end, explain)
  lift()
  if not ok and not explained then reply = 'ERR ' .. text_of(reply) end -- Lua asks no handler at the end of its memory
  local failed = type(reply) == 'table' and rawget(reply, 'err') ~= nil
  local text = (ok and not failed and reply ~= nil and reply ~= false) and readable(reply) or nil
  local problem = not ok and short(text_of(reply)) or (failed and short(text_of(reply))) or ''
  return ok and not failed, text, problem, concat(core.refusals or {}, '; ')
end
