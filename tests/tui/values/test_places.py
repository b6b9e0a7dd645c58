from __future__ import annotations

import pytest

from luasprocs.state.executions import Execution
from luasprocs_tui.values.places import Place, places_of

AT = " script: luasprocs_execute, on @"


@pytest.mark.parametrize(
    ("error", "places"),
    [
        (f"ERR a.lua:3: no card{AT}a.lua:3.", [("a.lua", 3)]),
        (f"ERR lib/x.lua:5: attempt to index local 't'{AT}lib/x.lua:5.", [("lib/x.lua", 5)]),
        (f"ERR Wrong number of args{AT}callee.lua:2.", [("callee.lua", 2)]),
        (f"ERR a.lua:2: callee.lua:7: in callee{AT}a.lua:2.", [("callee.lua", 7), ("a.lua", 2)]),
        (f"MY own{AT}a.lua:1.", [("a.lua", 1)]),
        (f"ERR a.lua:2: no lua here:5: y{AT}a.lua:2.", [("a.lua", 2)]),
        ("b c.lua:1: dead", [("b c.lua", 1)]),
        ("it failed in a.lua:9", [("a.lua", 9)]),
        ("no place", []),
        ("a.lua:1: " * 3000, [("a.lua", 1)]),
        (":" * 100_000, []),
    ],
)
def test_where_an_error_happened_first(error: str, places: list[Place]) -> None:
    assert [*places_of(Execution("1-1", 1, "a.lua", status="error", error=error))] == places
    assert places_of(Execution("1-1", 1, "a.lua", status="ok", error=error)) == ()
