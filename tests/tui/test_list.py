"""The list: folders, marks, rates and countdowns; and how often it asks Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.operations.edit import edit_metadata
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.server.registry import Registry
from luasprocs.state.desired import suspend
from luasprocs_tui.app import TuiApp
from luasprocs_tui.backend.rates import PulseCounter, StatsCounter
from luasprocs_tui.screens.sprocs import line_of
from luasprocs_tui.settings import Context
from luasprocs_tui.values.numbers import short_rate, short_us, spark
from luasprocs_tui.values.rows import Counters, Row
from luasprocs_tui.values.tree import tree
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.test_sprocs_screen import listed, screen_of, text_of, until
from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from tests.servers import Server

KEYS = Keys()


def test_a_tree() -> None:
    names = ["a/b/c.lua", "z.lua", "a/d.lua", "a/b/e.lua"]
    assert list(tree(names, ()).items()) == [
        ("z.lua", "z.lua"),
        ("a/", "▾ a/ (3)"),
        ("a/d.lua", "  d.lua"),
        ("a/b/", "  ▾ b/ (2)"),
        ("a/b/c.lua", "    c.lua"),
        ("a/b/e.lua", "    e.lua"),
    ]
    assert list(tree(names, {"a/b/"})) == ["z.lua", "a/", "a/d.lua", "a/b/"]
    assert tree(names, {"a/", "a/b/"}) == {"z.lua": "z.lua", "a/": "▸ a/ (3)"}
    assert tree([], ()) == {}


async def test_folders_open_and_close_and_are_marked_whole(server: Server) -> None:
    client = server.client()
    put(client, *(sproc(name, "-- event=set\nreturn 1") for name in ("a/b.lua", "a/c.lua", "z.lua")))
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(100, 24), notifications=True) as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        await pilot.press("T")
        await until(pilot, lambda: table.visible_keys == ("z.lua", "a/", "a/b.lua", "a/c.lua"), "the folders")
        await pilot.press("g", "j", "enter")
        await until(pilot, lambda: table.visible_keys == ("z.lua", "a/"), "a closed folder")
        await pilot.press("e", "R")  # of a folder there is nothing to edit or run
        await pilot.press("space")
        await until(pilot, lambda: "2 marked" in text_of(pilot, "#detail"), "the marks")
        await pilot.press("p")
        await until(pilot, lambda: client.smembers(KEYS.paused) == {b"a/b.lua", b"a/c.lua"}, "the pauses")
        await pilot.press("e")
        await until(pilot, lambda: "2 sprocs are marked" in screen_of(pilot), "why nothing is edited")
        await pilot.press("escape", "k", "p")
        await until(pilot, lambda: client.scard(KEYS.paused) == 3, "the third")
        await pilot.press("T")
        await until(pilot, lambda: table.visible_keys == ("a/b.lua", "a/c.lua", "z.lua"), "the flat list")


async def test_a_click_on_a_head_sorts(server: Server) -> None:
    put(server.client(), *(sproc(name, "return 1") for name in ("b.lua", "a.lua")))
    async with TuiApp(Context("", server.url)).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        await pilot.click(Table, offset=(2, 0))
        await until(pilot, lambda: "NAME↑" in screen_of(pilot) and table.visible_keys == ("a.lua", "b.lua"), "a to b")
        await pilot.click(Table, offset=(2, 0))
        await until(pilot, lambda: "NAME↓" in screen_of(pilot) and table.visible_keys == ("b.lua", "a.lua"), "b to a")


async def test_countdowns_and_rates_go_on(server: Server) -> None:
    client = server.client()
    night = sproc("night.lua", "-- cron=0 0 * * *\n-- timezone=Asia/Kolkata\nreturn 1")
    put(client, sproc("tick.lua", "-- every=1h\nreturn 1"), sproc("busy.lua", "return 1"), night)
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(160, 24)) as pilot:
        await listed(pilot)
        app = pilot.app
        assert isinstance(app, TuiApp)
        assert app.state.snapshot is not None
        due_ms = {row.name: row.due_ms(time.time() * 1000) for row in app.state.snapshot.rows}["night.lua"]
        assert due_ms is not None
        assert due_ms % 86_400_000 == 66_600_000  # 18:30 UTC
        await until(pilot, lambda: any(f" {left}m " in screen_of(pilot) for left in range(60)), "the countdown")
        stopped = time.monotonic() + PATIENCE_S
        while time.monotonic() < stopped and "failing" not in screen_of(pilot):
            client.hincrby(KEYS.stats("busy.lua"), "runs", 50)
            client.hincrby(KEYS.stats("busy.lua"), "errors", 1)
            await pilot.pause(0.2)
        line = next(line for line in screen_of(pilot).splitlines() if "busy.lua" in line)
        assert "failing" in line
        rate = line.split()[line.split().index("failing") + 1 :]
        assert any(word.isdigit() and 20 < int(word) < 1000 for word in rate), line


async def test_an_edit_says_as_which_commit_it_was_committed(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn 1"))
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        base = read_sprocs(Registry(client, KEYS), ["a.lua"])[0]
        edit_metadata(Registry(client, KEYS), "a.lua", {"timeout": "2s"}, base=base.blob, by="Ann <ann@example.com>")
        await until(pilot, lambda: "edited" in screen_of(pilot), "the edit")
        source = read_sprocs(Registry(client, KEYS), ["a.lua"])[0].source.decode()
        put(client, sproc("a.lua", source, commit="decade" * 6), commit="decade" * 6)
        live = read_live(Registry(client, KEYS))
        assert not live.sprocs["a.lua"].edit
        await until(pilot, lambda: "decadede" in screen_of(pilot).split("STATE")[1], "the commit's id")


async def test_redis_is_asked_twice_a_second_at_most_and_never_by_keys(server: Server) -> None:
    client = server.client()
    put(client, *(sproc(f"s{number:03}.lua", "return 1") for number in range(100)))
    async with TuiApp(Context("", server.url)).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        client.config_resetstat()
        started = time.monotonic()
        for _ in range(12):
            await pilot.press(*"jjk")
        await pilot.press("slash", *"s01", "escape", "o", "O", "T", "T")
        await pilot.pause(1)
        passed = time.monotonic() - started
        commands: Any = client.info("commandstats")
        looks = commands.get("cmdstat_smembers", {}).get("calls", 0)
        assert looks <= passed * 2 + 1, (looks, passed)


def test_the_next_time_of_a_schedule() -> None:
    assert Row("a", schedule=("", "15s", "")).due_ms(1_000_000_000_500) == 1_000_000_005_000
    assert Row("a", schedule=("0 0 * * *", "", "Europe/Berlin")).due_ms(1_790_000_000_000) == 1_790_028_000_000
    assert Row("a", schedule=("nonsense", "", "")).due_ms(1e12) is None
    assert Row("a", state="paused", schedule=("", "15s", "")).due_ms(1e12) is None
    assert Row("a").due_ms(1e12) is None


def test_the_pulse_counts_what_is_alive() -> None:
    counter = PulseCounter()
    beat = b'%d 7 {"read": %d, "runs": %d, "lag": 3}'
    beats = {b"a": beat % (1_000_000, 10, 5), b"dead": beat % (1, 0, 0)}
    first = counter.look((1000, 0), beats, 2, ResponseError("no such key"))
    assert first is not None
    assert (first.daemons, first.lag, first.gaps, first.per_s, first.recorded) == (1, 3, 2, (), 0)
    soon = counter.look((1000, 100_000), {b"a": beat % (1_000_100, 90, 5)}, 2, {"entries-added": 30})
    assert soon is not None
    assert (soon.per_s, soon.runs_per_s) == ((), None), "a rate of a tenth of a second says nothing"
    beats = {b"a": beat % (1_002_000, 110, 45), b"b": beat % (1_002_000, 7, 7)}
    second = counter.look((1002, 0), beats, Exception(), {"entries-added": 40})
    assert second is not None
    assert (second.daemons, second.gaps, second.per_s, second.runs_per_s) == (2, 0, (50.0,), 20.0)
    third = counter.look((1004, 0), beats, 0, Exception("NOPERM"))
    assert third is not None
    assert (third.per_s, third.runs_per_s) == ((50.0, 0.0), None)
    assert counter.look(Exception(), {}, 0, {}) is None


def test_what_is_counted_of_a_sproc(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = StatsCounter()
    assert counter.look("none", {}).runs is None
    first = counter.look("a", {b"runs": b"10", b"errors": b"1", b"le_50": b"10", b"duration_us_max": b"40"})
    assert (first.runs, first.calls, first.failing, first.per_s) == (10, None, False, None)
    assert first.p50_us == 25
    second = counter.look("a", {b"runs": b"20", b"errors": b"2"})  # its counts alone
    assert second.failing
    assert second.per_s is None
    monkeypatch.setattr("luasprocs_tui.backend.rates.LEAST_S", 0.0)
    time.sleep(0.01)
    third = counter.look("a", {b"runs": b"30", b"errors": b"2"})
    assert third.per_s is not None
    assert 10 < third.per_s < 2100
    counter.look("b", {})
    assert counter.look("b", {b"runs": b"1", b"errors": b"1"}).failing, "its first run failed"
    assert third.p50_us == 25


@pytest.mark.parametrize(
    ("us", "said"),
    [
        (None, "·"),
        (7, "7us"),
        (999, "999us"),
        (1500, "1.5ms"),
        (41_000, "41ms"),
        (7_000_000, "7s"),
        (130_000_000, "2m"),
    ],
)
def test_durations_fit_five_cells(us: int | None, said: str) -> None:
    assert short_us(us) == said


def test_rates_and_bars() -> None:
    assert [short_rate(one) for one in (None, 0.0, 0.5, 12.4, 34_567.0)] == ["·", "0", "0.5", "12", "34.5k"]
    assert spark((0.0, 4.0, 8.0), 5) == "  ▁▅█"
    assert spark((0.0, 0.0), 2) == "▁▁"
    assert spark((), 3) == "   "


async def test_marks_that_a_filter_hides_are_left_alone_and_said(server: Server) -> None:
    client = server.client()
    put(client, *(sproc(name, "-- event=set\nreturn 1") for name in ("a.lua", "b.lua", "slow.lua")))
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(100, 24), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("g", "space", "slash", *"slow", "enter")
        await until(pilot, lambda: "1 marked, 1 of them hidden" in text_of(pilot, "#detail"), "what is hidden")
        await pilot.press("p")
        await until(pilot, lambda: client.smembers(KEYS.paused) == {b"slow.lua"}, "the pause of what is seen")
        await pilot.press("slash", "space", *"~[", "enter")
        await until(pilot, lambda: "no regular expression yet" in text_of(pilot, "#detail"), "what is wrong with it")


async def test_a_command_with_words_that_it_does_not_take_does_nothing(server: Server) -> None:
    client = server.client()
    put(client, *(sproc(name, "-- event=set\nreturn 1") for name in ("a.lua", "b.lua")))
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(100, 24), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("colon", *"pause", "space", *"b.lua", "enter")
        await until(pilot, lambda: "pause takes nothing behind it" in screen_of(pilot), "the refusal")
        await pilot.press("colon", *"retry", "enter")
        await until(pilot, lambda: "retry is not for this screen" in screen_of(pilot), "the other refusal")
        assert not client.exists(KEYS.paused)


def test_one_that_fails_stands_out_whatever_else_it_is() -> None:
    failing = Counters(failing=True)
    for state, tone in (("ok", "bad"), ("paused", "bad"), ("edited", "bad"), ("disabled", "bad")):
        assert line_of(Row("a.lua", state=state, counters=failing), 0).tone == tone
    assert line_of(Row("a.lua", state="paused"), 0).tone == "off"


async def test_the_badge_says_what_else_than_in_sync_it_is(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn 1"))
    async with TuiApp(Context("", server.url), refresh_s=0.1).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "in sync", "in sync")
        base = read_sprocs(Registry(client, KEYS), ["a.lua"])[0]
        edit_metadata(Registry(client, KEYS), "a.lua", {"timeout": "2s"}, base=base.blob, by="Ann <ann@example.com>")
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "edited 1", "the edit")
        suspend(Registry(client, KEYS), "ann")
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "suspended", "the suspension")


async def test_an_open_source_follows_what_is_live(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn 'old'"))
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "return 'old'" in screen_of(pilot), "the source")
        put(client, sproc("a.lua", "-- event=set\nreturn 'new'"))
        await until(pilot, lambda: "return 'new'" in screen_of(pilot), "the new one")
        await pilot.press("p")
        await until(pilot, lambda: "paused" in text_of(pilot, "#title"), "the state")
        put(client, sproc("b.lua", "return 1"))
        await until(pilot, lambda: "is gone" in text_of(pilot, "#title"), "that it is gone")
