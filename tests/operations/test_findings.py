"""Each code, from a snapshot made for it: what it says, how bad it is, and when it is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from luasprocs.contract.codes import FindingCode as Code
from luasprocs.operations.acknowledgeable import until_ms
from luasprocs.operations.findings import LEVELS, Finding, findings, worst_first
from luasprocs.operations.snapshot import (
    DAY_MS,
    Failing,
    Missed,
    ShardFacts,
    Snapshot,
    SprocFacts,
    Wanted,
    failing_in,
    missed_in,
)
from luasprocs.registry.edits import Edit
from luasprocs.registry.live import Live, LiveSproc
from luasprocs.registry.pins import Pin
from luasprocs.registry.revision import Revision
from luasprocs.server.info import ServerInfo
from luasprocs.server.slots import SlotRange
from luasprocs.state.acknowledged import Acknowledged
from luasprocs.state.daemons import DaemonInfo, Running
from luasprocs.state.desired import Suspended, SyncState
from luasprocs.state.executions import Gap
from luasprocs.state.paused import Pause
from luasprocs.state.stats import Stats

NOW_MS = 1_800_000_000_000
APPLIED = "2027-01-15T07:00:00.000+00:00"  # an hour before
REVISION = Revision("c0ffee", "main", 7, APPLIED, "ann@host", "shop", 2)
INFO = ServerInfo("valkey", (9, 0), "run", "master", "noeviction")
LIVE = Live(REVISION, None, {"a.lua": LiveSproc("a.lua", "b1", intact=True)}, INFO, {"__keyspace@0__:k": ("a.lua",)})
ALIVE = DaemonInfo("host-1-abc", NOW_MS - 300, 5)
SILENT = DaemonInfo("host-2-def", NOW_MS - 60_000, 5, lag=7, jobs=2)
WELL = Snapshot(
    now_ms=NOW_MS,
    sprocs=SprocFacts(LIVE, schedules=1),
    sync=SyncState(commit="c0ffee", state="synced", at=NOW_MS / 1000, daemon=ALIVE.id),
    running=Running(NOW_MS, (ALIVE,)),
    open_jobs=2,
)
WANTED = SyncState(
    commit="beef" * 10,
    branch="main",
    reason="why it waits",
    at=NOW_MS / 1000,
    daemon=ALIVE.id,
    updated=("a.lua",),
    generation=7,
)
GAP = Gap("1-0", NOW_MS - 5000, "__keyspace@0__:k", NOW_MS - 9000, NOW_MS - 5000, "the server restarted", "d")


FIRST = ShardFacts("luasprocs-1", "127.0.0.1:7000", (SlotRange(0, 16383),), 7)


OF_SPROCS = {"live", "engine", "schedules", "failing", "missed", "shards", "emptied"}


def snapshot(of: Snapshot = WELL, **changes: Any) -> Snapshot:
    assert of.sprocs is not None
    sprocs = replace(of.sprocs, **{name: value for name, value in changes.items() if name in OF_SPROCS})
    return replace(of, sprocs=sprocs, **{name: value for name, value in changes.items() if name not in OF_SPROCS})


def live(**changes: Any) -> Snapshot:
    return snapshot(live=LIVE._replace(**changes))


def revision(**changes: Any) -> Snapshot:
    return live(revision=REVISION._replace(**changes))


def server(**changes: Any) -> Snapshot:
    return live(info=INFO._replace(**changes))


def edited(by: str) -> LiveSproc:
    return LiveSproc("a.lua", "b2", intact=True, edit=Edit(by, 1_700_000_000.5, "b1").stored())


def test_all_is_well() -> None:
    assert findings(WELL) == ()


def test_what_a_sync_may_have_put_right_by_now_differs() -> None:
    well = SprocFacts(LIVE, shards=(FIRST,))
    assert not well.differs
    assert replace(well, shards=(FIRST, FIRST._replace(tag="luasprocs-2", problem="has no sprocs yet"))).differs
    assert replace(well, engine="the engine is another version").differs
    changed = LiveSproc("a.lua", "b1", intact=False)
    assert replace(well, live=LIVE._replace(sprocs={"a.lua": changed})).differs


EMPTY = Snapshot(now_ms=NOW_MS, sprocs=SprocFacts(Live(Revision(), None, {}, INFO)), running=Running(NOW_MS))


def test_an_empty_registry_is_told_and_one_that_was_emptied_is_worse() -> None:
    [one] = findings(EMPTY)
    assert (one.code, one.severity) == (Code.BEHIND, "warning")
    assert "no sprocs here yet" in one.message
    [one] = findings(snapshot(EMPTY, emptied=7))
    assert (one.code, one.severity) == (Code.DRIFT, "error")
    assert "generation 7 was live until its keys were deleted" in one.message


CASES: dict[str, tuple[Snapshot, Code, str]] = {
    "unreachable": (Snapshot(unreachable="nothing answers at redis://h"), Code.UNREACHABLE, "nothing answers"),
    "no engine": (snapshot(engine="the engine is not loaded"), Code.ENGINE_DIFFERS, "not loaded"),
    "refused": (snapshot(sync=WANTED._replace(state="refused")), Code.REFUSED, "why it waits"),
    "refused, at work": (
        snapshot(
            live=LIVE._replace(revision=REVISION._replace(commit="worktree")),
            sync=WANTED._replace(state="refused", commit="worktree"),
        ),
        Code.REFUSED,
        "why it waits",
    ),
    "diverged": (snapshot(sync=WANTED._replace(state="diverged")), Code.DIVERGED, "why it waits"),
    "unknown": (snapshot(sync=WANTED._replace(state="unknown")), Code.UNKNOWN, "why it waits"),
    "behind": (snapshot(sync=WANTED._replace(state="behind")), Code.BEHIND, "why it waits"),
    "no reason": (snapshot(sync=WANTED._replace(state="behind", reason="")), Code.BEHIND, "git wants beefbeefbeef"),
    "git can't be read here": (snapshot(wanted=Wanted(unreadable="git: no")), Code.DEGRADED, "git: no"),
    "behind here": (snapshot(wanted=Wanted("beef" * 10, True)), Code.BEHIND, "git wants beefbeefbeef"),
    "refused here": (snapshot(wanted=Wanted(refused="not signed")), Code.REFUSED, "not signed"),
    "refused here and there": (
        snapshot(wanted=Wanted(refused="not signed"), sync=WANTED._replace(state="refused")), Code.REFUSED, "not signed"
    ),
    "refused there, and wanted here": (
        snapshot(wanted=Wanted("beef" * 10, True), sync=WANTED._replace(state="refused")), Code.REFUSED, "why it waits"
    ),
    "degraded": (snapshot(sync=SyncState(state="degraded", reason="no remote")), Code.DEGRADED, "no remote"),
    "drift": (live(sprocs={"a.lua": LiveSproc("a.lua", "b1", intact=False)}), Code.DRIFT, "changed by hand: a.lua"),
    "drift that comes back": (
        replace(
            live(sprocs={"a.lua": LiveSproc("a.lua", "b1", intact=False)}), sync=WANTED._replace(state="flapping")
        ),
        Code.DRIFT,
        "why it waits",
    ),
    "faults": (live(faults=("x is not a hash", "y is not a list")), Code.DRIFT, "x is not a hash; y is not a list"),
    "a shard that differs": (
        snapshot(shards=(FIRST, FIRST._replace(tag="luasprocs-2", problem="has generation 6, not 7"))),
        Code.SHARD_DIFFERS,
        "shard luasprocs-2 has generation 6, not 7",
    ),
    "suspended": (
        snapshot(suspended=Suspended(1_700_000_000.5, "ann@host", "a freeze")),
        Code.SUSPENDED,
        "suspended by ann@host since 2023-11-14T22:13:20Z: a freeze",
    ),
    "pinned": (revision(pinned="dead" * 10), Code.PINNED, "rolled back from commit deaddeaddead"),
    "no daemon": (snapshot(running=Running(NOW_MS)), Code.NO_DAEMON, "nothing runs: events, schedules, async runs"),
    "nobody that looks at git": (
        snapshot(sync=WELL.sync._replace(followed_until_ms=NOW_MS - 1)),
        Code.DEGRADED,
        "no daemon looks at git any more; host-1-abc was the last to say what it wants",
    ),
    "no daemon that can": (
        snapshot(running=Running(NOW_MS, (ALIVE._replace(waits={"jobs": "no worker", "retries": "x"}),))),
        Code.NO_DAEMON,
        "no daemon can go on with async runs: no worker",
    ),
    "a daemon that fell silent": (
        snapshot(running=Running(NOW_MS, (ALIVE, SILENT))),
        Code.DAEMON_SILENT,
        "stopped in order: host-2-def for 60 s, with 7 events and 2 jobs at hand",
    ),
    "failing": (
        snapshot(failing=(Failing("a.lua", 3, 5, "x"), Failing("b.lua", 702, 9, "boom"))),
        Code.FAILING,
        "the last run failed: a.lua, b.lua; b.lua 702 times in a row: boom",
    ),
    "failing where a key is elsewhere": (
        snapshot(
            failing=(
                Failing(
                    "a.lua",
                    1,
                    5,
                    "ERR Script attempted to access a non local key in a cluster node script: luasprocs_dispatch, on @a.lua:4.",
                ),
            )
        ),
        Code.FAILING,
        "the last run failed: a.lua; a.lua: ERR a.lua:4: a key is on another shard",
    ),
    "paused": (
        snapshot(paused=(Pause("a.lua", 1_700_000_000_500, "ann@host"), Pause("b.lua"))),
        Code.PAUSED,
        "paused: a.lua by ann@host since 2023-11-14T22:13:20Z, b.lua",
    ),
    "dead jobs": (snapshot(dead_jobs=2), Code.DEAD_JOBS, "2 jobs have used up"),
    "a dead job": (snapshot(dead_jobs=1), Code.DEAD_JOBS, "1 job has used up"),
    "a gap": (snapshot(running=Running(NOW_MS, (ALIVE,), (GAP,))), Code.GAP, "the server restarted"),
    "gaps": (snapshot(running=Running(NOW_MS, (ALIVE,), (GAP, GAP, GAP))), Code.GAP, "(and 2 more)"),
    "missed": (
        snapshot(missed=(Missed("c.lua", NOW_MS - 5000), Missed("d.lua", NOW_MS - 9000), Missed("e.lua", NOW_MS - DAY_MS))),
        Code.MISSED,
        "c.lua, d.lua; the last noticed 2027-01-15T07:59:55.000Z",
    ),
    "evicting": (server(maxmemory_policy="allkeys-lru", maxmemory_bytes=10), Code.EVICTING, "removes sprocs when memory"),
    "a live edit": (live(sprocs={"a.lua": edited("Ann <ann@host>")}), Code.UNSAVED_EDIT, "not committed: a.lua"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_code_alone(case: str) -> None:
    found, code, _ = CASES[case]
    [one] = findings(found)
    assert (one.code, one.severity) == (code, code.level)
    assert one.hint
    as_json = one.as_json()
    assert (as_json["level"], as_json["code"], as_json["message"]) == (one.severity, code.value, one.message)
    assert as_json["hint"] == one.hint


@pytest.mark.wording
@pytest.mark.parametrize("case", CASES)
def test_each_says_what_it_is_about(case: str) -> None:
    found, _, said = CASES[case]
    [one] = findings(found)
    assert said in one.message


def test_a_shard_that_is_away_is_an_error() -> None:
    away = FIRST._replace(tag="luasprocs-2", problem="can't be reached: it hangs", away=True)
    [one] = findings(snapshot(shards=(FIRST, away)))
    assert (one.code, one.severity, one.names) == (Code.SHARD_DIFFERS, "error", ("luasprocs-2",))


def test_a_shard_whose_events_no_daemon_hears_is_an_error_even_if_daemons_live() -> None:
    both = {"luasprocs-1": (ALIVE.id,), "luasprocs-2": (ALIVE.id,)}
    assert findings(snapshot(running=Running(NOW_MS, (ALIVE,), hearing=both))) == ()
    deaf = snapshot(running=Running(NOW_MS, (ALIVE,), hearing={**both, "luasprocs-2": ()}))
    [one] = findings(deaf)
    assert (one.code, one.severity, one.names) == (Code.NO_DAEMON, "error", ("luasprocs-2",))
    assert findings(snapshot(deaf, live=LIVE._replace(triggers={}))) == ()


def test_every_code_that_can_be_known_has_a_case() -> None:
    assert {code for _, code, _ in CASES.values()} == set(Code)


@pytest.mark.parametrize(
    "well",
    [
        pytest.param(snapshot(sync=WANTED._replace(state="synced")), id="what git wants is live"),
        pytest.param(snapshot(sync=WANTED._replace(state="applying")), id="a sync is under way"),
        pytest.param(snapshot(sync=SyncState()), id="no daemon ever synced"),
        pytest.param(snapshot(sync=WANTED._replace(state="refused", generation=6)), id="something was applied since"),
        pytest.param(snapshot(sync=WANTED._replace(state="a new word")), id="a later luasprocs says it"),
        pytest.param(revision(applied_at="x"), id="a time that can't be read"),
        pytest.param(live(sprocs={"a.lua": edited("ann")._replace(blob="b1")}), id="an edit that was taken back"),
        pytest.param(
            snapshot(running=Running(NOW_MS), live=LIVE._replace(triggers={}), schedules=0, open_jobs=0),
            id="no daemon, and nothing to run",
        ),
        pytest.param(
            snapshot(running=Running(NOW_MS, (ALIVE,), (GAP._replace(time_ms=NOW_MS - DAY_MS - 1),))), id="an old gap"
        ),
        pytest.param(server(maxmemory_policy="volatile-lru", maxmemory_bytes=10), id="only keys with a TTL go"),
    ],
)  # fmt: skip
def test_what_is_no_finding(well: Snapshot) -> None:
    assert findings(well) == ()


def test_who_and_since_when() -> None:
    [suspended] = findings(snapshot(suspended=Suspended(1_700_000_000.5, "ann@host")))
    assert (suspended.by, suspended.since_ms) == ("ann@host", 1_700_000_000_500)
    assert suspended.as_json()["since"] == "2023-11-14T22:13:20.500Z"

    pin = Pin("ben@host", "2027-01-15T06:00:00+00:00", "broke the shop", {"a.lua": ("b2",)})
    [pinned] = findings(revision(pinned="dead", held=pin.stored()))
    assert (pinned.by, pinned.as_json()["since"], pinned.names) == ("ben@host", "2027-01-15T06:00:00.000Z", ("a.lua",))
    assert "keeps out what git has of a.lua: broke the shop" in pinned.message

    [edit] = findings(live(sprocs={"a.lua": edited("Ann <ann@host>")}))
    assert (edit.by, edit.since_ms, edit.names) == ("Ann <ann@host>", 1_700_000_000_500, ("a.lua",))

    [refused] = findings(snapshot(sync=WANTED._replace(state="refused")))
    assert (refused.by, refused.since_ms, refused.names) == (ALIVE.id, NOW_MS, ("a.lua",))

    [earlier] = findings(snapshot(sync=WANTED._replace(state="refused", since=NOW_MS / 1000 - 60)))
    assert earlier.since_ms == NOW_MS - 60_000

    alone, silent = findings(snapshot(running=Running(NOW_MS, (SILENT,))))
    assert (alone.code, alone.since_ms) == (Code.NO_DAEMON, SILENT.heard_ms)
    assert (silent.code, silent.names, silent.since_ms) == (Code.DAEMON_SILENT, (SILENT.id,), SILENT.heard_ms)
    [paused] = findings(snapshot(paused=(Pause("a.lua", 9000, "ann"), Pause("b.lua", 8000, "ben"))))
    assert (paused.by, paused.since_ms, paused.names) == ("ben", 8000, ("a.lua", "b.lua"))

    [failing] = findings(snapshot(failing=(Failing("a.lua", 3, 500), Failing("b.lua", 2), Failing("c.lua", 1, 400))))
    assert failing.since_ms == 400
    assert "by" not in failing.as_json()


def test_what_no_daemon_runs_is_named() -> None:
    for changes, said in (
        ({"schedules": 0, "open_jobs": 0}, "events"),
        ({"live": LIVE._replace(triggers={}), "open_jobs": 0}, "schedules"),
        ({"live": LIVE._replace(triggers={}), "schedules": 0}, "async runs"),
    ):
        [one] = findings(snapshot(running=Running(NOW_MS), **changes))
        assert one.message == f"no daemon is alive, so nothing runs: {said}"


def test_one_daemon_that_can_go_on_is_enough() -> None:
    stuck = ALIVE._replace(id="other", waits={"jobs": "no worker"})
    assert not findings(snapshot(running=Running(NOW_MS, (ALIVE, stuck))))
    assert not findings(snapshot(running=Running(NOW_MS, (stuck,)), open_jobs=0))


def test_without_a_limit_the_policy_is_only_told() -> None:
    [one] = findings(server(maxmemory_policy="allkeys-lru"))
    assert (one.severity, one.as_json()["level"]) == ("info", "info")


def test_a_clock_that_jumped_makes_a_daemon_silent() -> None:
    found = findings(snapshot(running=Running(NOW_MS - 60_000, (ALIVE,))))
    assert [one.code for one in found] == [Code.NO_DAEMON, Code.DAEMON_SILENT]


def test_of_many_names_some_are_shown_and_all_are_kept() -> None:
    names = [f"{number}.lua" for number in range(9)]
    [one] = findings(snapshot(paused=tuple(map(Pause, names))))
    assert one.message == "paused: 0.lua, 1.lua, 2.lua, 3.lua, 4.lua and 4 more"
    assert one.names == tuple(names)


def test_the_worst_comes_first_and_each_code_once() -> None:
    everything = snapshot(
        server(maxmemory_policy="allkeys-lru"),
        engine="the engine is not loaded",
        running=Running(NOW_MS, (SILENT,), (GAP,)),
        sync=WANTED._replace(state="refused"),
        suspended=Suspended(1.0, "ann"),
        paused=(Pause("a.lua"),),
        dead_jobs=1,
        failing=(Failing("a.lua", 1),),
    )
    found = findings(everything)
    codes = [one.code for one in found]
    assert len(set(codes)) == len(codes) == 10
    ranks = [LEVELS.index(one.severity) for one in found]
    assert ranks == sorted(ranks)
    assert (codes[0], codes[-1]) == (Code.REFUSED, Code.EVICTING)
    assert findings(replace(everything, unreachable="gone"))[0].code == Code.UNREACHABLE
    assert worst_first(reversed(found)) == found


def test_worst_first_goes_by_the_level_before_the_code() -> None:
    told, warned = Finding(Code.UNREACHABLE, "x", level="info"), Finding(Code.PAUSED, "x")
    assert worst_first((told, warned)) == (warned, told)


def test_failing_and_missed_are_what_stats_say() -> None:
    stats = {
        "c.lua": Stats(last_status="denied", failed_in_a_row=1, last_error="no"),
        "a.lua": Stats(runs=9, errors=8, last_status="ok", last_missed_ms=5),
        "b.lua": Stats(last_status="timeout", failed_in_a_row=2, failing_since_ms=7, last_error="slow"),
        "d.lua": Stats(),
    }
    assert failing_in(stats) == (Failing("b.lua", 2, 7, "slow"), Failing("c.lua", 1, 0, "no"))
    assert missed_in(stats) == (Missed("a.lua", 5),)


def test_what_is_acknowledged_is_no_finding_until_there_is_more() -> None:
    gaps, missed = Running(NOW_MS, (ALIVE,), (GAP,)), (Missed("a.lua", NOW_MS - 3000),)
    seen = snapshot(running=gaps, missed=missed)
    assert {one.code for one in findings(seen)} == {Code.GAP, Code.MISSED}
    until = until_ms(seen)
    assert until == {Code.GAP: GAP.time_ms, Code.MISSED: NOW_MS - 3000}
    known = {code: Acknowledged(ms, NOW_MS, "ann") for code, ms in until.items()}
    assert findings(replace(seen, acknowledged=known)) == ()
    assert until_ms(replace(seen, acknowledged=known)) == {}
    more = gaps._replace(gaps=(GAP, GAP._replace(time_ms=GAP.time_ms + 1)))
    [gap] = findings(replace(seen, acknowledged=known, running=more))
    assert "more" not in gap.message


def test_of_a_full_server_it_is_said_what_helps() -> None:
    hints = {
        refuses: findings(server(refuses=refuses))[0].hint for refuses in ("used memory > maxmemory (OOM)", "READONLY")
    }
    assert [("maxmemory" in hint, "log" in hint) for hint in hints.values()] == [(True, False), (False, True)]
