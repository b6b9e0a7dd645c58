from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import LuasprocsError
from luasprocs.operations.edit import edit_metadata
from luasprocs.operations.run import run
from luasprocs.registry.live import read_sprocs
from luasprocs.server.registry import Registry
from luasprocs.state.desired import SyncState, publish, suspend
from luasprocs_tui.app import TuiApp
from luasprocs_tui.settings import Context
from tests.live import put, sproc
from tests.tui.pilot import KEYS, listed, screen_of, text_of, until

if TYPE_CHECKING:
    from tests.servers import Server


async def test_the_badge_says_what_else_than_in_sync_it_is(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return 1"))
    async with TuiApp(Context("", server.url), refresh_s=0.1).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "in sync", "in sync")
        base = read_sprocs(Registry(client, KEYS), ["a.lua"])[0]
        edit_metadata(Registry(client, KEYS), "a.lua", {"timeout": "2s"}, base=base.blob, by="Ann <ann@example.com>")
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "unsaved edit 1", "the edit")
        suspend(Registry(client, KEYS), "ann")
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "suspended", "the suspension")
        assert "syncs are suspended by ann since" in text_of(pilot, "#note")
        assert "unsaved edit: live edits that are not committed: a.lua by Ann" in text_of(pilot, "#note").replace(
            "\n", " "
        )
        publish(Registry(client, KEYS), SyncState(commit="c2", state="refused", reason="a.lua:1: no", daemon="d"))
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "refused", "the refusal")
        assert "a.lua:1: no" in text_of(pilot, "#note")


async def test_what_was_there_before_it_was_opened(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "error('boom')"))
    with contextlib.suppress(LuasprocsError):
        run(Registry(client, KEYS), "a.lua", by="ann")
    async with TuiApp(Context("", server.url), refresh_s=0.1).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "failing 1", "the badge")
        assert "a.lua:1: boom" in text_of(pilot, "#note")
        assert "failing" in screen_of(pilot)
        put(client, sproc("a.lua", "error('boom')"), sproc("b.lua", "-- event=set\nreturn 1"))
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "no daemon", "that nothing runs events")


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def test_a_server_that_was_never_there_is_a_badge(unused_tcp_port: int):
    url = f"redis://ann:s3cret@127.0.0.1:{unused_tcp_port}/0"
    async with TuiApp(Context("", url)).run_test() as pilot:
        await until(pilot, lambda: "no connection" in text_of(pilot, "#badge"), "the badge")
        assert "nothing answers" in screen_of(pilot)
        assert "s3cret" not in screen_of(pilot)
