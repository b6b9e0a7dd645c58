"""Filter, sort, marks and the way back, in the lists that show all of what was read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from textual.screen import Screen

from luasprocs.operations.contexts import Context
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import read_jobs
from luasprocs_tui.app import TuiApp
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.pilot import KEYS, app, hides, listed, record, screen_of, shows, text_of, unconnected, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis
    from textual.pilot import Pilot
    from textual.timer import Timer

    from tests.servers import Server


def enqueue(client: Redis, *words: str) -> None:
    for word in words:
        client.execute_command("FCALL", KEYS.function("enqueue"), 0, "late.lua", "-", 1, word)


def rows_of(pilot: Pilot[None]) -> tuple[str, ...]:
    return tuple(row["KEYS, ARGV, OR ERROR"] for row in pilot.app.screen.query_one(Table).sheet())


async def test_several_jobs_are_found_marked_and_dropped_at_once(server: Server, client: Redis) -> None:
    enqueue(client, "mail-1", "mail-2", "bill-1", "mail-3")
    async with app(server).run_test(size=(120, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("J")
        await shows(pilot, "bill-1")
        await pilot.press("slash", *"mail", "enter")
        await hides(pilot, "bill-1")
        assert "3 of 4" in text_of(pilot, "#title")
        await pilot.press("g", "space", "space")
        await shows(pilot, "2 marked")
        await pilot.press("d")
        await shows(pilot, "Drop 2 jobs?", "mail-1", "mail-2")
        await pilot.press("tab", "enter")
        await shows(pilot, "2 jobs are dropped")
        await until(pilot, lambda: rows_of(pilot) == ("mail-3",), "what is left of the mails")
        assert [one.args for one in read_jobs(Registry(client, KEYS))] == [("bill-1",), ("mail-3",)]
        await pilot.press("asterisk")
        await shows(pilot, "1 marked")
        await pilot.press("escape")
        await shows(pilot, "bill-1", "1 marked")
        await pilot.press("escape")
        await hides(pilot, "1 marked")
        await pilot.press("escape")
        await shows(pilot, "RUN/S")


async def test_of_marked_jobs_those_that_can_be_are_retried_and_of_the_others_it_is_said(
    server: Server, client: Redis
) -> None:
    enqueue(client, "one", "two")
    async with app(server).run_test(size=(120, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("J")
        await shows(pilot, "two")
        await pilot.press("asterisk", "t")
        await shows(pilot, "Run 2 jobs again?", "late.lua, queued: one")
        await pilot.press("tab", "enter")
        await shows(pilot, "0 of 2 jobs are to run again")


async def test_a_list_is_sorted_by_a_column_of_the_menu_which_the_next_start_remembers(
    server: Server, client: Redis
) -> None:
    enqueue(client, "b", "c", "a")
    for ways in (("o", "G", "enter"), ()):
        async with app(server).run_test(size=(120, 30)) as pilot:
            await listed(pilot)
            await pilot.press("J", *ways)
            await until(pilot, lambda: rows_of(pilot) == ("a", "b", "c"), "by the last column")
            assert "ERROR↑" in screen_of(pilot)
            await pilot.press("O")
            assert rows_of(pilot) == ("c", "b", "a")
            await pilot.press("O", "o")
            await shows(pilot, "Sort by", "by state, the oldest first", "KEYS, ARGV, OR ERROR ↑")
            await pilot.press("escape")


async def test_a_screen_says_where_it_is_and_escape_goes_back_one(server: Server, client: Redis) -> None:
    record(client, "a.lua")
    async with app(server).run_test(size=(120, 30)) as pilot:
        await listed(pilot)
        await pilot.press("g", "enter", "h")
        await shows(pilot, "Sprocs > a.lua > History of a.lua")
        await pilot.press("escape")
        await shows(pilot, "Sprocs > a.lua  ")
        await pilot.press("x", "enter")
        await shows(pilot, "Sprocs > a.lua > Executions of a.lua > Execution ")


@pytest.mark.parametrize("key", ["D", "U", "H"])
async def test_enter_is_not_offered_where_it_does_nothing(key: str) -> None:
    async with unconnected().run_test(size=(120, 30)) as pilot:
        await pilot.press(key)
        await shows(pilot, "esc Back  / Filter")
        assert "⏎ Open" not in screen_of(pilot)


async def test_enter_on_a_schedule_opens_its_sproc(server: Server, client: Redis) -> None:
    assert client.ping()
    async with app(server).run_test(size=(120, 30)) as pilot:
        await listed(pilot)
        await pilot.press("c")
        await shows(pilot, "every 1h", "⏎ Open")
        await pilot.press("enter")
        await shows(pilot, "Sprocs > Schedules > tick.lua", "-- every=1h")


@pytest.mark.usefixtures("in_tokyo")
async def test_times_are_in_utc_or_in_the_zone_of_this_machine_which_the_next_start_remembers(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- cron=30 2 * * *\nreturn 1"))
    async with app(server).run_test(size=(120, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("c")
        await shows(pilot, "NEXT (UTC)", " 02:30:00")
        await pilot.press("Z")
        await shows(pilot, "NEXT (JST)", " 11:30:00", "times are shown in JST")
    async with app(server).run_test(size=(120, 30)) as pilot:
        await listed(pilot)
        await pilot.press("h")
        await shows(pilot, "WHEN (JST)")
        await pilot.press("Z")
        await shows(pilot, "WHEN (UTC)")


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> object:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


def seldom_of(set_interval: Callable[..., Timer]) -> Callable[..., Timer]:
    """What is said again each second comes too late."""

    def seldom(screen: Screen[None], every_s: float, *more: Any, **named: Any) -> Timer:
        return set_interval(screen, 3600 if every_s == 1 else every_s, *more, **named)

    return seldom


async def test_a_list_without_rows_says_why_at_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server.client(), sproc("a.lua", "return 1"))
    async with TuiApp(Context("", server.url), refresh_s=3600).run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        monkeypatch.setattr(Screen, "set_interval", seldom_of(Screen.set_interval))
        await pilot.press("H")
        await shows(pilot, "Sprocs > Shards  none", "this is no cluster")


async def test_executions_say_at_once_that_none_could_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Screen, "set_interval", seldom_of(Screen.set_interval))
    monkeypatch.setattr(ExecutionsScreen, "start", lambda *_: None)
    async with unconnected().run_test(size=(80, 24)) as pilot:
        await pilot.press("x")
        await shows(pilot, "connecting", "Sprocs > Executions")
