"""Lines, locals and what may follow a line, from Lua's bytecode."""

from __future__ import annotations

import pytest

from sync.debugger.backend.compiled import CompiledSource

SOURCE = CompiledSource(b"""-- a header
local outer = 1
local function add(a, b)
  local sum = a + b
  if sum > 3 then
    return sum
  else
    sum = 0
  end
  return outer
end
for i = 1, 3 do
  add(i, 2)
end
local t = {}
while true do
  if t[1] then break end
  t[1] = 1
end
return t
""")


def test_lines_where_a_breakpoint_stops():
    assert 1 not in SOURCE.lines
    assert {2, 4, 5, 6, 8, 10, 12, 13, 15, 17, 18, 20} <= SOURCE.lines
    assert SOURCE.at_or_after(1) == 2
    assert SOURCE.at_or_after(7) == 8
    assert SOURCE.at_or_after(21) is None
    assert SOURCE.entry == 2


def test_locals_that_are_there():
    assert SOURCE.locals_at(2) == []
    assert SOURCE.locals_at(4) == ["a", "b"]
    assert SOURCE.locals_at(6) == ["a", "b", "sum"]
    assert SOURCE.locals_at(13) == ["outer", "add", "i"]
    assert SOURCE.locals_at(20) == ["outer", "add", "t"]
    assert SOURCE.upvalues_at(10) == ["outer"]
    assert SOURCE.parent_of(SOURCE.function_at(10)) == SOURCE.function_at(2) == 0


def test_lines_that_may_follow():
    assert SOURCE.following(4) == (frozenset({5}), False)
    assert SOURCE.following(5) == (frozenset({6, 8}), False)
    assert SOURCE.following(6).returns
    assert SOURCE.following(10).returns
    assert SOURCE.following(12).lines >= {13, 15}
    assert SOURCE.following(13).lines == {12}
    assert SOURCE.following(17).lines >= {18, 20}
    assert SOURCE.following(20).returns
    assert CompiledSource(b"while true do\n  n = n + 1\nend").following(2) == (frozenset({2}), False)


def test_of_what_does_not_compile_nothing_is_known():
    broken = CompiledSource(b"local = ")
    assert not broken.lines | broken.following(1).lines
    assert (broken.locals_at(1), broken.entry) == ([], 1)


@pytest.mark.parametrize(
    ("source", "lines", "entry"),
    [
        (b"return 1", {1}, 1),
        (b"#!lua\nreturn 1", {2}, 2),
        (b"local function f()\n  return 1\nend\nreturn f()", {2, 3, 4}, 3),
        (b"local text = [[\nx]]\nreturn text", {2, 3}, 2),
        (b"--[[ a\n]] local a = 1\nreturn a", {2, 3}, 2),
        (b"-- nothing", set(), 1),
        (b"", set(), 1),
        (b"".join(b"local v%d = 1\n" % n for n in range(198)) + b"return v1", {*range(1, 200)}, 1),
    ],
)
def test_only_lines_where_something_runs_are_such(source, lines, entry):
    """Not the first one if a function or a text begins there that ends below: the engine puts its own before it."""
    assert (CompiledSource(source).lines, CompiledSource(source).entry) == (lines, entry)
