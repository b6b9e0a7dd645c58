"""Sprocs of which nothing is left when they raise an error, or that begin with what runs further down."""

from __future__ import annotations

import pytest

from tests.sync.debugger.client import Refused

TAIL = "return sproc.call('none.lua', KEYS, ARGV)\n"


@pytest.mark.parametrize("head", ["", "-- runasync=yes\n"])
def test_an_error_that_leaves_nothing_to_look_at_ends_the_session(head, debug, tree):
    """A stop there had no frame: the screen could not go on, and of an async sproc an expression hung the adapter."""
    (tree / "tail.lua").write_text(head + TAIL)
    client = debug("tail.lua", stopOnEntry=True)
    assert client.stopped().startswith("entry tail.lua:")
    assert client.step("continue") == "exited 1"
    assert "no sproc named 'none.lua'" in client.said
    with pytest.raises(Refused, match="ended"):
        client.evaluate("1")


@pytest.mark.parametrize("head", ["", "-- runasync=yes\n"])
@pytest.mark.parametrize(
    ("source", "line"),
    [("local function f()\n  return 1\nend\nreturn f()\n", 3), ("local text = [[\nx]]\nreturn #text\n", 2)],
)
def test_it_stops_at_the_first_line_that_runs(head, source, line, debug, tree):
    """Not at the file's first one, where nothing of it runs: it ran on to its end."""
    (tree / "first.lua").write_text(head + source)
    line += head.count("\n")
    client = debug("first.lua", stopOnEntry=True)
    assert client.stopped() == f"entry first.lua:{line}"
    found = client.ask("breakpointLocations", source={"path": str(tree / "first.lua")}, line=1, endLine=line)
    assert {"line": 1} not in found["breakpoints"]


def test_keys_are_there_in_each_function_of_an_async_sproc(debug, tree):
    functions = "local function f(KEYS)\n  local n = 1\n  return n\nend\nlocal function g()\n  return 2\nend\n"
    (tree / "given.lua").write_text(f"-- runasync=yes\n{functions}f(5)\nlocal r = g()\nreturn r\n")
    stops = {"given.lua": [3, {"line": 7, "condition": "ARGV[1] == 'a'"}]}
    client = debug("given.lua", stops=stops, keys=["k"], args=["a"])
    assert client.stopped() == "breakpoint given.lua:3"
    assert client.evaluate("KEYS, ARGV[1]") == '5, "a"'
    assert client.step("continue") == "breakpoint given.lua:7"
    assert client.evaluate("KEYS[1]") == '"k"'
    assert client.variables("Arguments") == {"KEYS": {"1": "k"}, "ARGV": {"1": "a"}}
