"""The debugger as an editor meets it: from its start to the first stop, and over a loop."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.pairs import Result
from tests.sync.debugger.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 5
FIRST_STOP_MS, LOOP_MS = 500, 300
_SOURCE = """-- description=A loop of ten thousand
local function sum(rounds)
  local total = 0
  for i = 1, rounds do
    total = total + i
  end
  return total
end
local found = sum(10000)
return found
"""


def results() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as folder:
        file = Path(folder, "loop.lua")
        file.write_text(_SOURCE)
        measured = [_session(file) for _ in range(ROUNDS + 1)][1:]  # the first reads what the others find in memory
    first, loop = zip(*measured, strict=True)
    yield _at_most("from the start of `luasprocs dap` to the first stop, ms", first, FIRST_STOP_MS)
    yield _at_most("over a loop of 10,000, ms", loop, LOOP_MS)


def _at_most(name: str, values: tuple[float, ...], limit: float) -> Result:
    return Result(name, tuple((one, limit) for one in values), statistics.median(values), limit, at_least=False)


def _session(file: Path) -> tuple[float, float]:
    began = time.perf_counter()
    with Client(file.parent) as client:
        client.launch(file, stops={file: [9]})
        assert client.stopped() == "breakpoint loop.lua:9"
        stopped = time.perf_counter()
        assert client.step("next") == "step loop.lua:10"
        return (stopped - began) * 1000, (time.perf_counter() - stopped) * 1000
