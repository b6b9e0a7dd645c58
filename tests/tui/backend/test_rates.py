from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from luasprocs_tui.backend.rates import PulseCounter, StatsCounter

if TYPE_CHECKING:
    pass


def test_the_pulse_counts_what_is_alive() -> None:
    counter = PulseCounter()
    beat = b'%d 7 {"read": %d, "runs": %d, "lag": 3}'
    beats = {b"a": beat % (1_000_000, 10, 5), b"dead": beat % (1, 0, 0)}
    first = counter.look([((1000, 0), beats, 2, ResponseError("no such key"))])
    assert first is not None
    assert (first.daemons, first.lag, first.gaps, first.per_s, first.recorded) == (1, 3, 2, (), 0)
    soon = counter.look([((1000, 100_000), {b"a": beat % (1_000_100, 90, 5)}, 2, {"entries-added": 30})])
    assert soon is not None
    assert (soon.per_s, soon.runs_per_s) == ((), None), "a rate of a tenth of a second says nothing"
    beats = {b"a": beat % (1_002_000, 110, 45), b"b": beat % (1_002_000, 7, 7)}
    second = counter.look([((1002, 0), beats, Exception(), {"entries-added": 40})])
    assert second is not None
    assert (second.daemons, second.gaps, second.per_s, second.runs_per_s) == (2, 0, (50.0,), 20.0)
    third = counter.look([((1004, 0), beats, 0, Exception("NOPERM"))])
    assert third is not None
    assert (third.per_s, third.runs_per_s) == ((50.0, 0.0), None)
    assert counter.look([(Exception(), {}, 0, {})]) is None


def test_what_is_counted_of_a_sproc(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = StatsCounter()
    assert counter.look("none", {}).runs is None
    first = counter.look("a", {b"runs": b"10", b"errors": b"1", b"le_50": b"10", b"duration_us_max": b"40"})
    assert (first.runs, first.calls, first.failing, first.per_s) == (10, None, False, None)
    assert first.p50_us == 25
    second = counter.look(
        "a", {b"runs": b"20", b"errors": b"2", b"last_status": b"timeout", b"failed_in_a_row": b"1"}
    )  # its counts alone
    assert second.failing
    assert second.per_s is None
    monkeypatch.setattr("luasprocs_tui.backend.rates.LEAST_S", 0.0)
    time.sleep(0.01)
    third = counter.look("a", {b"runs": b"30", b"errors": b"2"})
    assert third.per_s is not None
    assert 10 < third.per_s < 2100
    assert not third.failing, "the last run went well"
    assert StatsCounter().look("a", {b"runs": b"1", b"last_status": b"error"}).failing, "before it was opened"
    assert counter.known["a"].runs == 30
    assert third.p50_us == 25
