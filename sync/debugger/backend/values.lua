-- Writes values as plain text of few characters, which values.py reads: `n`, `t`, `f`; `d…;` a number; `s…;` a string, with `,LENGTH` if it is cut;
-- `o…;` what it is and where; `{` keys and values `}`, with `+` before the end if it is cut; `c` a table that stands around it; `m` what is too much.
local select, type, tostring, rawget, next, format, gsub, sub, concat, byte = select, type, tostring, rawget, next, string.format, string.gsub, string.sub, table.concat, string.byte
local floor, max, min = math.floor, math.max, math.min
local DEPTH, FIELDS = 16, 1000
local BYTES, BRIEF_BYTES = 600000, 6000 -- of all values together, each of which gets the same share of what those before it have left
local WHOLE_CHARS, CHARS, LEAST_CHARS = 16384, 2000, 100 -- of a string by itself, and of one in a table

local function escaped(char)
  return format('%%%02x', byte(char))
end

local function encode(text)
  return (gsub(text, '[^A-Za-z0-9_.-]', escaped))
end

local function written(bytes, ...)
  local out, left, around = {}, 0, {}

  local function put(text)
    out[#out + 1] = text
    left = left - #text
  end

  local write

  local function write_fields(value, depth)
    local count, last = 0, 0
    while count < FIELDS and left > 0 and rawget(value, last + 1) ~= nil do
      last, count = last + 1, count + 1
      write(last, depth + 1)
      write(rawget(value, last), depth + 1)
    end
    for key, field in next, value do
      local listed = type(key) == 'number' and key >= 1 and key <= last and key % 1 == 0
      if not listed then
        if count >= FIELDS or left <= 0 then return put '+' end
        count = count + 1
        write(key, depth + 1)
        write(field, depth + 1)
      end
    end
  end

  function write(value, depth)
    local kind = type(value)
    if kind == 'nil' then
      put 'n'
    elseif kind == 'boolean' then
      put(value and 't' or 'f')
    elseif kind == 'number' then
      put('d' .. format('%.17g', value) .. ';')
    elseif kind == 'string' then
      local most = max(min(depth == 0 and WHOLE_CHARS or CHARS, floor(left / 3)), LEAST_CHARS)
      put('s' .. encode(sub(value, 1, most)) .. (#value > most and ',' .. #value or '') .. ';')
    elseif kind ~= 'table' then
      put('o' .. kind .. (kind == 'userdata' and '' or encode(gsub(tostring(value), '^.-: ', '@'))) .. ';')
    elseif around[value] then
      put 'c'
    elseif depth >= DEPTH or left <= 0 then
      put 'm'
    else
      around[value] = true
      put '{'
      write_fields(value, depth)
      put '}'
      around[value] = nil
    end
  end

  local count, all = select('#', ...), bytes
  for i = 1, count do
    local share = all / (count - i + 1)
    left = share
    write((select(i, ...)), 0)
    all = all - share + left
  end
  return concat(out)
end

return function(...) return written(BYTES, ...) end, encode, function(...) return written(BRIEF_BYTES, ...) end
