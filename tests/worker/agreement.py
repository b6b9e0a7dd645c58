"""Runs Lua scripts in a worker's runtime and on a server, and says where the two differ."""

from __future__ import annotations

from lupa import lua51

from luasprocs.worker.libs import install
from tests.servers import Server

RUNNER = rb"""
local function shown(value, seen)
  local kind = type(value)
  if kind == 'string' then return (('%q'):format(value):gsub('[^ -~]', function(c) return '\\' .. c:byte() end)) end
  if kind == 'number' then return ('%.17g'):format(value) end
  if kind == 'function' or kind == 'thread' then return kind end
  if kind ~= 'table' then return tostring(value) end
  if seen > 20 then return '...' end
  local keys = {}
  for key, element in next, value do keys[#keys + 1] = '[' .. shown(key, seen + 1) .. ']=' .. shown(element, seen + 1) end
  table.sort(keys)
  return '{' .. table.concat(keys, ',') .. '}'
end

local function outcome(...)
  local shows = {}
  for i = 1, select('#', ...) do shows[i] = shown((select(i, ...)), 0) end
  return table.concat(shows, ' ')
end

local outcomes = {}
for i, script in ipairs(ARGV) do
  local chunk, problem = loadstring(script, '@user_script')
  outcomes[i] = chunk and outcome(pcall(chunk)) or 'does not compile: ' .. problem
end
return outcomes
"""


def runtime_of_a_job() -> lua51.LuaRuntime:
    return lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)


def on_worker(scripts: list[bytes]) -> list[str]:
    runtime = runtime_of_a_job()
    install(runtime)
    run = runtime.execute(b"return function(ARGV) " + RUNNER + b" end")
    outcomes = run(runtime.table_from(scripts))
    return [outcomes[at + 1].decode() for at in range(len(scripts))]


def on_server(server: Server, scripts: list[bytes]) -> list[str]:
    with server.client() as client:
        outcomes = client.execute_command("EVAL", RUNNER, 0, *scripts)
    assert isinstance(outcomes, list)
    return [outcome.decode() for outcome in outcomes]


def differences(server: Server, scripts: list[bytes]) -> dict[bytes, tuple[str, str]]:
    """By script: what the worker says, and what the server."""
    found = zip(scripts, on_worker(scripts), on_server(server, scripts), strict=True)
    return {script: (worker, real) for script, worker, real in found if worker != real}
