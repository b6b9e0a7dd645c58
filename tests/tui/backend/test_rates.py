from __future__ import annotations

import time

import pytest
from redis.exceptions import ResponseError

from luasprocs.state.daemons import DaemonInfo, Running
from luasprocs_tui.backend.rates import PulseCounter, StatsCounter


def running(now_ms: int, **reads: int) -> Running:
    """Daemons that were heard of now; `dead` never."""
    daemons = [
        DaemonInfo(name, now_ms if name != "dead" else 1, 7, lag=3, read=read) for name, read in sorted(reads.items())
    ]
    return Running(now_ms, tuple(daemons))


def test_the_pulse_counts_what_is_alive() -> None:
    counter = PulseCounter()
    first = counter.look(running(1_000_000, a=10, dead=0), [ResponseError("no such key")])
    assert (first.daemons, first.lag, first.per_s, first.runs_per_s) == (1, 3, (), None)
    soon = counter.look(running(1_000_100, a=90), [{"entries-added": 30}])
    assert (soon.per_s, soon.runs_per_s) == ((), None), "a rate of a tenth of a second says nothing"
    second = counter.look(running(1_002_000, a=110, b=7), [{"entries-added": 40}])
    assert (second.daemons, second.per_s, second.runs_per_s) == (2, (50.0,), 20.0)
    third = counter.look(running(1_004_000, a=110, b=7), [Exception("NOPERM")])
    assert (third.per_s, third.runs_per_s) == ((50.0, 0.0), None)


def test_a_shard_that_comes_back_is_no_burst() -> None:
    counter = PulseCounter()
    looks = [
        counter.look(running(at_s * 1000, a=sum(reads)), [{"entries-added": read} for read in reads])
        for at_s, reads in ((1000, (100, 100_000)), (1002, (110,)), (1004, (120, 100_020)), (1006, (130, 100_030)))
    ]
    assert [(look.per_s, look.runs_per_s) for look in looks] == [((), None)] * 3 + [((10.0,), 10.0)]


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
