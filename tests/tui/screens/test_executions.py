from __future__ import annotations

import asyncio
import os
import random
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from luasprocs.operations.contexts import Context
from luasprocs.server.registry import Registry
from luasprocs.state.executions import Execution
from luasprocs_tui.app import TuiApp
from luasprocs_tui.backend.execution_tail import ExecutionTail
from luasprocs_tui.screens.executions import ExecutionsScreen, badge_of
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.values.columns import Line
from luasprocs_tui.values.execution_lines import facts_of, line_of, said_of
from luasprocs_tui.values.freshness import Freshness
from luasprocs_tui.values.snapshots import RECORDS_LIMIT
from luasprocs_tui.widgets.table import Table
from tests.tui.pilot import (
    HOSTILE,
    KEYS,
    SOURCES,
    app,
    assert_harmless,
    listed,
    put_sources,
    record,
    screen_of,
    shown,
    text_of,
    until,
)

if TYPE_CHECKING:
    import redis
    from textual.pilot import Pilot

    from tests.conftest import OwnServer
    from tests.servers import Server

POLL_S = 0.05


async def test_a_filter_leaves_what_matches_and_what_comes_too(server: Server) -> None:
    client = server.client()
    for name in ("a.lua", "b.lua", "a.lua"):
        record(client, name)
    async with app(server).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExecutionsScreen) and len(shown(pilot)) == 3, "all")
        await pilot.press("slash", *"a.lua", "enter")
        await until(pilot, lambda: shown(pilot) == ["a.lua", "a.lua"], "the filter")
        record(client, "b.lua")
        record(client, "a.lua", key="new")
        await until(pilot, lambda: shown(pilot) == ["a.lua"] * 3, "what came")
        assert "3 of the last 5" in text_of(pilot, "#tail-facts")
        await pilot.press("escape")
        await until(pilot, lambda: len(shown(pilot)) == 5, "all again")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, ExecutionsScreen), "the list")


async def test_a_search_goes_from_match_to_match_and_leaves_the_others(server: Server) -> None:
    client = server.client()
    for name in ("a.lua", "b.lua", "c.lua", "b.lua", "d.lua"):
        record(client, name)
    async with app(server).run_test(size=(100, 24), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExecutionsScreen) and len(shown(pilot)) == 5, "all")
        table = pilot.app.screen.query_one("#executions", Table)
        await pilot.press("f", *"b.lua", "enter")
        await until(pilot, lambda: table.cursor == 1, "round to the first match")
        await pilot.press("n")
        await until(pilot, lambda: table.cursor == 3, "the next")
        await pilot.press("N")
        await until(pilot, lambda: table.cursor == 1, "the one before")
        assert len(shown(pilot)) == 5
        await pilot.press("colon", *"find", "space", *"nowhere", "enter")
        await until(pilot, lambda: "nothing here matches nowhere" in screen_of(pilot), "that there is none")
        assert table.cursor == 1


def app_for(server: Server) -> TuiApp:
    return TuiApp(Context("", server.url), refresh_s=0.5, poll_s=POLL_S)


def run(client: redis.Redis, name: str = "sc1.lua", key: str = "k") -> None:
    client.execute_command("FCALL", KEYS.function("run"), 1, key, name, "ann@host")


def add(client: redis.Redis, *names: str) -> None:
    """ExecutionTail by hand, one for each name."""
    pipe = client.pipeline(transaction=False)
    for name in names:
        pipe.xadd(KEYS.executions, {"sproc": name, "trigger": "event", "event": "set", "key": "k", "status": "ok"})
    pipe.execute()


def numbered(first: int, last: int) -> list[str]:
    return [f"n{number:05}.lua" for number in range(first, last + 1)]


def says(pilot: Pilot[None], new: str) -> bool:
    return new in text_of(pilot, "#tail-new")


def table_of(pilot: Pilot[None]) -> Table:
    return pilot.app.screen.query_one(Table)


def kept(pilot: Pilot[None]) -> list[str]:
    screen = pilot.app.screen
    assert isinstance(screen, ExecutionsScreen)
    return [one.sproc for one in screen._records]


