from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len
from textual.widgets import Input, Static

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.errors import SettingsError
from luasprocs.language.sproc import Sproc, git_blob_id, read_sproc
from luasprocs.registry.apply import apply
from luasprocs.registry.live import read_live
from luasprocs.registry.transaction import Change
from luasprocs.server.registry import Registry
from luasprocs_tui.app import TuiApp
from luasprocs_tui.backend.snapshot_reader import SnapshotReader
from luasprocs_tui.cli import run
from luasprocs_tui.settings import DEFAULT_URL, Context, default_url
from luasprocs_tui.values.filters import matcher
from luasprocs_tui.values.numbers import age, short_number
from luasprocs_tui.values.rows import Counters, Row, state_of, trigger_of
from luasprocs_tui.values.safe import REPLACEMENT, clean
from luasprocs_tui.widgets.source import lines_of
from luasprocs_tui.widgets.table import Column, Table, fit, widths
from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import redis
    from textual.pilot import Pilot

    from tests.conftest import OwnServer
    from tests.servers import Server

KEYS = Keys()
SOURCES = {
    "billing/charge.lua": b"-- description=Charge a card\n-- enabled=no\nreturn 1\n",
    "sc1.lua": b"-- description=Say hello\nlocal greeting = 'hello world'\nreturn greeting\n",
    "sc2.lua": b"-- event=set\n-- key=dream*\n-- description=Copies dreams\nreturn KEYS[1]\n",
    "sc3.lua": b"-- cron=*/15 * * * * *\nreturn ARGV[1]\n",
    "utils.lua": b"-- library=yes\nreturn {}\n",
}
HOSTILE = [
    "[/foo].lua",
    "[bold red]x[/] [@click=app.quit]y[/].lua",
    "esc\x1b[2J\x1b]0;title\x07.lua",
    "c1\x9b31m.lua",
    "bidi\u202egnp.lua",
    "zero\u200bwidth\ufeff.lua",
    "nul\x00 nl\n tab\t.lua",
    "wide 漢字 emoji 👩‍💻 .lua",
    b"latin\xe9\xff.lua".decode("utf-8", "surrogateescape"),
    "l" * 5000 + ".lua",
]
FORBIDDEN = {*map(chr, [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])}


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def put(client: redis.Redis, sources: dict[str, bytes], keys: Keys = KEYS) -> None:
    sprocs = [read_sproc(name, name, source, git_blob_id(source), "c0ffee" * 6) for name, source in sources.items()]
    apply_sprocs(client, sprocs, keys)


def apply_sprocs(client: redis.Redis, sprocs: Iterable[Sproc], keys: Keys = KEYS) -> None:
    found = tuple(sprocs)
    names = tuple(sorted(sproc.name for sproc in found))
    change = Change("c0ffee" * 6, "main", "repository", "Ann", "First", "ann@host", found, (), names)
    apply(Registry(client, keys), read_live(Registry(client, keys)), change)


def hostile_sprocs(names: Iterable[str]) -> list[Sproc]:
    source = b"-- \x1b[31m [/red] \xff\xe2\x80\xae\nreturn 1\n"
    return [Sproc(name, source, "b" * 40, {"description": name, "cron": "[/x]\x1b[1m\x9b"}) for name in names]


