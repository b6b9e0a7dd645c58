"""Heartbeats, read as far as they go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from luasprocs.contract.limits import FORGET_MS, LEASE_MS
from luasprocs.state.daemons import DaemonInfo, Running, merged_heartbeats, parse_heartbeats


def test_a_heartbeat() -> None:
    beat = b'1000 7 {"pid": 5, "host": "h", "started": 3, "lag": 1, "read": 4, "runs": 2, "epoch": "e", "covers": {"s": 6}}'
    assert parse_heartbeats({b"b": beat, b"a": b"1 2 {}"}) == (
        DaemonInfo("a", 1, 2),
        DaemonInfo("b", 1000, 7, "h", 5, 3, "e", {"s": 6}, 1, 4, 2),
    )


def test_a_daemon_counts_on_each_shard_and_is_one() -> None:
    here = DaemonInfo("a", 1000, 7, covers={"x": 6}, lag=5, read=9, runs=4, jobs=1, ignored=2, waits={"jobs": "why"})
    there = DaemonInfo("a", 60_500, 90, covers={"x": 80, "y": 81}, lag=1, read=3, runs=2, jobs=1, ignored=1)
    other = DaemonInfo("b", 60_000, 90)
    merged = DaemonInfo(
        "a", 1500, 90, covers={"x": 80, "y": 81}, lag=6, read=12, runs=6, jobs=2, ignored=3, waits={"jobs": "why"}
    )
    assert merged_heartbeats([(2000, [here]), (61_000, [there, other])]) == (merged, DaemonInfo("b", 1000, 90))
    late = here._replace(heard_ms=1500 - LEASE_MS)
    assert merged_heartbeats([(2000, [late]), (61_000, [there])]) == (there._replace(heard_ms=1500),)


def test_it_is_alive_for_as_long_as_its_lease() -> None:
    daemon = DaemonInfo("a", 10_000, 1)
    assert daemon.alive(10_000)
    assert daemon.alive(10_000 + LEASE_MS - 1)
    assert not daemon.alive(10_000 + LEASE_MS)
    assert not daemon.alive(10_000 - LEASE_MS), "the clock went back"
    assert (daemon.age_ms(10_300), daemon.age_ms(9_000)) == (300, 0)


def test_who_died_long_ago_is_forgotten_also_while_nobody_cleans_up() -> None:
    now_ms = 10 * FORGET_MS
    beats = {
        "now": f"{now_ms} 1 {{}}",
        "late": f"{now_ms - FORGET_MS} 1 {{}}",
        "gone": f"{now_ms - FORGET_MS - 1} 1 {{}}",
    }
    assert [one.id for one in Running.on("", now_ms, parse_heartbeats(beats), ()).daemons] == ["late", "now"]


def test_values_of_other_types_are_left_out() -> None:
    (found,) = parse_heartbeats({"a": '1 2 {"pid": "5", "host": 1, "lag": true, "covers": {"s": null}, "runs": 1.5}'})
    assert found == DaemonInfo("a", 1, 2, covers={"s": 0})


def test_what_is_no_heartbeat_is_nobody() -> None:
    for beat in ("", "1", "1 2", "1 2 ", "1 2 []", "1 2 {", "x 2 {}", "1 y {}", "1 2 3", "1 2 " + "[" * 10_000):
        assert parse_heartbeats({"a": beat}) == ()


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_anything_may_stand_there(beat: bytes, name: bytes) -> None:
    assert len(parse_heartbeats({name: beat, b"whole": b"1 2 {}"})) >= 1
