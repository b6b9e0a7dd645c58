-- `require`: library sprocs by a name that ends in .lua; else Lua modules from Lua's own paths.
local fenced, denied, loadfile, load_text = core.fenced, core.denied, core.loadfile, core.load_text
local quiet_open = core.open
local type, error, pcall, sub, gsub, gmatch, find = type, error, pcall, string.sub, string.gsub, string.gmatch, string.find
local real_require, c_loader, c_root_loader = require, package.loaders[3], package.loaders[4]

package.path, package.cpath = core.lua_path, core.c_path
package.loaded.python, package.loaded.debug = nil, _G.debug

-- The file that a module's name stands for in a path; nothing, and what was tried.
local function search(name, path)
  local tried, file_name = '', (gsub(name, '%.', '/'))
  for template in gmatch(path, '[^;]+') do
    local candidate = gsub(template, '%?', (gsub(file_name, '%%', '%%%%')))
    local file = quiet_open(candidate, 'r')
    if file then
      file:close()
      return candidate
    end
    tried = tried .. '\n\tno file \'' .. candidate .. '\''
  end
  return nil, tried
end

local function load_lua(name)
  if type(package.path) ~= 'string' then error('\'package.path\' must be a string') end
  local path, tried = search(name, package.path)
  if not path then return tried end
  local chunk, problem = loadfile(path)
  if not chunk then error('error loading module \'' .. name .. '\' from file \'' .. path .. '\':\n\t' .. problem, 0) end
  return chunk
end

-- Where C libraries are off: says so if there is one of that name.
local function refuse_c(name)
  local path = fenced(c_library(name))
  if not path then return '\n\tC libraries are off (the host\'s setting `allow` has no clibs)' end
  local why = 'it is a C library, and the host\'s setting `allow` has no clibs'
  denied('require ' .. path, why)
  return '\n\t' .. path .. ': ' .. why
end

if core.allow_clibs then
  package.loaders = { package.loaders[1], load_lua, c_loader, c_root_loader }
else
  package.loaders = { package.loaders[1], load_lua, refuse_c }
  package.loadlib = nil
end
package.path, package.cpath = core.lua_path, core.c_path

local loaded, loading = {}, {}

-- require(name) of a library sproc: what it returned, run once in each job. Texts and levels as the engine's.
local function require_sproc(name)
  local found = loaded[name]
  if found ~= nil then return found end
  if loading[name] then error('require \'' .. name .. '\' requires itself', 3) end
  local source, refused = fenced(fetch(name))
  if not source then error(refused, 3) end
  local chunk, problem = core.load_sproc(source, name)
  if not chunk then error(problem, 0) end
  loading[name] = true
  local api = { name = name, trigger = 'require', id = core.sproc.id, attempt = core.sproc.attempt, shard = core.sproc.shard, call = core.sproc.call, enqueue = core.sproc.enqueue }
  local ok, result = pcall(chunk, {}, {}, api, core.require, core.redis)
  loading[name] = nil
  if not ok then error(result, 0) end
  if result == nil then result = true end
  loaded[name] = result
  return result
end

core.require = function(name)
  if type(name) == 'string' and sub(name, -4) == '.lua' then
    local result = require_sproc(name) -- no tail call, which would lose the level of the caller
    return result
  end
  local ok, result = pcall(real_require, name)
  if ok then return result end
  -- Lua's own texts have no place, as pcall called it; what a module raised has its own.
  local own = type(result) == 'string' and (find(result, '^module \'') or find(result, '^loop or previous error'))
  error(result, own and 2 or 0)
end
_G.require = core.require