async def until(pilot: Pilot[None], true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        await pilot.pause()
        if true():
            return
        await asyncio.sleep(0.01)  # what is awaited comes from another process
    pytest.fail(f"never came: {what}\n{screen_of(pilot)}")


def screen_of(pilot: Pilot[None]) -> str:
    """What stands on the screen, line by line."""
    strips = pilot.app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


async def listed(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: app_of(pilot).state.snapshot is not None, "the first snapshot")
    await until(pilot, lambda: bool(pilot.app.screen.query(Table)), "the table")
    await pilot.pause()


def app_of(pilot: Pilot[None]) -> TuiApp:
    assert isinstance(pilot.app, TuiApp)
    return pilot.app


def text_of(pilot: Pilot[None], selector: str) -> str:
    return str(pilot.app.screen.query_one(selector, Static).content)


async def test_it_lists_each_sproc_with_trigger_state_and_counters(server: Server, size: tuple[int, int]):
    client = server.client()
    put(client, SOURCES)
    client.hset(KEYS.stats("sc1.lua"), mapping={"calls": 12345, "runs": 7, "errors": 2})
    async with TuiApp(Context("", server.url)).run_test(size=size) as pilot:
        await listed(pilot)
        shown = screen_of(pilot)
        lines = {line.split()[0]: line for line in reversed(shown.splitlines()) if ".lua" in line}
        assert pilot.app.screen.query_one(Table).visible_keys == tuple(sorted(SOURCES))
        assert "set dream*" in lines["sc2.lua"]
        assert "cron */15 * * * * *" in lines["sc3.lua"]
        assert "library" in lines["utils.lua"]
        assert "disabled" in lines["billing/charge.lua"]
        assert [word for word in ("12.3k", "7", "2") if word in lines["sc1.lua"].split()] == ["12.3k", "7", "2"]
        assert text_of(pilot, "#badge").strip() == "in sync"
        assert "main c0ffeec0" in shown
        assert "generation 1" in shown
        assert all(len(line) <= size[0] for line in shown.splitlines())


async def test_the_filter_takes_words_of_every_column_and_escape_ends_it(server: Server):
    put(server.client(), SOURCES)
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        await pilot.press("slash", *"DREAM", "space", *"sc")
        assert list(table.visible_keys) == ["sc2.lua"]
        await pilot.press("q")  # typed into the filter, not "quit"
        assert not table.visible_keys
        assert "nothing matches" in text_of(pilot, "#detail")
        await pilot.press("backspace", "enter")
        assert pilot.app.focused is table
        assert list(table.visible_keys) == ["sc2.lua"]
        await pilot.press("escape")
        assert len(table.visible_keys) == len(SOURCES)
        assert not pilot.app.screen.query_one(Input).display


async def test_filter_and_selection_survive_a_refresh_in_which_rows_come_and_go(server: Server):
    client = server.client()
    put(client, SOURCES)
    async with TuiApp(Context("", server.url), refresh_s=0.05).run_test() as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        await pilot.press("slash", *"sc", "enter", "down")
        assert table.selected == "sc2.lua"
        put(client, {**SOURCES, "sc0.lua": b"return 0\n"})
        await until(pilot, lambda: "sc0.lua" in table.visible_keys, "the new sproc")
        assert table.selected == "sc2.lua"
        assert "utils.lua" not in table.visible_keys


async def test_enter_opens_the_source_with_line_numbers_and_escape_goes_back(server: Server, size: tuple[int, int]):
    put(server.client(), SOURCES)
    async with TuiApp(Context("", server.url)).run_test(size=size) as pilot:
        await listed(pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "hello world" in screen_of(pilot), "the source")
        assert "2  local greeting = 'hello world'" in screen_of(pilot)
        assert "3 lines" in text_of(pilot, "#title")
        await pilot.press("escape")
        assert pilot.app.screen.query_one(Table).selected == "sc1.lua"


async def test_a_sproc_that_went_meanwhile_says_so(server: Server):
    client = server.client()
    put(client, SOURCES)
    async with TuiApp(Context("", server.url), refresh_s=60).run_test() as pilot:
        await listed(pilot)
        client.delete(KEYS.name("billing/charge.lua"))
        await pilot.press("enter")
        await until(pilot, lambda: "is gone" in text_of(pilot, "#title"), "the message")


async def test_an_empty_registry_says_what_to_do(server: Server):
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert text_of(pilot, "#badge").strip() == "empty"
        assert "luasprocs sync" in screen_of(pilot)
        await pilot.press("enter", "down", "G", "pagedown", "up")
        assert pilot.app.is_running


async def test_a_registry_edited_by_hand_shows_drift_and_the_name(server: Server):
    client = server.client()
    put(client, SOURCES)
    client.hset(KEYS.name("sc1.lua"), "source", "return 'other'")
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert text_of(pilot, "#badge").strip() == "drift 1"
        assert "edited by hand: sc1.lua" in screen_of(pilot)
        assert any("sc1.lua" in line and "drift" in line for line in screen_of(pilot).splitlines())


async def test_an_engine_that_is_gone_is_a_problem_and_the_list_still_shows(server: Server):
    client = server.client()
    put(client, SOURCES)
    client.execute_command("FUNCTION", "FLUSH")
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert text_of(pilot, "#badge").strip() == "problem"
        assert "the engine is not loaded" in screen_of(pilot)
        assert pilot.app.screen.query_one(Table).visible_keys == tuple(SOURCES)


async def test_keys_of_the_wrong_type_are_shown_not_fatal(server: Server):
    client = server.client()
    put(client, SOURCES)
    for key in (KEYS.stats("sc1.lua"), KEYS.name("sc2.lua"), KEYS.triggers):
        client.set(key, "wrong")
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert pilot.app.screen.query_one(Table).visible_keys == tuple(SOURCES)
        assert "is not a hash" in screen_of(pilot)


async def test_without_a_server_it_paints_says_so_and_comes_back_with_the_server(own_server: OwnServer):
    server = own_server(persistent=True)
    put(server.client(), SOURCES)
    async with TuiApp(Context("", server.url), refresh_s=0.05).run_test() as pilot:
        await listed(pilot)
        server.kill()
        await until(pilot, lambda: "connection lost, data" in text_of(pilot, "#badge"), "the badge")
        assert len(pilot.app.screen.query_one(Table).visible_keys) == len(SOURCES)
        await pilot.press("enter")
        await until(pilot, lambda: "nothing answers" in text_of(pilot, "#title"), "the reason")
        await pilot.press("escape")
        server.restart()
        await until(pilot, lambda: "connection lost" not in text_of(pilot, "#badge"), "the server again")


async def test_a_server_that_was_never_there_is_a_badge(unused_tcp_port: int):
    url = f"redis://ann:s3cret@127.0.0.1:{unused_tcp_port}/0"
    async with TuiApp(Context("", url)).run_test() as pilot:
        await until(pilot, lambda: "no connection" in text_of(pilot, "#badge"), "the badge")
        assert "nothing answers" in screen_of(pilot)
        assert "s3cret" not in screen_of(pilot)


async def test_a_hung_server_keeps_nobody_from_quitting(own_server: OwnServer):
    server = own_server()
    put(server.client(), SOURCES)
    try:
        async with TuiApp(Context("", server.url), refresh_s=0.01).run_test() as pilot:
            await listed(pilot)
            os.kill(server.pid, signal.SIGSTOP)
            await pilot.press("r", "down", "enter", "q")
        # What asyncio.run does at its end: it waits for every thread of a worker.
        await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 3)
    finally:
        os.kill(server.pid, signal.SIGCONT)


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


