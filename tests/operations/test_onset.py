"""Which generation errors began with: said only where it can be."""

from __future__ import annotations

import pytest

from luasprocs.operations.onset import onset
from luasprocs.registry.history import Generation
from luasprocs.state.minutes import MINUTE_MS, ByMinute, Minute

NOW = 29_474_010
"""The minute that lasts."""
FINE, BAD = Minute(10, 0), Minute(10, 3)


def generation(
    number: int, ago_s: int, *names: str, created: tuple[str, ...] = (), author: str = "Ann <a@b>"
) -> Generation:
    """One that was applied so long before the end of NOW."""
    return Generation(
        *(number, "sync", "c0ffee", author, f"Change {number}", "main", "", "ci@host"),
        *(dict.fromkeys(created, "b"), dict.fromkeys(names, ("a", "b")), {}),
        at_ms=(NOW + 1) * MINUTE_MS - ago_s * 1000,
    )


def day(ran: dict[int, Minute]) -> ByMinute:
    """By minutes ago."""
    return ByMinute(NOW * MINUTE_MS + 30_000, {NOW - ago: one for ago, one in ran.items()})


def said(ran: dict[int, Minute], *history: Generation, name: str = "a.lua", since_ago_s: float = 0) -> str:
    """What is said, "" for None. `since_ago_s`: `failing_since`, as `generation` has it."""
    since_ms = (NOW + 1) * MINUTE_MS - int(since_ago_s * 1000) if since_ago_s else 0
    found = onset(day(ran)._replace(failing_since_ms=since_ms), history, name)
    return str(found) if found else ""


WELL = dict.fromkeys(range(5, 120), FINE)


def test_the_generation_before_the_first_errors() -> None:
    ran = {**WELL, **dict.fromkeys(range(5), BAD)}
    after = generation(24, 310, "a.lua")  # ten seconds before the fifth last minute
    wanted = "gen 24 by Ann: Change 24"
    assert said(ran, after) == f"errors began 10 to 70 s after {wanted}", "a minute's resolution"
    assert said(ran, after, since_ago_s=270) == f"errors began 40 s after {wanted}", "the first of the row is known"
    assert said(ran, generation(24, 280, "a.lua")) == f"errors began within 40 s of {wanted}", "in the same minute"
    assert said(ran, generation(23, 4000, "a.lua"), after, generation(25, 100, "a.lua")).endswith(wanted)
    assert said(ran, after, name="") == f"errors began 10 to 70 s after {wanted}"
    assert (
        said(ran, generation(24, 310, "a.lua", author=""))
        == "errors began 10 to 70 s after gen 24 by ci@host: Change 24"
    )


def test_one_that_did_not_change_it_is_told_apart() -> None:
    ran = {**WELL, **dict.fromkeys(range(5), BAD)}
    other = generation(24, 310, "lib.lua")
    assert said(ran, other) == "errors began 10 to 70 s after gen 24 by Ann: Change 24 (which did not change it)"
    assert said(ran, generation(24, 460, "lib.lua")) == "", "and only if it came shortly before"
    assert said(ran, generation(23, 330, "a.lua"), other).endswith("gen 23 by Ann: Change 23")


def test_hours_are_said_to_the_minute() -> None:
    seldom = {**dict.fromkeys(range(1, 600, 120), Minute(1, 0)), 0: BAD}
    assert " 4 h 58 min after gen 24" in said(seldom, generation(24, 5 * 3600 - 10, "a.lua"))


def test_one_that_came_with_it_or_long_before_it_ran() -> None:
    assert said({2: BAD, 0: BAD}, generation(24, 600, created=("a.lua",))) == (
        "errors began 7 to 8 min after gen 24 by Ann: Change 24 (its first)"
    )
    seldom = {**dict.fromkeys(range(121, 1200, 60), Minute(1, 0)), **dict.fromkeys((1, 61), Minute(1, 1))}
    assert said(seldom, generation(24, 4000, "a.lua")).startswith("errors began 4 to 5 min after gen 24"), (
        "its first run since fails"
    )


def test_a_generation_in_the_minute_of_the_first_errors_of_a_young_sproc() -> None:
    made = generation(1, 250, "b.lua", created=("a.lua",))
    broke = generation(3, 150, "a.lua")
    ran = {2: Minute(102, 23), 1: Minute(150, 150), 0: Minute(9, 9)}
    wanted = "gen 3 by Ann: Change 3"
    assert said(ran, made, broke, since_ago_s=148) == f"errors began 2 s after {wanted}", "it went well in that minute"
    assert said({2: Minute(9, 9)}, made, broke, since_ago_s=148) == f"errors began 2 s after {wanted}", (
        "it never ran before"
    )
    assert said({1: Minute(9, 3)}, made, broke) == f"errors began 30 to 90 s after {wanted}"
    assert said({2: Minute(9, 3)}, made, broke) == "", "it may have failed before that"
    assert said({2: Minute(9, 9)}, broke, since_ago_s=148) == "", "nothing is known from before"
    assert said({3: BAD, 2: BAD, 1: BAD}, made, broke).endswith("gen 1 by Ann: Change 1 (its first)")


@pytest.mark.parametrize(
    ("ran", "history"),
    [
        ({**WELL, 0: FINE}, [generation(24, 310, "a.lua")]),
        ({}, [generation(24, 310, "a.lua")]),
        ({**WELL, 0: BAD}, []),
        ({**WELL, 0: BAD}, [generation(24, 3000, "a.lua")]),
        ({**WELL, 30: BAD, 0: BAD}, [generation(24, 310, "a.lua")]),
        (dict.fromkeys(range(5), BAD), [generation(24, 310, "a.lua")]),
        ({**WELL, 4: BAD}, [generation(24, 200, "a.lua")]),
        ({**WELL, 4: BAD}, [generation(24, 310, "a.lua")._replace(at_ms=0)]),
    ],
    ids=[
        *("no errors", "nothing ran", "no generation", "it went well for long after it", "it failed before as well"),
        *("nothing is known from before", "it came after them", "when it came is not known"),
    ],
)
def test_where_it_cannot_be_said(ran: dict[int, Minute], history: list[Generation]) -> None:
    assert said(ran, *history) == ""


def test_errors_that_a_generation_ended_are_not_those_before_the_next() -> None:
    ran = {
        **dict.fromkeys(range(60, 120), FINE),
        **dict.fromkeys(range(30, 60), BAD),
        **dict.fromkeys(range(5, 30), FINE),
    }
    history = [generation(24, 3610, "a.lua"), generation(25, 1810, "a.lua"), generation(26, 310, "a.lua")]
    assert said({**ran, **dict.fromkeys(range(5), BAD)}, *history).endswith("gen 26 by Ann: Change 26")
    assert said(ran, *history[:2]).endswith("gen 24 by Ann: Change 24"), "the last errors of the day, over or not"
