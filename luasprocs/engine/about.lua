-- What a sync asks of the engine. All of it only reads. Made anew for each call.
local core = ...
local serve = {}

-- FCALL_RO <ns>luasprocs_about 0
-- Reply: version, owner, db, namespace, id of this text, generation of the registry that it compiled from.
serve[ABOUT] = function()
  core.pin()
  return { VERSION, OWNER, DB, NAMESPACE, core.text_id, core.generation or '' }
end

-- FCALL_RO <ns>luasprocs_compile 0 [name source ...]
-- Reply: name, message, … of each that doesn't compile. It keeps nothing and runs nothing.
serve[COMPILE] = function(_, args)
  core.pin()
  local problems = {}
  for i = 1, #args, 2 do
    local chunk, problem = loadstring(PREFIX .. args[i + 1], '@' .. args[i])
    if not chunk then
      problems[#problems + 1] = args[i]
      problems[#problems + 1] = problem
    end
  end
  return problems
end

-- The SHA1 that says whether a sproc's hash is as it was applied: its known fields in one order, then the others' hashes,
-- sorted. (Field names themselves are never sorted: Lua compares strings by the server's locale.)
local place_of = {}
for place, field in ipairs(FIELDS) do place_of[field] = place end

local function digest(fields)
  local at, parts, others, used = {}, {}, {}, 0
  for i = 1, #fields, 2 do
    local place = place_of[fields[i]]
    if place then
      at[place] = i
    else
      others[#others + 1] = redis.sha1hex(fields[i] .. '\0' .. fields[i + 1])
    end
  end
  for place = 1, #FIELDS do
    local i = at[place]
    if i then
      parts[used + 1], parts[used + 2] = fields[i], fields[i + 1]
      used = used + 2
    end
  end
  if #others > 0 then
    table.sort(others)
    for _, hash in ipairs(others) do parts[#parts + 1] = hash end
  end
  return redis.sha1hex(table.concat(parts, '\0'))
end

-- Takes names. Returns name, blob, 1 if its hash is as it was applied else 0, … for each; instead of 1 what stands in `edit`, of a live edit.
local function inspect(names)
  local found = {}
  if #names == 0 then return found end
  local digests = redis.pcall('HMGET', DIGESTS, unpack(names))
  for i, name in ipairs(names) do
    local fields = redis.pcall('HGETALL', NAME .. name)
    local intact = not fields.err and not digests.err and digests[i] == digest(fields)
    local blob, edit = '', nil
    for j = 1, fields.err and 0 or #fields, 2 do
      if fields[j] == 'blob' then blob = fields[j + 1] end
      if fields[j] == 'edit' then edit = fields[j + 1] end
    end
    found[#found + 1] = name
    found[#found + 1] = blob
    found[#found + 1] = intact and (edit or 1) or 0
  end
  return found
end

-- FCALL_RO <ns>luasprocs_inspect 0 start stop: a stretch of the list, as LRANGE takes it. Reply: see inspect.
serve[INSPECT] = function(_, args)
  local names = redis.pcall('LRANGE', LIST, args[1], args[2])
  return names.err and {} or inspect(names)
end

-- FCALL_RO <ns>luasprocs_verify 0 [name ...]: the same of these names.
serve[VERIFY] = function(_, args) return inspect(args) end

return serve