def assert_harmless(shown: str) -> None:
    found = FORBIDDEN & set(shown) - {"\n"}
    assert not found, f"{found} in {shown!r}"
    shown.encode()  # a lone surrogate would end the terminal's writer


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
            await until(pilot, lambda: "line" in text_of(pilot, "#title"), "the source")
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
    put(server.client(), {"mine.lua": b"return 1\n"}, Keys("shop"))
    async with TuiApp(Context("", server.url, "shop")).run_test() as pilot:
        await listed(pilot)
        assert pilot.app.screen.query_one(Table).visible_keys == ("mine.lua",)


async def test_no_color_leaves_cursor_and_states_readable(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    put(server.client(), SOURCES)
    async with TuiApp(Context("", server.url)).run_test() as pilot:
        await listed(pilot)
        assert "disabled" in screen_of(pilot)
        strips = pilot.app.screen._compositor.render_strips()
        styles = [segment.style for strip in strips for segment in strip if segment.style]
        colours = [one.triplet for style in styles for one in (style.color, style.bgcolor) if one and one.triplet]
        assert colours
        assert all(red == green == blue for red, green, blue in colours)


def test_a_small_registry_is_read_whole_once_and_then_glanced_at(server: Server):
    client = server.client()
    put(client, SOURCES)
    reader = SnapshotReader(Registry(client, KEYS))
    reader.read()
    reader._full_again_at_s = float("inf")
    client.hset(KEYS.stats("sc1.lua"), "calls", 5)
    rows = {row.name: row for row in reader.read(["sc1.lua"]).rows}
    assert rows["sc1.lua"].counters.calls == 5
    put(client, {**SOURCES, "new.lua": b"return 1\n"})
    assert "new.lua" in {row.name for row in reader.read(["sc1.lua"]).rows}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "call"),
        ({"event": "set,hset", "key": "a*"}, "set,hset a*"),
        ({"event": "*"}, "* *"),
        ({"cron": "@daily"}, "cron @daily"),
        ({"every": "15s", "runasync": "yes"}, "async every 15s"),
        ({"runasync": "yes"}, "async call"),
        ({"event": "set", "cron": "@daily"}, "set *, cron @daily"),
        ({"library": "yes", "event": "set"}, "library"),
    ],
)
def test_a_trigger_in_words(fields: dict[str, str], said: str):
    assert trigger_of(fields) == said


def test_drift_is_said_before_disabled():
    assert state_of({"enabled": "no"}, intact=False) == "drift"
    assert state_of({"enabled": "no"}, intact=True) == "disabled"
    assert state_of({}, intact=True) == "ok"


def test_every_character_that_moves_the_cursor_is_replaced():
    every = "".join(map(chr, range(0x110000)))
    cleaned = clean(every, len(every))
    assert not FORBIDDEN & set(cleaned)
    cleaned.encode()
    assert clean("a\x1b[31mb") == f"a{REPLACEMENT}[31mb"
    assert len(clean("x" * 10**6)) == 4096


@pytest.mark.parametrize(
    ("number", "said"),
    [(None, "·"), (0, "0"), (9999, "9999"), (12345, "12.3k"), (999_999, "999k"), (10**19, ">9999T")],
)
def test_numbers_fit_their_column(number: int | None, said: str):
    assert short_number(number) == said
    assert len(said) <= 6


