from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError
from textual.widgets import Input

from luasprocs.operations.contexts import Context
from luasprocs.server.acl import rule
from luasprocs_tui.app import TuiApp
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.widgets.dialog import Ask, Show
from tests.live import put, sproc
from tests.tui.pilot import KEYS, app, listed, record, screen_of, shown, shows, until

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from tests.servers import Server


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


async def test_run_again_fills_in_what_that_run_had(server: Server, client: Redis) -> None:
    client.set("dream:1", "deep sleep")
    record(client, "a.lua", key="dream:1", event="set", origin="7-0")
    async with app(server).run_test(size=(100, 40)) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExecutionsScreen) and len(shown(pilot)) == 1, "it")
        await pilot.press("enter", "R")
        await shows(pilot, "Run a.lua", "dream:1", "'deep sleep' set string", "the value is that of now")
        await pilot.press("enter")
        await until(pilot, lambda: client.get("copied") == b"dream:1", "the run")
    client.execute_command("ACL", "SETUSER", "viewer", *rule("viewer", KEYS), ">pw")
    async with TuiApp(Context("", server.url.replace("://", "://viewer:pw@"))).run_test(size=(100, 40)) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExecutionsScreen) and len(shown(pilot)) > 0, "it")
        await pilot.press("g", "enter", "R")
        await shows(pilot, "Run a.lua", "dream:1", "which this user may not read")


async def test_an_error_in_a_callee_shows_the_line_of_the_callee(server: Server, client: Redis) -> None:
    put(
        client,
        sproc("callee.lua", "local a = 1\nerror('in callee')"),
        sproc("caller.lua", "local ok, said = pcall(sproc.call, 'callee.lua', {}, {})\n\nerror(said)"),
    )
    with pytest.raises(ResponseError):
        client.execute_command("FCALL", KEYS.function("run"), 0, "caller.lua", "me")
    async with app(server).run_test(size=(100, 30)) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await shows(pilot, "caller.lua")
        await pilot.press("enter")
        await shows(pilot, "callee.lua:2", "> 2  error('in callee')")
        await pilot.press("s")
        await shows(pilot, "2> error('in callee')")


def exported(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("luasprocs-*.json")]


async def test_a_failing_execution_opens_at_its_line(server: Server, client: Redis) -> None:
    source = "local a = 1\n" * 60 + "error('here')\n" + "local b = 2\n" * 60
    put(client, sproc("long.lua", source))
    with pytest.raises(ResponseError):
        client.execute_command("FCALL", KEYS.function("run"), 0, "long.lua", "me")
    async with app(server).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: "long.lua" in screen_of(pilot), "the record")
        await pilot.press("enter")
        await until(pilot, lambda: "> 61  error('here')" in screen_of(pilot), "the line in the record")
        await pilot.press("s")
        await until(pilot, lambda: "61> error('here')" in screen_of(pilot), "the marked line")


@pytest.mark.wording
async def test_a_failed_record_runs_again_on_a_throw_away_server(server: Server) -> None:
    client = server.client()
    source = "-- event=set\n-- key=k*\nif ARGV[1] == 'bad' then error('no') end\nredis.call('SET', 'x', 'y')\n"
    put(client, sproc("a.lua", source))
    client.set("k", "bad")
    record(client, "a.lua", event="set", status="error", error="ERR a.lua:3: no")
    async with app(server).run_test(size=(110, 30)) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: "a.lua:3: no" in screen_of(pilot), "the record")
        await pilot.press("enter", "t")
        await until(pilot, lambda: "the same source" in screen_of(pilot), "the replay")
        assert "with k as it is now" in screen_of(pilot)
        assert re.search(r"the same source +● error .*a\.lua:3: no", screen_of(pilot))
        client.set("k", "good")
        await pilot.press("t")
        await until(
            pilot, lambda: re.search(r"the same source +ok ", screen_of(pilot)) is not None, "that it is mended"
        )
        assert re.search(r"wrote x +y", screen_of(pilot))
        assert not client.exists("x")
