"""Each code, from a snapshot made for it: what it says, how bad it is, and when it is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from luasprocs.contract.codes import FindingCode as Code
from luasprocs.operations.findings import LEVELS, Finding, findings, worst_first
from luasprocs.operations.snapshot import DAY_MS, Failing, Missed, Snapshot, failing_in, missed_in
from luasprocs.registry.edits import Edit
from luasprocs.registry.history import Generation
from luasprocs.registry.live import Live, LiveSproc, Revision
from luasprocs.server.info import ServerInfo
from luasprocs.state.daemons import DaemonInfo, Running
from luasprocs.state.desired import Suspended, SyncState
from luasprocs.state.executions import Execution, Gap

NOW_MS = 1_800_000_000_000
APPLIED = "2027-01-15T07:00:00.000+00:00"  # an hour before
REVISION = Revision("c0ffee", "main", 7, APPLIED, "ann@host", "shop", 2)
INFO = ServerInfo("valkey", (9, 0), "run", "master", "noeviction")
LIVE = Live(REVISION, None, {"a.lua": LiveSproc("a.lua", "b1", intact=True)}, INFO, {"__keyspace@0__:k": ("a.lua",)})
ALIVE = DaemonInfo("host-1-abc", NOW_MS - 300, 5)
SILENT = DaemonInfo("host-2-def", NOW_MS - 60_000, 5)
WELL = Snapshot(
    now_ms=NOW_MS,
    live=LIVE,
    sync=SyncState(commit="c0ffee", state="synced", at=NOW_MS / 1000, daemon=ALIVE.id),
    running=Running(NOW_MS, (ALIVE,)),
    schedules=1,
    open_jobs=2,
)
WANTED = SyncState(
    commit="beef" * 10, branch="main", reason="why it waits", at=NOW_MS / 1000, daemon=ALIVE.id, updated=("a.lua",)
)
GAP = Gap("1-0", NOW_MS - 5000, "__keyspace@0__:k", NOW_MS - 9000, NOW_MS - 5000, "the server restarted", "d")


def snapshot(**changes: Any) -> Snapshot:
    return replace(WELL, **changes)


def live(**changes: Any) -> Snapshot:
    return snapshot(live=replace(LIVE, **changes))


def revision(**changes: Any) -> Snapshot:
    return live(revision=replace(REVISION, **changes))


def server(**changes: Any) -> Snapshot:
    return live(info=replace(INFO, **changes))


def edited(by: str) -> LiveSproc:
    return LiveSproc("a.lua", "b2", intact=True, edit=Edit(by, 1_700_000_000.5, "b1").stored())


def test_all_is_well() -> None:
    assert findings(WELL) == ()


def test_an_empty_registry_that_nothing_runs_is_well() -> None:
    empty = Live(Revision(), None, {}, INFO)
    assert findings(Snapshot(now_ms=NOW_MS, live=empty, running=Running(NOW_MS))) == ()


CASES: dict[str, tuple[Snapshot, Code, str]] = {
    "unreachable": (Snapshot(unreachable="nothing answers at redis://h"), Code.UNREACHABLE, "nothing answers"),
    "no engine": (snapshot(engine="the engine is not loaded"), Code.ENGINE_DIFFERS, "not loaded"),
    "refused": (snapshot(sync=replace(WANTED, state="refused")), Code.REFUSED, "why it waits"),
    "refused, at work": (
        snapshot(
            live=replace(LIVE, revision=replace(REVISION, commit="worktree")),
            sync=replace(WANTED, state="refused", commit="worktree"),
        ),
        Code.REFUSED,
        "why it waits",
    ),
    "diverged": (snapshot(sync=replace(WANTED, state="diverged")), Code.DIVERGED, "why it waits"),
    "unknown": (snapshot(sync=replace(WANTED, state="unknown")), Code.UNKNOWN, "why it waits"),
    "behind": (snapshot(sync=replace(WANTED, state="behind")), Code.BEHIND, "why it waits"),
    "no reason": (snapshot(sync=replace(WANTED, state="behind", reason="")), Code.BEHIND, "git wants beefbeefbeef"),
    "degraded": (snapshot(sync=SyncState(state="degraded", reason="no remote")), Code.DEGRADED, "no remote"),
    "drift": (live(sprocs={"a.lua": LiveSproc("a.lua", "b1", intact=False)}), Code.DRIFT, "changed by hand: a.lua"),
    "faults": (live(faults=("x is not a hash", "y is not a list")), Code.DRIFT, "x is not a hash; y is not a list"),
    "suspended": (
        snapshot(suspended=Suspended(1.5, "ann@host", "a freeze")), Code.SUSPENDED, "suspended by ann@host: a freeze"
    ),
    "pinned": (revision(pinned="dead" * 10), Code.PINNED, "rolled back from commit deaddeaddead"),
    "no daemon": (snapshot(running=Running(NOW_MS)), Code.NO_DAEMON, "nothing runs: events, schedules, async runs"),
    "a daemon that fell silent": (
        snapshot(running=Running(NOW_MS, (ALIVE, SILENT))), Code.DAEMON_SILENT, "ended in order: host-2-def"
    ),
    "failing": (
        snapshot(failing=(Failing("a.lua", 3, 5, "x"), Failing("b.lua", 702, 9, "boom"))),
        Code.FAILING,
        "the last run failed: a.lua, b.lua; b.lua 702 times in a row: boom",
    ),
    "paused": (snapshot(paused=frozenset({"b.lua", "a.lua"})), Code.PAUSED, "paused: a.lua, b.lua"),
    "dead jobs": (snapshot(dead_jobs=2), Code.DEAD_JOBS, "2 jobs have used up"),
    "a dead job": (snapshot(dead_jobs=1), Code.DEAD_JOBS, "1 job has used up"),
    "a gap": (snapshot(running=Running(NOW_MS, (ALIVE,), (GAP,))), Code.GAP, "the server restarted"),
    "gaps": (snapshot(running=Running(NOW_MS, (ALIVE,), (GAP, GAP, GAP))), Code.GAP, "(and 2 more)"),
    "missed": (
        snapshot(missed=(Missed("c.lua", 5, "2 times"), Missed("d.lua", 4, "1 time"))),
        Code.MISSED,
        "c.lua, d.lua; the last: 2 times",
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


def test_every_code_that_can_be_known_has_a_case() -> None:
    assert {code for _, code, _ in CASES.values()} == set(Code) - {Code.SHARD_DIFFERS}


@pytest.mark.parametrize(
    "well",
    [
        pytest.param(snapshot(sync=replace(WANTED, state="synced")), id="what git wants is live"),
        pytest.param(snapshot(sync=replace(WANTED, state="applying")), id="a sync is under way"),
        pytest.param(snapshot(sync=SyncState()), id="no daemon ever synced"),
        pytest.param(snapshot(sync=replace(WANTED, state="refused", commit="c0ffee", at=1.0)), id="it was applied since"),
        pytest.param(snapshot(sync=replace(WANTED, state="a new word")), id="a later luasprocs says it"),
        pytest.param(revision(applied_at="x"), id="a time that can't be read"),
        pytest.param(live(sprocs={"a.lua": replace(edited("ann"), blob="b1")}), id="an edit that was taken back"),
        pytest.param(
            snapshot(running=Running(NOW_MS), live=replace(LIVE, triggers={}), schedules=0, open_jobs=0),
            id="no daemon, and nothing to run",
        ),
        pytest.param(
            snapshot(running=Running(NOW_MS, (ALIVE,), (replace(GAP, time_ms=NOW_MS - DAY_MS - 1),))), id="an old gap"
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

    [pinned] = findings(revision(pinned="dead"))
    assert (pinned.by, pinned.as_json()["since"]) == ("ann@host", "2027-01-15T07:00:00.000Z")
    back = Generation(5, "rollback to 4", "c", "", "", "", "2027-01-15T06:00:00+00:00", "ben@host", {}, {}, {})
    [pinned] = findings(replace(revision(pinned="dead"), rolled_back=back))
    assert (pinned.by, pinned.as_json()["since"]) == ("ben@host", "2027-01-15T06:00:00.000Z")

    [edit] = findings(live(sprocs={"a.lua": edited("Ann <ann@host>")}))
    assert (edit.by, edit.since_ms, edit.names) == ("Ann <ann@host>", 1_700_000_000_500, ("a.lua",))

    [refused] = findings(snapshot(sync=replace(WANTED, state="refused")))
    assert (refused.by, refused.since_ms, refused.names) == (ALIVE.id, NOW_MS, ("a.lua",))

    [alone] = findings(snapshot(running=Running(NOW_MS, (SILENT,))))
    assert (alone.code, alone.names, alone.since_ms) == (Code.NO_DAEMON, (SILENT.id,), SILENT.heard_ms)

    [failing] = findings(snapshot(failing=(Failing("a.lua", 3, 500), Failing("b.lua", 2), Failing("c.lua", 1, 400))))
    assert failing.since_ms == 400
    assert "by" not in failing.as_json()


def test_what_no_daemon_runs_is_named() -> None:
    for changes, said in (
        ({"schedules": 0, "open_jobs": 0}, "events"),
        ({"live": replace(LIVE, triggers={}), "open_jobs": 0}, "schedules"),
        ({"live": replace(LIVE, triggers={}), "schedules": 0}, "async runs"),
    ):
        [one] = findings(snapshot(running=Running(NOW_MS), **changes))
        assert one.message == f"no daemon is alive, so nothing runs: {said}"


def test_without_a_limit_the_policy_is_only_told() -> None:
    [one] = findings(server(maxmemory_policy="allkeys-lru"))
    assert (one.severity, one.as_json()["level"]) == ("info", "info")


def test_a_clock_that_jumped_makes_a_daemon_silent() -> None:
    [one] = findings(snapshot(running=Running(NOW_MS - 60_000, (ALIVE,))))
    assert one.code == Code.NO_DAEMON


def test_of_many_names_some_are_shown_and_all_are_kept() -> None:
    names = frozenset(f"{number}.lua" for number in range(9))
    [one] = findings(snapshot(paused=names))
    assert one.message == "paused: 0.lua, 1.lua, 2.lua, 3.lua, 4.lua and 4 more"
    assert one.names == tuple(sorted(names))


def test_the_worst_comes_first_and_each_code_once() -> None:
    everything = replace(
        server(maxmemory_policy="allkeys-lru"),
        engine="the engine is not loaded",
        running=Running(NOW_MS, (SILENT,), (GAP,)),
        sync=replace(WANTED, state="refused"),
        suspended=Suspended(1.0, "ann"),
        paused=frozenset({"a.lua"}),
        dead_jobs=1,
        failing=(Failing("a.lua", 1),),
    )
    found = findings(everything)
    codes = [one.code for one in found]
    assert len(set(codes)) == len(codes) == 9
    ranks = [LEVELS.index(one.severity) for one in found]
    assert ranks == sorted(ranks)
    assert (codes[0], codes[-1]) == (Code.REFUSED, Code.EVICTING)
    assert findings(replace(everything, unreachable="gone"))[0].code == Code.UNREACHABLE
    assert worst_first(reversed(found)) == found


def test_worst_first_goes_by_the_level_before_the_code() -> None:
    told, warned = Finding(Code.UNREACHABLE, "x", level="info"), Finding(Code.PAUSED, "x")
    assert worst_first((told, warned)) == (warned, told)


def record(number: int, sproc: str, status: str, error: str = "") -> Execution:
    return Execution(f"{number}-0", number, sproc, "event", status=status, error=error)


def test_failing_is_how_the_last_run_ended() -> None:
    records = [
        record(1, "a.lua", "error"),
        record(2, "a.lua", "ok"),
        record(3, "a.lua", "error", "ERR first"),
        record(4, "b.lua", "error"),
        record(5, "a.lua", "timeout", "ERR last"),
        record(6, "b.lua", "ok"),
        record(7, "a.lua", "skipped"),
        record(8, "", "gap"),
        record(9, "gone.lua", "error"),
        record(10, "c.lua", "denied"),
        record(11, "a.lua", "missed"),
    ]
    assert failing_in(records, ["a.lua", "b.lua", "c.lua", "d.lua"]) == (
        Failing("a.lua", 2, 3, "ERR last"),
        Failing("c.lua", 1, 10),
    )
    assert failing_in([], ["a.lua"]) == ()


def test_missed_times_count_for_a_while() -> None:
    records = [
        record(1, "a.lua", "missed", "old"),
        record(5, "b.lua", "missed", "one"),
        record(6, "b.lua", "missed", "two"),
        record(7, "c.lua", "ok"),
    ]
    assert missed_in(records, 5) == (Missed("b.lua", 6, "two"),)
