-- Checks the arguments of a function: whoever may call it may send anything.
local find, sub = string.find, string.sub

-- A whole number that Lua counts exactly, as digits.
local function whole(text)
  return #text <= 15 and find(text, '^%d+$')
end

-- Takes the arguments and a rule, `usage|kinds|kinds of those that repeat`: `n` a whole number, `o` one or empty, `w` a word without
-- blanks, `.` anything. Returns the error, or nothing.
return function(args, rule)
  local first = find(rule, '|', 1, true)
  local second = find(rule, '|', first + 1, true)
  local usage, kinds, each = sub(rule, 1, first - 1), sub(rule, first + 1, second - 1), sub(rule, second + 1)
  local count, more = #kinds, #args - #kinds
  if more < 0 or (each == '' and more > 0) or (each ~= '' and more % #each ~= 0) then
    return 'ERR wrong number of arguments: ' .. usage
  end
  local plain = not find(each, '[^.]')
  for place = 1, plain and count or #args do
    local at = place > count and (place - count - 1) % #each + 1
    local kind, text = at and sub(each, at, at) or sub(kinds, place, place), args[place]
    if (kind == 'n' and not whole(text)) or (kind == 'o' and text ~= '' and not whole(text)) then
      return 'ERR argument ' .. place .. ' is no whole number from 0 to 999999999999999: ' .. usage
    elseif kind == 'w' and (text == '' or #text > 200 or find(text, '%s')) then
      return 'ERR argument ' .. place .. ' is no word: ' .. usage
    end
  end
end
