from __future__ import annotations

import pytest

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.findings import Finding
from luasprocs.registry.revision import Revision
from luasprocs_tui.values.header import badge_of, facts_of, note_of
from luasprocs_tui.values.snapshots import Snapshot, State

CODES = (FindingCode.DAEMON_SILENT, FindingCode.FAILING, FindingCode.DEAD_JOBS, FindingCode.GAP, FindingCode.PAUSED)
KEYS = {"findings": "!", "failures": "F", "jobs": "J", "outages": "U"}


def note(width: int) -> str:
    found = tuple(Finding(code, "m", "look at its host") for code in CODES)
    return note_of(State("", Snapshot(Revision(generation=1), (), 0.0, findings=found), keys=KEYS), width)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "127.0.0.1:6379"),
        ("redis+cluster://n1:7101,n2:7102,n3:7103", "n1:7101 +2"),
        ("rediss://n1:6380/1", "rediss://n1:6380/1"),
    ],
)
def test_a_server_is_short_enough_to_leave_room_for_what_is_live(url: str, shown: str) -> None:
    assert facts_of(State(url)) == shown


@pytest.mark.parametrize(
    ("room", "shown"),
    [
        (80, "REFUSED sprocs/shipping/cost.lua:5:17: 'then' expected near 'return' (v)"),
        (50, "REFUSED sprocs/shipping/cost.lua:5:17: 'then'… (v)"),
        (40, "REFUSED …rocs/shipping/cost.lua:5:17 (v)"),
    ],
)
def test_the_place_of_what_is_worst_is_what_a_narrow_badge_keeps(room: int, shown: str) -> None:
    worst = Finding(FindingCode.REFUSED, "sprocs/shipping/cost.lua:5:17: 'then' expected near 'return'")
    state = State("", Snapshot(Revision(generation=1), (), 0.0, findings=(worst,)), keys={"wanted": "v"})
    assert badge_of(state, 0.0, room).text == shown


def test_what_else_is_wrong_is_counted_where_there_is_no_room_to_name_it() -> None:
    assert note(100) == "look at its host;  also FAILING (F), DEAD JOBS (J), GAP (U), PAUSED (!)"
    assert note(30) == "look at its host;  also FAILING (F), 3 more (!)"
    assert note(20) == "look at its host;  also 4 more (!)"


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("no daemon is alive, so nothing runs: events", "NO DAEMON nothing runs: events (D)"),
        (
            "no daemon can go on with jobs: jobs can't be taken",
            "NO DAEMON can go on with jobs: jobs can't be taken (D)",
        ),
        ("no daemon hears the events of shard {a}", "NO DAEMON hears the events of shard {a} (D)"),
    ],
)
def test_a_daemon_that_lives_and_cannot_go_on_is_told_from_none(message: str, shown: str) -> None:
    found = (Finding(FindingCode.NO_DAEMON, message, "see its log"),)
    snapshot = Snapshot(Revision(generation=1), (), 0.0, findings=found)
    assert badge_of(State("", snapshot, keys={"daemons": "D"}), 0.0, 80).text == shown
