from __future__ import annotations

import contextlib
import json
import random
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError
from luasprocs.language.sproc import Sproc
from luasprocs.operations.contexts import Context
from luasprocs.operations.edit import edit_metadata
from luasprocs.operations.pause import toggle_pause
from luasprocs.operations.run import run
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.server.registry import Registry
from luasprocs_tui.app import TuiApp
from luasprocs_tui.values.rows import Counters, Row
from luasprocs_tui.values.sproc_line import line_of
from luasprocs_tui.widgets.source import SourceView
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.pilot import (
    HOSTILE,
    KEYS,
    SOURCES,
    apply_sprocs,
    assert_harmless,
    listed,
    put_sources,
    screen_of,
    shows,
    text_of,
    unconnected,
    until,
)
from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.servers import Server


def hostile_sprocs(names: Iterable[str]) -> list[Sproc]:
    source = b"-- \x1b[31m [/red] \xff\xe2\x80\xae\nreturn 1\n"
    return [Sproc(name, source, "b" * 40, {"description": name, "cron": "[/x]\x1b[1m\x9b"}) for name in names]


@pytest.mark.wording
async def test_it_lists_each_sproc_with_trigger_state_and_counters(server: Server, size: tuple[int, int]):
    client = server.client()
    put_sources(client, SOURCES)
    client.hset(KEYS.stats("sc1.lua"), mapping={"calls": 12345, "runs": 7, "errors": 2})
    async with TuiApp(Context("", server.url)).run_test(size=size) as pilot:
        await listed(pilot)
        shown = screen_of(pilot)
        lines = {line.split()[0]: line for line in shown.splitlines() if line.startswith("  ") and ".lua" in line}
        assert pilot.app.screen.query_one(Table).visible_keys == tuple(sorted(SOURCES))
        if size[0] < 120:  # else panels have the room
            assert "set dream*" in lines["sc2.lua"]
            assert "cron */15 * * * * *" in lines["sc3.lua"]
            assert "library" in lines["utils.lua"]
        assert "disabled" in next(line for name, line in lines.items() if name.startswith("billing/"))
        assert text_of(pilot, "#badge").strip().startswith("NO DAEMON nothing runs: ")
        assert "main c0ffeec0" in shown
        assert "gen 1" in shown
        assert all(len(line) <= size[0] for line in shown.splitlines())


