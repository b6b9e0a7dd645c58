-- Replies as texts for records. Workers use this file, too; there a sproc may change what string methods are, so none is called here.
local core = ...
local type, rawget, tostring, pcall, next = type, rawget, tostring, pcall, next
local sub, format = string.sub, string.format
local TEXT_LIMIT_BYTES, PART_LIMIT_BYTES, PARTS_LIMIT = K.TEXT_LIMIT_BYTES, K.PART_LIMIT_BYTES, K.PARTS_LIMIT

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
  if level > K.LEVELS_LIMIT then return '…' end
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
  if type(reply) == 'number' then -- tostring keeps 14 digits; as a reply it is an integer
    return reply % 1 == 0 and reply > -2 ^ 63 and reply < 2 ^ 63 and format('%.0f', reply) or tostring(reply)
  end
  if type(reply) == 'table' then
    local status = rawget(reply, 'ok')
    if type(status) == 'string' then return short(status) end
    local ok, text = pcall(function() return core.json().encode(brief(reply, 1)) end)
    return ok and type(text) == 'string' and short(text) or 'a table'
  end
  return reply == true and 'true' or type(reply)
end

return { short = short, readable = readable }
