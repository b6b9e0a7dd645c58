"""When a breakpoint stops."""

from __future__ import annotations

import pytest

from luasprocs.language.sproc import read_sproc
from sync.debugger.backend.breakpoints import Breakpoint, Breakpoints, hit_problem
from sync.debugger.backend.program import Program, SprocLine
from sync.debugger.backend.session import EvaluationError
from sync.debugger.backend.values import Value

PROGRAM = Program([read_sproc("x.lua", "x.lua", b"-- description=x\nlocal a = 1\n\nreturn a\n", "")])


def stops(one: Breakpoint, times: int, value: str = "true") -> list[bool]:
    def evaluate(text: str) -> Value:
        if text == "broken":
            raise EvaluationError("broken")
        return Value(value)

    found, said = Breakpoints(), list[str]()
    found.replace("x.lua", [one], PROGRAM)
    return [found.wanted_at(SprocLine("x.lua", 4), evaluate, said.append) for _ in range(times)]


def test_it_goes_to_the_next_line_with_code():
    found = Breakpoints()
    assert found.replace("x.lua", [Breakpoint(1), Breakpoint(3), Breakpoint(9)], PROGRAM) == [2, 4, None]
    assert found.replace("y.lua", [Breakpoint(1)], PROGRAM) == [None]
    assert PROGRAM.place(PROGRAM.line(SprocLine("x.lua", 4))) == ("x.lua", 4)


@pytest.mark.parametrize(
    ("hit", "wanted"),
    [
        ("", [1, 1, 1, 1]),
        ("2", [0, 1, 0, 0]),
        (">=3", [0, 0, 1, 1]),
        ("%2", [0, 1, 0, 1]),
        ("<2", [1, 0, 0, 0]),
    ],
)
def test_counts(hit, wanted):
    assert stops(Breakpoint(4, hit=hit), 4) == [bool(one) for one in wanted]


def test_conditions_and_logs():
    assert stops(Breakpoint(4, "a"), 1, "nil") == [False]
    assert stops(Breakpoint(4, "a"), 1, "0") == [True]
    assert stops(Breakpoint(4, "broken"), 1) == [True]
    assert stops(Breakpoint(4, "nil, a"), 1, "nil") == [True], "several: said, and not by the first one alone"
    assert stops(Breakpoint(4, "find('a,', {b, c}) [[,]]"), 1, "nil") == [False]
    assert stops(Breakpoint(4, log="a is {a}, {broken}"), 1) == [False]
    assert hit_problem("often")
    assert hit_problem("%0")
    assert not hit_problem(">= 5")
