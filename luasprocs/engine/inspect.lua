-- What a sync asks of the engine. All of it only reads.
local core = ...
local pin, serve = core.use 'pin', {}

function serve.about()
  pin()
  return { K.VERSION, K.OWNER, K.DB, K.NAMESPACE, core.text_id, core.generation or '', redis.acl_check_cmd('FUNCTION', 'LOAD', '') and core.proof or '' }
end

function serve.compile(_, args)
  pin()
  local load, problems = core.once('eval').load, {}
  for i = 1, #args, 2 do
    local name, source = args[i], args[i + 1]
    local chunk, problem = load(source, name)
    if not chunk then problems[#problems + 1], problems[#problems + 2] = name, problem end
  end
  return problems
end

-- The SHA1 that says whether a sproc's hash is as it was applied: its known fields in one order, then the others' hashes,
-- sorted. (Field names themselves are never sorted: Lua compares strings by the server's locale.)
local place_of = {}
for place, field in ipairs(K.DIGESTED) do place_of[field] = place end

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
  for place = 1, #K.DIGESTED do
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
  local digests = redis.pcall('HMGET', K.DIGESTS, unpack(names))
  for i, name in ipairs(names) do
    local fields = redis.pcall('HGETALL', K.NAME_PREFIX .. name)
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

function serve.inspect(_, args)
  local start, stop = args[1], args[2]
  local names = redis.pcall('LRANGE', K.LIST, start, stop)
  return names.err and {} or inspect(names)
end

function serve.verify(_, names) return inspect(names) end

return { serve = serve }