async def test_a_list_with_room_has_counts_too(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    client.hset(KEYS.stats("sc1.lua"), mapping={"calls": 12345, "runs": 7, "errors": 2})
    async with TuiApp(Context("", server.url)).run_test(size=(118, 24)) as pilot:
        await listed(pilot)
        line = next(line for line in screen_of(pilot).splitlines() if "sc1.lua" in line)
        assert [word for word in ("12.3k", "7", "2") if word in line.split()] == ["12.3k", "7", "2"]


async def test_the_filter_takes_words_of_every_column_and_escape_ends_it(server: Server):
    put_sources(server.client(), SOURCES)
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        await pilot.press("slash", *"DREAM", "space", *"sc")
        assert list(table.visible_keys) == ["sc2.lua"]
        await pilot.press("q")  # typed into the filter, not "quit"
        assert not table.visible_keys
        assert "nothing matches" in screen_of(pilot)
        await pilot.press("backspace", "enter")
        assert pilot.app.focused is table
        assert list(table.visible_keys) == ["sc2.lua"]
        await pilot.press("escape")
        assert len(table.visible_keys) == len(SOURCES)
        assert not pilot.app.screen.query_one(Input).display


async def test_filter_and_selection_survive_a_refresh_in_which_rows_come_and_go(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    async with TuiApp(Context("", server.url), refresh_s=0.05).run_test() as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        await pilot.press("slash", *"sc", "enter", "down")
        assert table.selected == "sc2.lua"
        put_sources(client, {**SOURCES, "sc0.lua": b"return 0\n"})
        await until(pilot, lambda: "sc0.lua" in table.visible_keys, "the new sproc")
        assert table.selected == "sc2.lua"
        assert "utils.lua" not in table.visible_keys


async def test_an_empty_registry_says_what_to_do(server: Server):
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert text_of(pilot, "#badge").strip() == "EMPTY"
        assert "luasprocs sync" in screen_of(pilot)
        await pilot.press("enter", "down", "G", "pagedown", "up")
        assert pilot.app.is_running


async def test_a_registry_edited_by_hand_shows_drift_and_the_name(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    client.hset(KEYS.name("sc1.lua"), "source", "return 'other'")
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert text_of(pilot, "#badge").strip().startswith("NO DAEMON")
        assert "also DRIFT (s)" in text_of(pilot, "#note")
        lines = screen_of(pilot).splitlines()
        at = next(at for at, line in enumerate(lines) if line.startswith("✎ sc1.lua"))
        assert "changed by hand" in lines[at + 1]


async def test_an_engine_that_is_gone_is_a_problem_and_the_list_still_shows(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    client.execute_command("FUNCTION", "FLUSH")
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert text_of(pilot, "#badge").strip().startswith("ENGINE DIFFERS the engine is ")
        assert "luasprocs sync loads the one it needs" in screen_of(pilot)
        assert pilot.app.screen.query_one(Table).visible_keys == tuple(SOURCES)


async def test_keys_of_the_wrong_type_are_shown_not_fatal(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    for key in (KEYS.stats("sc1.lua"), KEYS.name("sc2.lua"), KEYS.triggers):
        client.set(key, "wrong")
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert set(SOURCES) <= set(pilot.app.screen.query_one(Table).visible_keys)
        await pilot.press("exclamation_mark", "j")
        await until(pilot, lambda: "is not a hash" in screen_of(pilot), "what is wrong")


async def test_hostile_names_and_headers_never_reach_the_terminal(server: Server, size: tuple[int, int]):
    apply_sprocs(server.client(), hostile_sprocs(HOSTILE))
    async with TuiApp(Context("", server.url)).run_test(size=size) as pilot:
        await listed(pilot)
        assert len(pilot.app.screen.query_one(Table).visible_keys) == len(HOSTILE)
        for _ in HOSTILE:
            assert_harmless(screen_of(pilot))
            await pilot.press("enter")
            await until(pilot, lambda: "2 lines" in text_of(pilot, "#title"), "the source")
            assert_harmless(screen_of(pilot))
            await pilot.press("escape", "down")
        assert "[/foo].lua" in screen_of(pilot)


async def test_a_fuzzed_registry_never_crashes_the_screen(server: Server):
    dice = random.Random(20)
    alphabet = [
        *"ab[]/@=\\\"'",
        "\x1b",
        "\x9b",
        "\x00",
        "\u202e",
        "\u2028",
        "漢",
        "👩",
        "\u0301",
        "\udc80",
        "\U000e0001",
    ]
    names = {"".join(dice.choices(alphabet, k=dice.randint(1, 30))) for _ in range(150)}
    pipe = server.client().pipeline()
    for name in names:
        value = raw("".join(dice.choices(alphabet, k=200)))
        pipe.rpush(KEYS.list, raw(name))
        pipe.hset(raw(KEYS.name(name)), mapping=dict.fromkeys(("source", "event", "key", "cron", "description"), value))
        pipe.hset(raw(KEYS.stats(name)), mapping={"calls": value, "runs": b"9" * 40, "errors": b"-1"})
    pipe.hset(KEYS.revision, mapping=dict.fromkeys(("commit", "branch", "generation", "pinned"), b"\x1b[31m[/x]\xff"))
    pipe.execute()
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        for _ in range(8):
            assert_harmless(screen_of(pilot))
            await pilot.press("enter")
            await until(pilot, lambda: any(one.text for one in pilot.app.screen.query(SourceView)), "the source")
            assert_harmless(screen_of(pilot))
            await pilot.press("escape", "pagedown")


async def test_ten_thousand_names_scroll_and_filter(server: Server):
    pipe = server.client().pipeline()
    names = [f"n{number:05}.lua" for number in range(10_000)]
    pipe.rpush(KEYS.list, *names)
    for name in names:
        pipe.hset(KEYS.name(name), mapping={"source": "return 1", "description": f"the {name}"})
    pipe.execute()
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        await pilot.press("G")
        assert table.selected == "n09999.lua"
        assert "n09999.lua" in screen_of(pilot)
        await pilot.press("up", "slash", *"777", "enter", "g")
        assert table.selected == "n00777.lua"


async def test_a_namespace_has_its_own_list(server: Server):
    put_sources(server.client(), {"mine.lua": b"return 1\n"}, Keys("shop"))
    async with TuiApp(Context("", server.url, "shop")).run_test() as pilot:
        await listed(pilot)
        assert pilot.app.screen.query_one(Table).visible_keys == ("mine.lua",)


async def test_no_color_leaves_cursor_and_states_readable(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    put_sources(server.client(), SOURCES)
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert "disabled" in screen_of(pilot)
        strips = pilot.app.screen._compositor.render_strips()
        styles = [segment.style for strip in strips for segment in strip if segment.style]
        colours = [one.triplet for style in styles for one in (style.color, style.bgcolor) if one and one.triplet]
        assert colours
        assert all(red == green == blue for red, green, blue in colours)


async def test_sorted_by_each_column_and_the_other_way_round(server: Server):
    client = server.client()
    put_sources(client, dict.fromkeys(("b.lua", "c.lua", "a.lua"), b"return 1\n"))
    for name, errors in (("a.lua", 2), ("b.lua", 12), ("c.lua", 1)):
        client.hset(Keys().stats(name), "errors", errors)
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(118, 30)) as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        before = table.visible_keys
        await pilot.press("o")
        await shows(pilot, "Sort by", "what is in trouble first")
        await pilot.press("j", "enter")
        assert table.visible_keys == ("a.lua", "b.lua", "c.lua")
        assert "NAME↑" in screen_of(pilot)
        await pilot.press("O")
        assert table.visible_keys == ("c.lua", "b.lua", "a.lua")
        await pilot.press("o", *"jjjjjjjjj", "enter")
        assert table.visible_keys == ("b.lua", "a.lua", "c.lua")
        assert "ERROR↓" in screen_of(pilot)
        await pilot.press("o")
        await shows(pilot, "ERRORS ↓")
        await pilot.press("g", "enter")
        assert table.visible_keys == before


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
        failed: Any = {"runs": 9, "errors": 3, "last_status": "error", "failed_in_a_row": 3, "last_run": 9}
        client.hset(KEYS.stats("a/c.lua"), mapping=failed)
        await until(pilot, lambda: "● ▸ a/ (2)" in screen_of(pilot), "what a closed folder hides")
        client.delete(KEYS.stats("a/c.lua"))
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
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        app = pilot.app
        assert isinstance(app, TuiApp)
        assert app.state.snapshot is not None
        due_ms = {row.name: row.due_ms(time.time() * 1000) for row in app.state.snapshot.rows}["night.lua"]
        assert due_ms is not None
        assert due_ms % 86_400_000 == 66_600_000  # 18:30 UTC
        await until(pilot, lambda: any(f" {left}m " in screen_of(pilot) for left in range(60)), "the countdown")
        stopped = time.monotonic() + PATIENCE_S
        while time.monotonic() < stopped and "● busy.lua" not in screen_of(pilot):
            client.hincrby(KEYS.stats("busy.lua"), "runs", 50)
            client.hset(KEYS.stats("busy.lua"), mapping={"last_status": "error", "failed_in_a_row": 1})
            await pilot.pause(0.2)
        line = next(line for line in screen_of(pilot).splitlines() if line.startswith("● busy.lua"))
        assert any(word.isdigit() and 20 < int(word) < 1000 for word in line.split()), line


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
        await until(pilot, lambda: "edited, committed as decadede" in screen_of(pilot), "the commit's id")


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
        await until(pilot, lambda: "not a regular expression yet" in text_of(pilot, "#detail"), "what is wrong with it")


def test_one_that_fails_stands_out_whatever_else_it_is() -> None:
    failing = Counters(failing=True)
    for state, tone in (("ok", "bad"), ("paused", "bad"), ("edited", "bad"), ("disabled", "bad")):
        assert line_of(Row("a.lua", state=state, counters=failing), 0).tone == tone
    assert line_of(Row("a.lua", state="paused"), 0).tone == "off"


@pytest.mark.wording
async def test_trouble_comes_first_each_with_what_it_is_and_the_quiet_are_folded(server: Server) -> None:
    client = server.client()
    names = [*("dies.lua", "edited.lua", "fails.lua", "late.lua", "paused.lua", "slow.lua")]
    names += [*(f"quiet{number:02}.lua" for number in range(40))]
    put(client, *(sproc(name, "-- event=set\nreturn 1") for name in names))
    for number in range(3):
        job = json.dumps({"id": f"1-{number}", "sproc": "dies.lua", "args": ["x"]})
        client.xadd(KEYS.dead, {"job": job, "error": f"ERR dies.lua:7: no template {number}"})
    missed: Any = {"missed": 3, "last_missed": int(time.time() * 1000)}
    client.hset(KEYS.stats("late.lua"), mapping=missed)
    now_s = int(time.time())
    failed: Any = {"runs": 9, "errors": 3, "last_status": "error", "failed_in_a_row": 3, "last_run": now_s}
    client.hset(KEYS.stats("fails.lua"), mapping={**failed, "last_error": "ERR fails.lua:6: no such card"})
    slow: Any = {"runs": 3, "last_run": now_s, "le_200000": 3, "duration_us_max": 180_000}
    client.hset(KEYS.stats("slow.lua"), mapping=slow)
    toggle_pause(Registry(client, KEYS), ["paused.lua"], by="ann")
    base = read_sprocs(Registry(client, KEYS), ["edited.lua"])[0]
    edit_metadata(Registry(client, KEYS), "edited.lua", {"timeout": "2s"}, base=base.blob, by="Ann <ann@example.com>")
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        await until(pilot, lambda: "… 40 more are quiet (a)" in screen_of(pilot), "the fold")
        await until(pilot, lambda: "◐ slow.lua" in screen_of(pilot), "durations, which come once the list stands")
        lines = screen_of(pilot).splitlines()
        first = next(at for at, line in enumerate(lines) if line.startswith("  NAME")) + 1
        shown = [line.rstrip() for line in lines[first : first + 11]]
        assert shown[0].startswith("● fails.lua")
        assert shown[1] == "│ fails.lua:6: no such card"
        assert shown[2].startswith("✗ dies.lua")
        assert shown[3] == "│ 3 dead jobs: dies.lua:7: no template 2"
        assert shown[4].startswith("◔ late.lua")
        assert re.match(r"│ missed 3 scheduled times so far, the last noticed \d+s ago$", shown[5])
        assert shown[6].startswith("◐ slow.lua")
        assert re.match(r"│ slow: .*p99 \d+ms, for \d+s at least$", shown[7])
        assert shown[8].startswith("‖ paused.lua")
        assert re.search(r"paused \d+s by ann$", shown[8])
        assert shown[9].startswith("✎ edited.lua")
        assert re.match(r"│ edited live \d+s by Ann, not committed$", shown[10])
        assert "1 failing  1 slow  1 paused" in text_of(pilot, "#pulse")
        await pilot.press("j")
        assert table.selected == "dies.lua", "the line beneath is passed over"
        await pilot.press(*"jjj")
        await until(pilot, lambda: "p ∆Resume" in screen_of(pilot), "what p does to one that is paused")
        await pilot.press("G", "enter")
        await until(pilot, lambda: "quiet00.lua" in screen_of(pilot), "the quiet ones")
        await pilot.press("a")
        await until(pilot, lambda: "more are quiet" in screen_of(pilot), "the fold again")
        await pilot.press("slash", *"quiet3", "enter")
        assert len(table.visible_keys) == 10, "a filter looks at the quiet ones, too"


@pytest.mark.wording
async def test_panels_say_who_it_is_how_it_goes_and_its_source(server: Server) -> None:
    client = server.client()
    put(
        client,
        sproc("a.lua", "-- event=set\n-- owner=team-shop\n-- description=Charges\nlocal n = 1\nerror('boom')\n"),
        sproc("b.lua", "return 'b'\n"),
        author="Ann <ann@example.com>",
        subject="Charge twice",
    )
    with contextlib.suppress(LuasprocsError):
        run(Registry(client, KEYS), "a.lua", [b"order:17"], by="ann")
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(160, 45)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: "team-shop" in text_of(pilot, "#about"), "the header")
        assert re.search(r"since +gen 1, .*, by Ann: Charge twice", text_of(pilot, "#about"))
        await until(pilot, lambda: "order:17" in text_of(pilot, "#runs"), "the last runs")
        assert "a.lua:5: boom" in text_of(pilot, "#runs")
        assert "5> error('boom')" in screen_of(pilot).replace("5>  ", "5> "), "the line of the error is marked"
        await pilot.press("j")
        await until(pilot, lambda: "return 'b'" in screen_of(pilot), "the other's source")
        assert "never run yet" in text_of(pilot, "#runs")
        for said in ("runs on", "never run yet", "return 'b'"):
            await pilot.press("tab", "z")
            await until(
                pilot,
                lambda: (
                    said in screen_of(pilot)  # noqa: B023
                    and "NAME" not in screen_of(pilot)
                    and "z or esc gives the room back" in screen_of(pilot).splitlines()[-1]
                ),
                "one whole",
            )
            await pilot.press("z")
            await until(pilot, lambda: "NAME" in screen_of(pilot), "all again")
        await pilot.resize_terminal(80, 24)
        await until(
            pilot, lambda: "team-shop" not in screen_of(pilot) and "TRIGGER" in screen_of(pilot), "the list alone"
        )


@pytest.mark.wording
async def test_a_panel_says_of_what_is_only_called_that_no_record_is_kept_and_is_as_wide_as_it_can_be(
    server: Server,
) -> None:
    client, words = server.client(), "counts each order of the day " * 3
    put(client, sproc("a.lua", f"-- description={words}\nreturn 1\n"))
    client.hset(KEYS.stats("a.lua"), "calls", 3)  # as the engine has counted them
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(160, 45)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: "calls are not recorded" in text_of(pilot, "#runs"), "why there are no runs")
        assert "never run" not in screen_of(pilot)
        assert words.strip() not in text_of(pilot, "#about"), "it is folded"
        await pilot.press("tab", "z")
        await until(pilot, lambda: words.strip() in text_of(pilot, "#about"), "all of it in one line")


async def test_names_of_thirty_cells_are_whole_beside_the_panels(server: Server) -> None:
    name = f"billing/{'r' * 18}.lua"
    put(server.client(), sproc(name, "-- event=set\n-- key=order:*\nreturn 1"))
    async with TuiApp(Context("", server.url)).run_test(size=(160, 45)) as pilot:
        await listed(pilot)
        await shows(pilot, f"\n  {name}  set order:*")  # a row of the list


async def test_panels_without_a_sproc_say_what_stands_there_and_what_to_do(server: Server) -> None:
    put_sources(server.client(), SOURCES)
    async with TuiApp(Context("", server.url)).run_test(size=(140, 40)) as pilot:
        await listed(pilot)
        await pilot.press("T", "G", "k")
        await shows(
            pilot, "─ billing/ ─", "a folder: enter opens or closes it", "its source, with the line", "how often"
        )
        await pilot.press("slash", *"nothing")
        await shows(pilot, "No sproc is selected", "its source, with the line", "how often")
        assert screen_of(pilot).count("nothing matches the filter") == 2


async def test_panels_do_not_say_that_nothing_is_live_before_anything_was_read() -> None:
    async with unconnected().run_test(size=(140, 40)) as pilot:
        await shows(pilot, "No sproc is selected", "nothing was read so far")
        await until(pilot, lambda: screen_of(pilot).count("nothing answers at") == 2, "why, in the list, too")
        assert "no sproc is live" not in screen_of(pilot)
