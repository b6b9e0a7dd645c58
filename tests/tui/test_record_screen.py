"""Executions, one by one: filter and search, a record with all that is known, its export; stats; git against live."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input

from luasprocs.contract.keys import Keys
from luasprocs.operations.edit import edit_metadata
from luasprocs.registry.live import read_sprocs
from luasprocs.server.registry import Registry
from luasprocs.state.desired import SyncState, publish
from luasprocs.state.executions import Execution
from luasprocs_tui.app import TuiApp
from luasprocs_tui.backend.registry_backend import RegistryBackend
from luasprocs_tui.controller.previews import preview
from luasprocs_tui.controller.runs import run_words
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.settings import Context
from luasprocs_tui.values.filters import execution_matcher
from luasprocs_tui.values.schedules import next_times
from luasprocs_tui.widgets.dialog import Ask, Show
from luasprocs_tui.widgets.form import Form
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.test_sprocs_screen import listed, screen_of, text_of, until

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis
    from textual.pilot import Pilot

    from tests.servers import Server

KEYS = Keys()
RECORD = Execution("1-1", 1, "a.lua", "event", "order:1", "set", "1-0", 1, "error", 5, "", "ERR no card", "c", "d")


def app(server: Server) -> TuiApp:
    return TuiApp(Context("", server.url), refresh_s=0.2, poll_s=0.1)


def record(client: Redis, name: str, **fields: str) -> None:
    given: Any = {"sproc": name, "trigger": "event", "status": "ok", "key": "k", **fields}
    client.xadd(KEYS.executions, given)


def shown(pilot: Pilot[None]) -> list[str]:
    """The sprocs of the records in the table."""
    screen = pilot.app.screen
    assert isinstance(screen, ExecutionsScreen)
    return [one.sproc for one in screen._records]


@pytest.mark.parametrize(
    ("typed", "matches"),
    [
        ("", True),
        ("card", True),
        ("CARD order", True),
        ("card nothing", False),
        ("-s error", True),
        ("-s failed", True),
        ("-s ok", False),
        ("-t event", True),
        ("-t set -n a.", True),
        ("-n b", False),
        ("-n", True),
        ("~^order:\\d$", True),
        ("~[", True),
        ("~^card", False),
    ],
)
def test_what_matches(typed: str, matches: bool) -> None:
    assert execution_matcher(typed)(RECORD) == matches


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


async def test_a_record_shows_all_of_it_and_its_chain_and_is_exported(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    client = server.client()
    put(client, sproc("a.lua", "return KEYS[1]"))
    record(client, "first.lua", origin="7-0", depth="1")
    record(client, "other.lua", origin="8-0", depth="1")
    record(client, "a.lua", origin="7-0", depth="2", reply='{"answer": [42]}', key="order:1", commit="c0ffee")
    async with app(server).run_test(size=(100, 40), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExecutionsScreen) and len(shown(pilot)) == 3, "all")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RecordScreen), "the record")
        await until(pilot, lambda: '"answer": [' in screen_of(pilot), "the reply, indented")
        assert all(text in screen_of(pilot) for text in ("order:1", "c0ffee", "first.lua", "> ")), screen_of(pilot)
        assert "other.lua" not in screen_of(pilot)
        await pilot.press("w")
        await until(pilot, lambda: bool(exported(tmp_path)), "the file")
        assert exported(tmp_path)[0]["reply"] == '{"answer": [42]}'
        await pilot.press("w")
        await until(pilot, lambda: "File exists" in screen_of(pilot), "that nothing is written over")
        await pilot.press("R")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask), "the question")
        assert pilot.app.screen.query_one("#line-0", Input).value == "order:1"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Show) and "order:1" in screen_of(pilot), "the reply")


def exported(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("luasprocs-*.json")]


async def test_from_a_sproc_its_own_executions_stats_history_and_diff(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=x*\nreturn 1"), sproc("b.lua", "return 2"))
    record(client, "a.lua", key="mine")
    record(client, "b.lua", key="theirs")
    client.hset(KEYS.stats("a.lua"), mapping={"runs": 3, "le_50": 2, "le_inf": 1, "duration_us_max": 9_000_000})
    async with app(server).run_test(size=(120, 30)) as pilot:
        await listed(pilot)
        await pilot.press("g", "enter", "x")
        await until(pilot, lambda: "mine" in screen_of(pilot), "its executions")
        assert "theirs" not in screen_of(pilot)
        record(client, "b.lua", key="theirs")
        record(client, "a.lua", key="later")
        await until(pilot, lambda: "later" in screen_of(pilot), "what comes of it")
        assert "theirs" not in screen_of(pilot)
        await pilot.press("escape", "i")
        await until(pilot, lambda: "≤ 50us" in screen_of(pilot) and "longer" in screen_of(pilot), "the histogram")
        client.hincrby(KEYS.stats("a.lua"), "runs", 5)
        await until(pilot, lambda: "█ 5" in screen_of(pilot), "the bar of what ran")
        await pilot.press("escape", "h")
        await until(pilot, lambda: "History of a.lua" in screen_of(pilot), "its history")
        await pilot.press("enter")
        await until(pilot, lambda: "+-- key=x*" in screen_of(pilot), "what the generation changed")
        assert "return 2" not in screen_of(pilot)
        await pilot.press("escape", "escape", "v")
        await until(pilot, lambda: "as git has it" in screen_of(pilot), "no difference")
        base = read_sprocs(Registry(client, KEYS), ["a.lua"])[0]
        edit_metadata(Registry(client, KEYS), "a.lua", {"key": "y*"}, base=base.blob, by="Ann <ann@example.com>")
        await until(pilot, lambda: "+-- key=y*" in screen_of(pilot), "the live edit against git")
        assert "edited live by Ann" in screen_of(pilot)


async def test_what_waits_is_a_diff_for_all_and_for_each(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return 1"), sproc("b.lua", "return 2"))
    diffs = (
        "--- live/a.lua\n+++ git/a.lua\n@@ -1 +1 @@\n-return 1\n+return 'other'",
        "--- live/b.lua\n+++ /dev/null\n@@ -1 +0,0 @@\n-return 2",
        "--- /dev/null\n+++ git/c.lua\n@@ -0,0 +1 @@\n+return 'third'",
    )
    state = SyncState(
        commit="c0ffee" * 6, subject="Louder", state="suspended", reason="by ann: a freeze", updated=("a.lua",)
    )
    publish(Registry(client, KEYS), replace(state, created=("c.lua",), deleted=("b.lua",), diffs=diffs))
    async with app(server).run_test(size=(100, 40)) as pilot:
        await listed(pilot)
        await pilot.press("g", "colon", *"wanted", "enter")
        await until(pilot, lambda: "+return 'third'" in screen_of(pilot), "the whole plan")
        assert all(one in screen_of(pilot) for one in ("-return 1", "+return 'other'", "-return 2", "by ann: a freeze"))
        await pilot.press("escape", "enter", "v")
        await until(pilot, lambda: "git wants another source of it" in screen_of(pilot), "what waits of one")
        assert "+return 'other'" in screen_of(pilot)
        assert "return 2" not in screen_of(pilot)


async def test_stats_that_are_none_are_said(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return 1"))
    async with app(server).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("i")
        await until(pilot, lambda: "no run was recorded yet" in screen_of(pilot), "nothing")
        client.set(KEYS.stats("a.lua"), "no hash")
        await until(pilot, lambda: "is not a hash" in screen_of(pilot), "what is wrong")


async def test_a_value_says_what_it_would_do(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=x*\nreturn 1"))
    client.mset({f"nap:{number}": 1 for number in range(7)})
    async with app(server).run_test(size=(100, 40)) as pilot:
        await listed(pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
        pilot.app.screen.query_one("#value-key", Input).value = "nap:*"
        await until(pilot, lambda: "nap:* matches 7 keys now" in screen_of(pilot), "how many keys match")
        pilot.app.screen.query_one("#value-cron", Input).value = "0 0 1 1 *"
        await until(pilot, lambda: screen_of(pilot).count("-01-01 00:00:00") == 3, "the next three times")
        pilot.app.screen.query_one("#value-cron", Input).value = "0 0 1 1"
        await until(pilot, lambda: "cron:" in screen_of(pilot), "what is wrong")


def test_previews(server: Server) -> None:
    client = server.client()
    client.mset({f"k:{number}": 1 for number in range(100_000)})
    backend = RegistryBackend(server.url)
    assert "at least" in preview("key", {"key": "k:*"}, backend)
    assert preview("key", {"key": "nothing*, k:1"}, backend).startswith("nothing* matches ")
    assert preview("key", {"key": ""}, backend) == ""
    assert preview("cron", {"cron": "nonsense"}, backend) == ""
    assert next_times(("", "1h", ""), 1_790_000_000_000).count(",") == 2


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("a.lua", ("a.lua", [], [])),
        ("a.lua --key k 'x y' -1", ("a.lua", ["k"], ["x y", "-1"])),
        ("--key=k a.lua -- --key", ("a.lua", ["k"], ["--key"])),
    ],
)
def test_what_is_typed_behind_execute(typed: str, found: tuple[str, list[str], list[str]]) -> None:
    assert run_words(typed) == found


@pytest.mark.parametrize("typed", ["'a", "a.lua --key", "--key k"])
def test_what_makes_no_sense_behind_execute(typed: str) -> None:
    from luasprocs.errors import LuasprocsError

    with pytest.raises(LuasprocsError):
        run_words(typed)


async def test_execute_by_command(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return KEYS[1] .. ARGV[1]"))
    async with app(server).run_test(size=(100, 30)) as pilot:
        await listed(pilot)
        await pilot.press("colon", *"execute", "space", *"a.lua", "space", *"--key=k", "space", "v", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Show) and "kv" in screen_of(pilot), "the reply")
