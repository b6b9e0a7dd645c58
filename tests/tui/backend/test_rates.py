from __future__ import annotations

import time
from typing import Any

import pytest
from redis.exceptions import ResponseError

from luasprocs_tui.backend.rates import PulseCounter, StatsCounter


def test_the_pulse_counts_what_is_alive() -> None:
    counter = PulseCounter()
    beat = b'%d 7 {"read": %d, "runs": %d, "lag": 3}'
    beats = {b"a": beat % (1_000_000, 10, 5), b"dead": beat % (1, 0, 0)}
    gaps = [(b"9-0", {b"source": b"y"}), (b"8-0", {b"kind": b"repeat", b"source": b"x"}), (b"7-0", {b"source": b"x"})]
    first = counter.look([((1000, 0), beats, gaps, ResponseError("no such key"))])
    assert first is not None
    assert (first.daemons, first.lag, first.gaps, first.per_s, first.recorded) == (1, 3, 2, (), 0)
    soon = counter.look([((1000, 100_000), {b"a": beat % (1_000_100, 90, 5)}, gaps, {"entries-added": 30})])
    assert soon is not None
    assert (soon.per_s, soon.runs_per_s) == ((), None), "a rate of a tenth of a second says nothing"
    beats = {b"a": beat % (1_002_000, 110, 45), b"b": beat % (1_002_000, 7, 7)}
    second = counter.look([((1002, 0), beats, Exception(), {"entries-added": 40})])
    assert second is not None
    assert (second.daemons, second.gaps, second.per_s, second.runs_per_s) == (2, 0, (50.0,), 20.0)
    third = counter.look([((1004, 0), beats, [], Exception("NOPERM"))])
    assert third is not None
    assert (third.per_s, third.runs_per_s) == ((50.0, 0.0), None)
    assert counter.look([(Exception(), {}, [], {})]) is None


def test_a_shard_that_comes_back_is_no_burst() -> None:
    counter = PulseCounter()

    def one(at_s: int, read: int) -> tuple[Any, Any, Any, Any]:
        return (at_s, 0), {b"a": b'%d 7 {"read": %d}' % (at_s * 1000, read)}, [], {"entries-added": read}

    looks = [
        counter.look([one(1000, 100), one(1000, 100_000)]),
        counter.look([one(1002, 110)]),
        counter.look([one(1004, 120), one(1004, 100_020)]),
        counter.look([one(1006, 130), one(1006, 100_030)]),
    ]
    assert [(look.per_s, look.runs_per_s) for look in looks if look] == [((), None)] * 3 + [((10.0,), 10.0)]


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