async def opened(pilot: Pilot[None]) -> None:
    """At the executions, with what there is."""
    await listed(pilot)
    await pilot.press("x")
    await until(pilot, lambda: isinstance(pilot.app.screen, ExecutionsScreen), "the screen")
    await until(pilot, lambda: text_of(pilot, "#tail-badge").strip() in {"live", "scrolled up"}, "the first records")
    await pilot.pause()


async def seen(pilot: Pilot[None], name: str) -> None:
    await until(pilot, lambda: name in screen_of(pilot), name)


async def test_runs_appear_as_they_happen_and_escape_goes_back(server: Server, size: tuple[int, int]):
    client = server.client()
    put_sources(client, SOURCES)
    async with app_for(server).run_test(size=size) as pilot:
        await opened(pilot)
        assert "none recorded yet" in screen_of(pilot)
        run(client)
        await seen(pilot, "hello world")
        line = next(line for line in screen_of(pilot).splitlines() if "sc1.lua" in line)
        assert line.split()[1:4] == ["sc1.lua", "call", "ok"]
        assert "origin ann@host" in text_of(pilot, "#record")
        assert "1 execution" in text_of(pilot, "#tail-facts")
        assert all(len(line) <= size[0] for line in screen_of(pilot).splitlines())
        await pilot.press("escape")
        assert pilot.app.screen.query_one("#sprocs")


