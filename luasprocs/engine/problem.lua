-- The text of an error, which may be anything that a sproc raised, as EVAL has it; never raises itself. Workers use this file, too.
local function err_of(problem) return problem.err end -- which a metatable may have

return function(problem)
  local kind = type(problem)
  if kind == 'table' then
    local ok, text = pcall(err_of, problem)
    if not ok then text = nil end
    if type(text) == 'number' then text = tostring(text) end
    return type(text) == 'string' and text or 'ERR unknown error'
  end
  if kind == 'string' then return problem end
  local ok, shown = pcall(tostring, problem) -- a userdata may have a __tostring
  return 'ERR ' .. (ok and shown or kind)
end