def test_ages_as_people_say_them():
    assert [age(5.9), age(61), age(7300)] == ["5s", "1m", "2h"]


@pytest.mark.parametrize("text", ["漢字漢字", "abc", "", "👩‍💻" * 9, "e\u0301" * 9, "\x1b" * 9])
@pytest.mark.parametrize("width", range(1, 9))
def test_a_cell_is_exactly_as_wide_as_its_column(text: str, width: int):
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit(text, width, right=True)) == width


@pytest.mark.parametrize("room", range(1, 200))
def test_columns_fit_any_width_their_least_allows(room: int):
    columns = [Column("A", 5, 60), Column("B", 4, 30), Column("C", 10, 400, grow=True)]
    found = widths(columns, [90, 12, 300], room)
    assert sum(found) + 2 * (sum(map(bool, found)) - 1) <= max(room, 11)


def test_a_source_keeps_its_line_numbers_whatever_it_holds():
    for source, count in (
        (b"", 1),
        (b"\n\nreturn 1", 3),
        (b"a\r\nb\r\n", 2),
        (b"[[\n\n]]\n\n", 4),
        (b"\x0b\x0c\xff\n", 1),
    ):
        assert len(lines_of(source)) == count, source
    assert all(not FORBIDDEN & set(line.plain) for line in lines_of(bytes(range(256)) * 3))
    assert lines_of(b"x" * 10**6)[0].cell_len == 2000


def test_the_server_of_the_nearest_folder_is_shown(tmp_path: Path):
    (tmp_path / ".luasprocs").mkdir()
    (tmp_path / "a/b").mkdir(parents=True)
    file = tmp_path / ".luasprocs/server.toml"
    file.write_text('redis = "redis://127.0.0.1:7777/3"\n')
    assert default_url(tmp_path / "a/b") == "redis://127.0.0.1:7777/3"
    for broken in ("redis = 3\n", "no toml", "\xff"):
        file.write_bytes(broken.encode("latin-1"))
        with pytest.raises(SettingsError, match=r"server\.toml"):
            default_url(tmp_path)
    file.unlink()
    assert default_url(tmp_path / "a/b") == DEFAULT_URL


@pytest.mark.parametrize(
    "args",
    [
        ["--redis", "http://x"],
        ["--redis", "redis://u:s3cret@h:port"],
        ["--namespace", "a b"],
        ["--nonsense"],
        ["extra"],
    ],
)
def test_bad_arguments_end_with_2_and_one_line(args: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(args) == 2
    said = capsys.readouterr().err
    assert said.startswith("luasprocs-tui: ")
    assert said.count("\n") == 1
    assert "s3cret" not in said


def test_help_and_version_need_no_server(capsys: pytest.CaptureFixture[str]):
    assert run(["--help"]) == 0
    assert "LUASPROCS_REDIS" in capsys.readouterr().out


def test_in_a_pipe_it_says_what_to_use(capsys: pytest.CaptureFixture[str]):
    assert run([]) == 2
    assert "luasprocs list" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "matches"),
    [
        ("", True),
        ("bill card", True),
        ("bill nothing", False),
        ("~^bill.*lua$", True),
        ("~^charge", True),
        ("~[", True),
        ("~nothing$", False),
        ("-t dream", True),
        ("-t cron", False),
        ("-t", True),
        ("-s ok", True),
        ("-s paused", False),
        ("-s failing", True),
        ("card -s failing -t set", True),
    ],
)
def test_what_the_filter_finds(typed: str, matches: bool):
    row = Row("billing/charge.lua", "set dream*", "ok", "Charge a CARD", Counters(None, 3, 1))
    if typed == "~^charge":
        row = replace(row, name="charge.lua")
    assert matcher(typed)(row) == matches


async def test_sorted_by_each_column_and_the_other_way_round(server: Server):
    client = server.client()
    put(client, dict.fromkeys(("b.lua", "c.lua", "a.lua"), b"return 1\n"))
    for name, errors in (("a.lua", 2), ("b.lua", 12), ("c.lua", 1)):
        client.hset(Keys().stats(name), "errors", errors)
    async with TuiApp(Context("", server.url), refresh_s=0.2).run_test(size=(120, 30)) as pilot:
        await listed(pilot)
        table = pilot.app.screen.query_one(Table)
        before = table.visible_keys
        await pilot.press("o")
        assert table.visible_keys == ("a.lua", "b.lua", "c.lua")
        assert "NAME↑" in screen_of(pilot)
        await pilot.press("O")
        assert table.visible_keys == ("c.lua", "b.lua", "a.lua")
        await pilot.press(*"oooooo")
        assert table.visible_keys == ("b.lua", "a.lua", "c.lua")
        assert "ERRORS↓" in screen_of(pilot)
        await pilot.press(*"oooooo")
        assert table.visible_keys == before
