"""A work tree with sprocs to step through, and adapters that end with the test."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.gitrepo import GitRepo
from tests.sync.debugger.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MONEY = """-- description=Adds up
-- library=yes
local Money = { count = 0 }
local step = 1
function Money.add(total, amount)
  local sum = total + amount
  Money.count = Money.count + step
  return sum
end
return Money
"""
ORDER = """-- description=Sums up prices
local money = require('lib/money.lua')
local total = 0
for i, price in ipairs(ARGV) do
  total = money.add(total, price)
end
redis.call('SET', KEYS[1], total)
local items = { total = total, keys = KEYS }
return items.total
"""
CALLER = """-- description=Calls another
local sum = sproc.call('order.lua', KEYS, { 4, 5 })
return sum
"""
FAILS = """-- description=Raises an error
local function inner(amount)
  local none = nil
  local twice = amount * 2
  return none.field + twice
end
local outer = 5
local found = inner(outer)
return found
"""
LOOPS = """-- description=Loops
local function work(rounds)
  local sum = 0
  for i = 1, rounds do
    sum = sum + i
  end
  return sum
end
local first = work(10000)
for i = 1, 10000 do first = first + i end
return first
"""
ENDLESS = """-- description=Never ends
local n = 0
while true do
  n = n + 1
end
"""
FILES = {
    "lib/money.lua": MONEY,
    "order.lua": ORDER,
    "caller.lua": CALLER,
    "fails.lua": FAILS,
    "loops.lua": LOOPS,
    "endless.lua": ENDLESS,
}


class Debug(Protocol):
    """Launches a sproc of the work tree. `stops`: breakpoints by file: lines, or objects of the protocol."""

    def __call__(self, name: str, *, stops: dict[str, list[Any]] | None = None, **launch: Any) -> Client: ...


@pytest.fixture
def tree(tmp_path) -> Path:
    repo = GitRepo(tmp_path / "tree")
    for name, source in FILES.items():
        repo.write(f"sprocs/{name}", source)
    repo.write("luasprocs.toml", "")
    return repo.path / "sprocs"


@pytest.fixture
def debug(tree) -> Iterator[Debug]:
    with contextlib.ExitStack() as clients:

        def started(name: str, *, stops: dict[str, list[Any]] | None = None, **launch: Any) -> Client:
            client = clients.enter_context(Client(tree))
            client.launch(tree / name, stops={tree / file: lines for file, lines in (stops or {}).items()}, **launch)
            return client

        yield started
