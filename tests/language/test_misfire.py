"""What is run and what is given up when times were missed."""

from __future__ import annotations

import pytest

from luasprocs.language.misfire import ALL_LIMIT, COUNT_LIMIT, Due, due
from luasprocs.language.recurrence import Recurrence

EVERY = Recurrence(every_ms=10_000)


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_nothing_is_missed(misfire: str) -> None:
    assert due(EVERY, 100_000, 109_999, misfire) is None
    assert due(EVERY, 100_000, 110_000, misfire) == Due(110_000, 120_000)
    assert due(EVERY, 100_000, 110_900, misfire) == Due(110_000, 120_000)


def test_once_runs_the_newest() -> None:
    assert due(EVERY, 100_000, 119_000, "once") == Due(110_000, 120_000)
    assert due(EVERY, 100_000, 159_000, "once") == Due(150_000, 160_000, missed=4, first=110_000, last=140_000)


def test_skip_runs_none_that_is_late() -> None:
    assert due(EVERY, 100_000, 159_000, "skip") == Due(150_000, 160_000, True, 5, 110_000, 150_000)
    assert due(EVERY, 100_000, 150_500, "skip") == Due(150_000, 160_000, False, 4, 110_000, 140_000)


def test_all_runs_one_after_another_up_to_a_limit() -> None:
    assert due(EVERY, 100_000, 159_000, "all") == Due(110_000, 120_000)
    assert due(EVERY, 110_000, 159_000, "all") == Due(120_000, 130_000)
    now = 100_000 + 10_000 * (ALL_LIMIT + 5)
    assert due(EVERY, 100_000, now, "all") == Due(160_000, 170_000, missed=5, first=110_000, last=150_000)


def test_counting_ends() -> None:
    minutes = Recurrence("* * * * *")
    found = due(minutes, 0, 60_000 * 50_000, "once")
    assert found is not None
    assert found.missed == COUNT_LIMIT
    assert (found.first, found.last) == (60_000, 60_000 * 49_999)
    assert due(EVERY, 0, 10_000 * 50_000, "once").missed == COUNT_LIMIT  # type: ignore[union-attr]
