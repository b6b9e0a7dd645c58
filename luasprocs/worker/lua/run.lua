-- Runs the sproc, and turns what it returned or raised into a record's texts, by the engine's own files.
local place, load_sproc = core.place, core.load_sproc
local text_of, short, readable = core.problem, core.readable.short, core.readable.readable
local type, rawget, xpcall, error, concat = type, rawget, xpcall, error, table.concat
local json = cjson -- loaded when it is used first
core.json = function() return json.new() end

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
    local chunk, problem = load_sproc(source, name)
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
