"""What the engine is told of a schedule's run."""

from __future__ import annotations

import math

import pytest

from luasprocs.contract.replies import Schedule
from luasprocs.language.misfire import Due
from luasprocs.runtime.schedule_words import claim_words, ms_word
from luasprocs.runtime.timers import Claim, Timer


def words(due, *, timed_out=False):
    timer = Timer.of(Schedule("a.lua", "", "1s", "", "", False, "5000 every 1s"))
    timer.timed_out = timed_out
    return claim_words(Claim(timer, due))


def test_a_run_in_time():
    assert words(Due(6000, 7000)) == (b"a.lua", b"5000 every 1s", 6000, "7000", "", "")


def test_the_last_run_has_no_next_one():
    assert words(Due(6000, None))[3] == ""


def test_a_run_that_was_stopped():
    assert words(Due(6000, 7000), timed_out=True)[5] == "timeout"


@pytest.mark.parametrize(
    ("due", "missed", "verdict"),
    [
        (Due(8000, 9000, missed=1, first=7500, last=7500), "1 7.500-7.500 1970-01-01T00:00:07Z: nothing ran it", ""),
        (
            Due(8000, 9000, True, 2, 7000, 8000),
            "2 7-8 2 times, 1970-01-01T00:00:07Z to 1970-01-01T00:00:08Z: nothing ran them",
            "missed",
        ),
    ],
)
def test_what_was_missed(due, missed, verdict):
    assert words(due)[4:] == (missed, verdict)


def test_never_is_an_empty_word():
    assert [ms_word(ms) for ms in (None, math.inf, 0.0, 1500.7)] == ["", "", "0", "1500"]