async def test_it_follows_at_the_end_and_counts_what_comes_when_scrolled_up(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    add(client, *numbered(1, 100))
    async with app_for(server).run_test() as pilot:
        await opened(pilot)
        await seen(pilot, "n00100.lua")
        assert text_of(pilot, "#tail-badge").strip() == "live"
        add(client, *numbered(101, 150))
        await seen(pilot, "n00150.lua")
        assert not pilot.app.screen.query_one("#tail-new").display
        await pilot.press("pageup")
        shown, selected = table_of(pilot).visible_keys, table_of(pilot).selected
        add(client, *numbered(151, 157))
        await until(pilot, lambda: "+7 new" in text_of(pilot, "#tail-new"), "the count")
        assert pilot.app.screen.query_one("#tail-new").display
        assert (table_of(pilot).visible_keys, table_of(pilot).selected) == (shown, selected)
        await pilot.press("G")
        await seen(pilot, "n00157.lua")
        assert not pilot.app.screen.query_one("#tail-new").display
        add(client, "last.lua")
        await seen(pilot, "last.lua")


async def test_a_search_goes_round_and_says_so(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    add(client, *numbered(1, 20))
    async with app_for(server).run_test(notifications=True) as pilot:
        await opened(pilot)
        await seen(pilot, "n00020.lua")
        await pilot.press("f", *"n0000", "enter")
        await until(pilot, lambda: "past the newest: on from the oldest" in screen_of(pilot), "that it went round")
        assert table_of(pilot).cursor == 0
        await pilot.press("n", "n")
        await until(pilot, lambda: table_of(pilot).cursor == 2, "the matches after it")
        await pilot.press("N", "N", "N")
        await until(pilot, lambda: "past the oldest: on from the newest" in screen_of(pilot), "the other way round")
        assert table_of(pilot).cursor == 8


async def test_the_mouse_wheel_stops_it_and_the_end_key_goes_on(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    add(client, *numbered(1, 100))
    async with app_for(server).run_test() as pilot:
        await opened(pilot)
        await seen(pilot, "n00100.lua")
        table_of(pilot).scroll_relative(y=-10, animate=False, immediate=True)
        add(client, "new.lua")
        await until(pilot, lambda: "+1 new" in text_of(pilot, "#tail-new"), "the count")
        assert "new.lua" not in screen_of(pilot)
        await pilot.press("end")
        await seen(pilot, "new.lua")
        assert not pilot.app.screen.query_one("#tail-new").display


async def test_it_goes_along_on_a_screen_that_shrinks_and_after_a_key_on_an_empty_one(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    async with app_for(server).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("up", "G")
        add(client, *numbered(1, 100))
        await seen(pilot, "n00100.lua")
        await pilot.resize_terminal(80, 14)
        await seen(pilot, "n00100.lua")
        add(client, "new.lua")
        await seen(pilot, "new.lua")


async def test_the_end_is_shown_before_the_next_layout(server: Server):
    async with app_for(server).run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        table, lines = table_of(pilot), [Line(str(at), (str(at),) * 7) for at in range(100)]
        table.show_tail([line.key for line in lines], lines.__getitem__, 0)
        assert table.visible_keys[-1] == "99"


async def test_no_more_than_the_limit_is_kept_and_what_is_shown_stays_in_place(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    add(client, *numbered(1, RECORDS_LIMIT + 500))
    async with app_for(server).run_test() as pilot:
        await opened(pilot)
        assert kept(pilot) == numbered(501, RECORDS_LIMIT + 500)
        assert "older ones are not shown" in text_of(pilot, "#tail-facts")
        await pilot.press("pageup", "pageup")
        shown, selected = table_of(pilot).visible_keys, table_of(pilot).selected
        first, last = RECORDS_LIMIT + 501, RECORDS_LIMIT + 6500
        for new in (3000, 6000):  # beside those that are shown there is no room for so many
            add(client, *numbered(first, RECORDS_LIMIT + 500 + new))
            first = RECORDS_LIMIT + 501 + new
            await until(pilot, partial(says, pilot, f"+{new} new"), "the count")
        assert (table_of(pilot).visible_keys, table_of(pilot).selected) == (shown, selected)
        await pilot.press("G")
        await seen(pilot, f"n{last}.lua")
        assert kept(pilot) == numbered(last - RECORDS_LIMIT + 1, last)


async def test_a_flood_leaves_the_newest(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    async with app_for(server).run_test() as pilot:
        await opened(pilot)
        for start in range(1, 20_001, 2000):
            add(client, *numbered(start, start + 1999))
        await until(pilot, lambda: kept(pilot)[-1:] == ["n20000.lua"], "the newest")
        assert kept(pilot) == numbered(20_001 - RECORDS_LIMIT, 20_000)
        await seen(pilot, "n20000.lua")


async def test_enter_opens_the_source_and_the_tail_goes_on_behind_it(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    run(client)
    async with app_for(server).run_test() as pilot:
        await opened(pilot)
        await pilot.press("enter")
        await seen(pilot, "hello world")
        await pilot.press("s")
        await seen(pilot, "local greeting")
        add(client, "later.lua")
        await pilot.press("escape", "escape")
        await seen(pilot, "later.lua")


async def test_without_a_server_it_says_how_old_the_data_is_and_goes_on_from_the_last(own_server: OwnServer):
    server = own_server(persistent=True)
    put_sources(server.client(), SOURCES)
    add(server.client(), "before.lua")
    async with app_for(server).run_test() as pilot:
        await opened(pilot)
        server.kill()
        await until(pilot, lambda: "connection lost, data" in text_of(pilot, "#tail-badge"), "the badge")
        await until(pilot, lambda: "nothing answers" in text_of(pilot, "#tail-facts"), "why")
        assert "before.lua" in screen_of(pilot)
        server.restart()
        add(server.client(), "after.lua")
        await seen(pilot, "after.lua")
        assert kept(pilot) == ["before.lua", "after.lua"]
        await until(pilot, lambda: text_of(pilot, "#tail-badge").strip() == "live", "the badge")


async def test_a_hung_server_keeps_nobody_from_quitting(own_server: OwnServer):
    server = own_server()
    put_sources(server.client(), SOURCES)
    try:
        async with app_for(server).run_test() as pilot:
            await opened(pilot)
            os.kill(server.pid, signal.SIGSTOP)
            await pilot.press("down", "q")
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 3)
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def test_a_key_that_is_no_stream_is_said_and_given_up_for_the_next_record(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    client.set(KEYS.executions, "x")
    async with app_for(server).run_test() as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExecutionsScreen), "the screen")
        await until(pilot, lambda: "is not a stream" in text_of(pilot, "#tail-facts"), "the reason")
        await pilot.press("enter", "up", "G")
        run(client)
        await seen(pilot, "hello world")


async def test_hostile_records_never_reach_the_terminal(server: Server, size: tuple[int, int]):
    client = server.client()
    dice = random.Random(20)
    pipe = client.pipeline(transaction=False)
    fields = (
        "sproc",
        "trigger",
        "key",
        "event",
        "origin",
        "depth",
        "status",
        "duration_us",
        "reply",
        "error",
        "daemon",
    )
    for text in HOSTILE:
        value = text.encode("utf-8", "surrogateescape")
        given: Any = {field: dice.choice([value, b"\x1b]0;x\x07", b"[/]", b"\xff\x9b"]) for field in fields}
        pipe.xadd(KEYS.executions, given | {"sproc": value})
    pipe.xadd(KEYS.executions, {"\x1b[2J": "\x1b[2J"}, id="18446744073709551614-0")
    pipe.execute()
    async with app_for(server).run_test(size=size) as pilot:
        await opened(pilot)
        assert len(kept(pilot)) == len(HOSTILE) + 1
        for _ in range(len(HOSTILE) + 1):
            assert_harmless(screen_of(pilot))
            await pilot.press("up")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecordScreen), "the record")
        assert_harmless(screen_of(pilot))
        await pilot.press("s")  # a sproc that is not there
        await until(pilot, lambda: "was deleted" in text_of(pilot, "#title"), "the message")
        assert_harmless(screen_of(pilot))


async def test_the_worker_ends_with_its_screen(server: Server):
    put_sources(server.client(), SOURCES)
    async with app_for(server).run_test() as pilot:
        for _ in range(3):
            await opened(pilot)
            await pilot.press("escape")
        await until(
            pilot, lambda: not [one for one in pilot.app.workers if one.group == "executions"], "the workers' end"
        )


def test_a_read_goes_on_behind_the_last(server: Server):
    client = server.client()
    registry = Registry(server.client(), KEYS)
    records = ExecutionTail(lambda: registry, server.url)
    add(client, "a", "b")
    first = records.read()
    assert ([one.sproc for one in first.records], first.whole) == (["a", "b"], True)
    add(client, "c")
    second = records.read()
    assert ([one.sproc for one in second.records], second.whole) == (["c"], False)
    assert records.read().records == ()


def test_a_record_as_a_line():
    one = Execution("5-0", 5, "a.lua", "event", "k", "set", "o", 2, "error", 41, "", "no", "c" * 40, "d")
    line = line_of(one)
    assert line.cells == ("00:00:00.005", "a.lua", "event set", "error", "0.041", "k", "no")
    assert (line.key, line.tone) == ("5-0", "bad")
    assert facts_of(one, 80) == "1970-01-01T00:00:00.005Z  origin o  depth 2  commit cccccccc  daemon d"
    assert facts_of(one, 64) == "1970-01-01T00:00:00.005Z  origin o  depth 2  commit cccccccc", "none is cut"


def test_a_reply_is_said_to_be_one() -> None:
    assert str(said_of(Execution("1-1", 1, "a.lua", "call", reply="0"), 80)).startswith("reply  0\n")
    assert str(said_of(Execution("1-1", 1, "a.lua", "call", error="boom"), 80)).startswith("boom\n")


def test_the_badge():
    assert badge_of(Freshness(None, ""), 0, follows=True) == ("connecting", "wait")
    assert badge_of(Freshness(None, "x"), 0, follows=True) == ("no connection", "bad")
    assert badge_of(Freshness(10, "x"), 15, follows=True) == ("connection lost, data 5s old", "bad")
    assert badge_of(Freshness(10, ""), 20, follows=True) == ("no answer, data 10s old", "bad")
    assert badge_of(Freshness(10, ""), 11, follows=True) == ("live", "good")
    assert badge_of(Freshness(10, ""), 11, follows=False) == ("scrolled up", "wait")
