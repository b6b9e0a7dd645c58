"""What is said on a screen of 80 by 24 can be read to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Static

from luasprocs.operations.contexts import Context
from luasprocs.registry.history import Generation
from luasprocs.state.daemons import DaemonInfo
from luasprocs.state.executions import Execution
from luasprocs.state.jobs import JobRecord
from luasprocs.state.schedules import ScheduleInfo
from luasprocs_tui.app import TuiApp
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.screens.daemons import Beat, DaemonsScreen
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.screens.outages import OutagesScreen
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.screens.ribbon import RibbonScreen
from luasprocs_tui.screens.source import SourceScreen
from luasprocs_tui.settings import ScreenSettings
from luasprocs_tui.values.outages import Outage
from luasprocs_tui.values.rows import Counters, Row
from luasprocs_tui.widgets.table import Table
from tests.tui.pilot import filled, hides, screen_of, shows, unconnected, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs_tui.screens.base import BaseScreen

NARROW = (80, 24)
NAMES = tuple(f"orders/of_some_length_{at}.lua" for at in range(8))
ERROR = (
    "ERR orders/totals.lua:9: attempt to perform arithmetic on local 'vat' (a boolean value), which is nothing to add"
)
GENERATION = Generation(
    *(3, "sync", "c0ffee" * 6, "Ben <ben@shop.example>", "Totals include the VAT of some", "main"),
    *("2026-11-30T22:25:35+00:00", "root@vm", {}, {}, {}),
)
SOURCES = tuple(f"__keyevent@0__:{event}" for event in ("expired", "hincrby", "hset", "incrby", "rpush"))
OUTAGE = Outage(1, 2, SOURCES, NAMES, "no daemon", new=True, sprocs=NAMES)

OOM = "OOM command not allowed when used memory > 'maxmemory'."
WAITS = {"jobs": f"jobs can't be taken: {OOM}", "retries": "retries can't be started: OOM command not allowed."}
STUCK = DaemonInfo("vm:1:ab", 1000, 7, started_s=1, waits=WAITS)
UNKNOWN = ScheduleInfo(
    "reports/of_some_length/daily_for_all_shops.lua",
    *("30 6 * * *", "Mars/Phobos", "catch_up", "ok"),
    ran_ms=1_796_000_000_000,
    problem="no zone Mars/Phobos is known on this machine, nor when it is due",
)
DEAD = JobRecord(
    "1796083605305671-1746", "a.lua", "dead", "event", 2, 1000, args=(*NAMES, "and the last of its arguments")
)


async def test_the_list_that_has_all_the_room_says_how_it_goes_back() -> None:
    async with unconnected().run_test(size=NARROW) as pilot:
        table = await filled(pilot, [Row(f"{at}.lua", description="x" * 200) for at in range(3)])
        await pilot.press("z")
        await shows(pilot, "z or esc gives the room back", "0.lua")
        assert table.outer_size == NARROW
        await pilot.click(Table, offset=(5, 3))  # the border, the head, a row
        assert table.selected == "1.lua"
        await pilot.press("z")
        await hides(pilot, "gives the room back")


async def test_what_is_wrong_with_a_filter() -> None:
    async with unconnected().run_test(size=NARROW) as pilot:
        await filled(pilot, [Row("a.lua")])
        await pilot.press("slash", *"~(((")
        await shows(pilot, "~((( is not a regular expression")


async def test_all_commands_that_tab_finds() -> None:
    async with unconnected().run_test(size=NARROW) as pilot:
        await filled(pilot, [Row("a.lua")])
        await pilot.press("colon", "tab")
        await shows(pilot, "filter", "suspend", "background", "quit")


async def test_which_context_is_production() -> None:
    shop = Context("shop", "redis://a-long-name-of-the-server-of-the-shop.example.com:6379/0", production=True)
    app = TuiApp(Context("", "redis://127.0.0.1:1/0"), ScreenSettings(contexts={"shop": shop}), refresh_s=3600)
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("C")
        await shows(pilot, "Go to", "PRODUCTION")
        await pilot.press(*"product")
        await pilot.pause()
        assert "PRODUCTION" in screen_of(pilot)


async def test_the_error_of_a_record_stands_above_its_source() -> None:
    async with unconnected().run_test(size=NARROW) as pilot:
        await pilot.app.push_screen(RecordScreen(Execution("1-1", 1, "a.lua", "call", status="error", error=ERROR), ()))
        await shows(pilot, "error    ERR orders/totals.lua:9", "\n          (a boolean value), which is nothing to add")


async def test_a_source_says_first_how_its_sproc_is() -> None:
    async with unconnected().run_test(size=NARROW) as pilot:
        failing = Counters(failing=True, last_error="ERR a.lua:9: no such folder, and nothing else to say of it")
        await filled(pilot, [Row("a.lua", "hset order:*", counters=failing)])
        await pilot.app.push_screen(SourceScreen("a.lua"))
        await shows(pilot, "a.lua  failing  9: no such folder, and nothing else to say of it")


@pytest.mark.parametrize(
    ("made", "rows", "said"),
    [
        (HistoryScreen, [GENERATION], "Totals include the VAT of some by Ben"),
        (OutagesScreen, [OUTAGE._replace(from_ms=5, sources=(), sprocs=()), OUTAGE], "once you have dealt with it"),
        (DaemonsScreen, [Beat(STUCK, 1000, 1, 1)], "retries can't be started: OOM command not allowed."),
        (CronScreen, [(UNKNOWN, 1000)], "no zone Mars/Phobos is known on this machine, nor when it is due"),
        (JobsScreen, [DEAD], "and the last of its arguments"),
    ],
)
async def test_what_is_said_of_a_row(made: Callable[[], BaseScreen], rows: list[object], said: str) -> None:
    async with unconnected().run_test(size=NARROW) as pilot:
        screen = made()
        await pilot.app.push_screen(screen)
        screen.show(rows)  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.press("G")
        await until(pilot, lambda: said in " ".join(screen_of(pilot).split()), said)


@pytest.mark.parametrize("made", [HistoryScreen, OutagesScreen, RibbonScreen])
async def test_nothing_is_wider_than_the_screen(made: Callable[[], BaseScreen]) -> None:
    async with unconnected().run_test(size=NARROW) as pilot:
        screen = made()
        await pilot.app.push_screen(screen)
        await pilot.pause()
        assert screen.query_one("#detail", Static).outer_size.width == NARROW[0]
