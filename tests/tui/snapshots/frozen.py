"""The app with data that never changes and no server, for pictures that must be the same each time."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.contexts import Context
from luasprocs.operations.findings import Finding
from luasprocs.registry.revision import Revision
from luasprocs.state.daemons import DaemonInfo, Running
from luasprocs.state.executions import Execution, Gap
from luasprocs_tui import messages
from luasprocs_tui.app import TuiApp
from luasprocs_tui.values.rows import Counters, Row
from luasprocs_tui.values.snapshots import Counts, Pulse, Snapshot, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.pilot import Pilot
    from textual.screen import Screen

NOW_MS = 1_790_000_000_500
LAST_S = 1_789_999_990
NIGHTLY = ("30 2 * * *", "", "")
SHOWN = {
    "80x24": ((80, 24), False),
    "120x40": ((120, 40), False),
    "no-color": ((80, 24), True),
}
"""Size, and whether NO_COLOR is set."""
shown = pytest.mark.parametrize("shown", SHOWN)

FAILING = Counters(
    *(None, 1234, 12, 20.5, LAST_S, 41, 980, True),
    errors_per_s=2.5,
    share=0.004,
    erring=True,
    last_error="ERR billing/charge.lua:3: no such card script: luasprocs_execute, on @billing/charge.lua:3.",
)

ROWS = (
    Row("billing/charge.lua", "set order:*", "ok", "Charge a card", FAILING),
    Row("billing/refund.lua", "call", "edited", "Give it back", Counters(12_345), by="Ann", since_ms=NOW_MS - 300_000),
    Row("report.lua", "cron 30 2 * * *", "ok", "Nightly", Counters(None, 7, 0, 0.0, LAST_S, 41_000, 2_000_000), NIGHTLY),
    Row("sc1.lua", "call", "ok", "Say hello"),
    Row("sc2.lua", "set dream*", "paused", "Dreams", Counters(None, 3, per_s=0.5), by="ann", since_ms=NOW_MS - 720_000),
    Row("sc3.lua", "every 15s", "drift", "Ticks", Counters(None, 99, 1), ("", "15s", "")),
    Row("utils.lua", "library", "ok", "For others"),
)  # fmt: skip
RECORD = Execution(
    id="1790000000123-0",
    time_ms=1_790_000_000_123,
    sproc="billing/charge.lua",
    trigger="event",
    key="order:17",
    event="set",
    origin="1790000000100-1",
    depth=2,
    status="error",
    duration_us=1234,
    reply="",
    error="ERR billing/charge.lua:3: no card script: luasprocs_execute, on @billing/charge.lua:3.",
    commit="c0ffee" * 6,
    daemon="host-1-abc",
)
RECORDS = (
    RECORD._replace(id="1790000000100-0", sproc="sc2.lua", depth=1, status="ok", error="", reply='{"answer": [42]}'),
    RECORD,
    RECORD._replace(
        id="1790000000200-0",
        sproc="sc3.lua",
        trigger="cron",
        event="",
        key="",
        origin="-",
        status="missed",
        error="",
    ),
)


FINDINGS = (
    Finding(
        FindingCode.FAILING,
        "the last run failed: billing/charge.lua; billing/charge.lua 12 times in a row: no such card",
        "luasprocs logs --status error",
        names=("billing/charge.lua",),
    ),
    Finding(FindingCode.DRIFT, "changed by hand: sc3.lua", "luasprocs sync repairs it", names=("sc3.lua",)),
)


BEAT = DaemonInfo(
    "host-1-abc", NOW_MS - 400, 7, "host", 17, LAST_S - 5000, "e", lag=3, read=731, runs=700, jobs=2, version="0.1.0"
)
GAP = Gap(
    "1-0", NOW_MS - 60_000, "__keyevent@0__:set", NOW_MS - 90_000, NOW_MS - 60_000, "no daemon was alive", "host-1-abc"
)


def snapshot() -> Snapshot:
    """The registry at one moment, which is now."""
    errors = (0.0, 0.0, 3.0, 1.0, 2.5)
    pulse = Pulse(NOW_MS, time.monotonic(), 2, 3, 1234, 12.0, tuple(map(float, range(12))), errors)
    revision = Revision()._replace(
        generation=7, commit="c0ffee" * 6, branch="main", applied_at="2026-09-21T12:00:00+00:00"
    )
    return Snapshot(
        revision,
        ROWS,
        time.monotonic(),
        ("billing/charge.lua", "cron 30 2 * * *"),
        findings=FINDINGS,
        pulse=pulse,
        counts=Counts(silent=1, paused=1, dead=471, gaps=1, edits=1),
        running=Running(NOW_MS, (BEAT, BEAT._replace(id="host-2-def", heard_ms=NOW_MS - 90_000)), (GAP,)),
    )


def app(monkeypatch: pytest.MonkeyPatch, name: str, **settings: Any) -> tuple[TuiApp, tuple[int, int]]:
    """With nothing behind it: what would read is told to rest."""
    size, plain = SHOWN[name]
    monkeypatch.delenv("NO_COLOR", raising=False)
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(TuiApp, "_follow", lambda _: None)
    monkeypatch.setattr(State, "now_ms", lambda _: NOW_MS)
    # Data is never old, however slow the machine.
    monkeypatch.setattr("luasprocs_tui.values.freshness.STALE_AFTER_S", math.inf)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _: None)  # no blinking
    context = settings.pop("context", Context("", "redis://redis.example.com:6379/0"))
    return TuiApp(context, **settings), size


def made_of(pilot: Pilot[None]) -> TuiApp:
    assert isinstance(pilot.app, TuiApp)
    return pilot.app


def opened(
    screen: Callable[[], Screen[Any]] | None = None, *sent: Callable[[], Any], press: tuple[str, ...] = ()
) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Before the picture: the data comes, a screen is opened, its data comes, keys are pressed."""

    async def before(pilot: Pilot[None]) -> None:
        pilot.app.post_message(messages.SnapshotRead(snapshot()))
        await pilot.pause()
        if screen is not None:
            await pilot.app.push_screen(screen())
        for message in sent:
            pilot.app.screen.post_message(message())
        await pilot.pause()
        await pilot.press(*press)
        while made_of(pilot)._given_at_s is not None:  # keys have their turn one after the other
            await pilot.pause()
        drawn, same = "", 0
        while same < 4:  # a layout comes a moment after what asks for it, later on a busy machine
            await pilot.pause(0.05)
            before_it, drawn = drawn, str([list(strip) for strip in pilot.app.screen._compositor.render_strips()])
            same = same + 1 if drawn == before_it else 0

    return before
