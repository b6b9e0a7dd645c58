from __future__ import annotations

from luasprocs.operations.replay import Replayed
from luasprocs.state.executions import Execution
from luasprocs_tui.values.replays import Compared, shown


def test_a_long_error_goes_on_below_its_beginning() -> None:
    said = "ERR a.lua:1: " + "one word and then another, " * 8
    text = shown(Execution("1-1", 1, "a.lua", status="error", error=said), Compared(Replayed("error", said)), 80).plain
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    begins = {line.index("ERR a.lua:1:") for line in lines if "ERR" in line}
    assert {len(line) - len(line.lstrip()) for line in lines if line.startswith("     ")} == begins
    assert " ".join(text.split()).count(said.strip()) == 2, "all of it"
