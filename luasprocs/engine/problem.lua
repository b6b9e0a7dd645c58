-- The text of an error, which may be anything that a sproc raised; never raises itself. Workers use this file, too.
return function(problem)
  if type(problem) == 'table' then problem = rawget(problem, 'err') or 'ERR an error that is a table' end
  if type(problem) == 'string' then return problem end
  return type(problem) == 'number' and tostring(problem) or 'ERR an error that is a ' .. type(problem)
end
