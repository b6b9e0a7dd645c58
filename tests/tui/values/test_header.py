from __future__ import annotations

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.findings import Finding
from luasprocs.registry.revision import Revision
from luasprocs_tui.values.header import note_of
from luasprocs_tui.values.snapshots import Snapshot, State

CODES = (FindingCode.DAEMON_SILENT, FindingCode.FAILING, FindingCode.DEAD_JOBS, FindingCode.GAP, FindingCode.PAUSED)
KEYS = {"findings": "!", "failures": "F", "jobs": "J", "outages": "U"}


def note(width: int) -> str:
    found = tuple(Finding(code, "m", "look at its host") for code in CODES)
    return note_of(State("", Snapshot(Revision(generation=1), (), 0.0, findings=found), keys=KEYS), width)


def test_what_else_is_wrong_is_counted_where_there_is_no_room_to_name_it() -> None:
    assert note(100) == "look at its host;  also FAILING (F), DEAD JOBS (J), GAP (U), PAUSED (!)"
    assert note(30) == "look at its host;  also FAILING (F), 3 more (!)"
    assert note(20) == "look at its host;  also 4 more (!)"
