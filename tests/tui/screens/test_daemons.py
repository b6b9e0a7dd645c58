from __future__ import annotations

from luasprocs.registry.revision import Revision
from luasprocs.state.daemons import DaemonInfo, Running
from luasprocs_tui.screens.daemons import Beat, DaemonsScreen
from luasprocs_tui.values.header import pulse_of
from luasprocs_tui.values.snapshots import Counts, Pulse, Snapshot, State

NOW_MS = 1_000_000_000
SILENT = DaemonInfo("vm:1234:ab", NOW_MS - 100_000, 7, started_s=NOW_MS // 1000 - 160)


def test_a_silent_daemon_was_up_until_its_last_heartbeat() -> None:
    seen, up = DaemonsScreen().line(Beat(SILENT, NOW_MS, 1, 1)).cells[3:5]
    assert (seen, up) == ("1m", "1m"), "160 s since it began, of which it lived 60"
    up = DaemonsScreen().line(Beat(SILENT._replace(heard_ms=NOW_MS), NOW_MS, 1, 1)).cells[4]
    assert up == "2m"
    assert DaemonsScreen().line(Beat(SILENT._replace(version="0.1.0"), NOW_MS, 1, 1)).cells[-1] == "0.1.0"


def test_a_wide_screen_names_the_daemon_that_is_silent() -> None:
    running = Running(NOW_MS, (SILENT, SILENT._replace(id="vm:1:cd"), SILENT._replace(id="lives", heard_ms=NOW_MS)))
    pulse, counts = Pulse(NOW_MS, 0.0, daemons=1), Counts(silent=2)
    state = State("", Snapshot(Revision(generation=1), (), 0.0, pulse=pulse, counts=counts, running=running))
    assert "2 silent (vm:1234:ab +1)" in pulse_of(state, 36, 118).plain
    assert "2 silent  " in pulse_of(state, 4, 78).plain
