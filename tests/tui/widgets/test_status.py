from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from textual.app import App

from luasprocs.contract.codes import FindingCode
from luasprocs.errors import LuasprocsError
from luasprocs.operations.contexts import Context
from luasprocs.operations.edit import edit_metadata
from luasprocs.operations.findings import Finding
from luasprocs.operations.run import run
from luasprocs.operations.snapshot import ShardFacts
from luasprocs.registry.live import read_sprocs
from luasprocs.registry.revision import Revision
from luasprocs.server.registry import Registry
from luasprocs.server.slots import SlotRange
from luasprocs.state.desired import SyncState, publish, suspend
from luasprocs_tui.app import TuiApp
from luasprocs_tui.values.header import shards_of
from luasprocs_tui.values.snapshots import Snapshot, State
from luasprocs_tui.widgets.status import Status
from tests.gitrepo import GitRepo
from tests.live import put, sproc
from tests.sync.service.service import Service, live
from tests.tui.pilot import KEYS, listed, screen_of, text_of, until

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult

    from tests.conftest import StartDaemon
    from tests.servers import Server

SLOW = "-- timeout=1m\nlocal until_s = os.time() + 30\nwhile os.time() < until_s do end\n"


async def test_the_badge_says_what_else_than_in_sync_it_is(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return 1"))
    async with TuiApp(Context("", server.url), refresh_s=0.1).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "in sync", "in sync")
        base = read_sprocs(Registry(client, KEYS), ["a.lua"])[0]
        edit_metadata(Registry(client, KEYS), "a.lua", {"timeout": "2s"}, base=base.blob, by="Ann <ann@example.com>")
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "UNSAVED EDIT a.lua (!)", "the edit")
        suspend(Registry(client, KEYS), "ann")
        await until(
            pilot,
            lambda: text_of(pilot, "#badge").strip().startswith("SUSPENDED syncs are suspended by ann "),
            "the suspension",
        )
        assert "also UNSAVED EDIT (!)" in text_of(pilot, "#note")
        assert "edited live" in screen_of(pilot)
        publish(Registry(client, KEYS), SyncState(commit="c2", state="refused", reason="a.lua:1: no", daemon="d"))
        await until(
            pilot, lambda: text_of(pilot, "#badge").strip() == "REFUSED a.lua:1: no (commit c2) (v)", "the refusal"
        )


class OneStatus(App[None]):
    def compose(self) -> ComposeResult:
        yield Status()


@pytest.mark.parametrize(("width", "end"), [(80, "  gen 7"), (120, "  gen 7  20h")])
async def test_the_age_is_shown_whole_or_not_at_all(width: int, end: str) -> None:
    applied = datetime.now(UTC) - timedelta(hours=20, minutes=5)
    revision = Revision()._replace(generation=7, commit="c0ffee" * 6, branch="main", applied_at=applied.isoformat())
    refused = Finding(
        FindingCode.REFUSED, "sprocs/shipping/cost.lua:5:17: 'then' expected near 'return'", "fix the commit"
    )
    now_s = time.monotonic()
    state = State("redis://127.0.0.1:7461/0", Snapshot(revision, (), now_s, findings=(refused,)), keys={"wanted": "v"})
    async with OneStatus().run_test(size=(width, 24)) as pilot:
        pilot.app.query_one(Status).show(state)
        assert text_of(pilot, "#facts").endswith(end)


@pytest.mark.wording
async def test_what_was_there_before_it_was_opened(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "error('boom')"))
    with contextlib.suppress(LuasprocsError):
        run(Registry(client, KEYS), "a.lua", by="ann")
    async with TuiApp(Context("", server.url), refresh_s=0.1).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "FAILING a.lua (F)", "the badge")
        assert "│ a.lua:1: boom" in screen_of(pilot)
        assert "1 failing" in text_of(pilot, "#pulse")
        put(client, sproc("a.lua", "error('boom')"), sproc("b.lua", "-- event=set\nreturn 1"))
        await until(
            pilot,
            lambda: text_of(pilot, "#badge").strip() == "NO DAEMON nothing runs: events (D)",
            "that nothing runs events",
        )


async def test_a_daemon_that_is_stopped_is_no_daemon_and_what_it_ran_is_stalled(
    server: Server, start_daemon: StartDaemon
) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=k:*\nreturn 1"), sproc("late.lua", "-- runasync=yes\n" + SLOW))
    stopped = start_daemon(server.url)
    run(Registry(client, KEYS), "late.lua", by="ann")
    async with TuiApp(Context("", server.url), refresh_s=0.1).run_test(size=(120, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: text_of(pilot, "#badge").strip() == "in sync", "in sync")
        await until(pilot, lambda: "1 daemon  ev 0/s" in text_of(pilot, "#pulse"), "the pulse of the living")
        await pilot.press("J")
        await until(pilot, lambda: "running" in screen_of(pilot), "the job")
        os.kill(stopped.pid, signal.SIGSTOP)
        await until(pilot, lambda: text_of(pilot, "#badge").strip().startswith("NO DAEMON"), "the badge")
        await until(pilot, lambda: "stalled" in screen_of(pilot), "what becomes of the job")
        assert "also DAEMON SILENT (D)" in text_of(pilot, "#note")
        pulse = text_of(pilot, "#pulse")
        assert re.match(r"0 daemons  1 silent \(\S+\)  ev ·/s", pulse), pulse
        assert "lag" not in pulse
        assert not {"in sync", "running"} & set(re.split(r"\s{2,}|\n", screen_of(pilot)))
        start_daemon(server.url)
        await until(
            pilot, lambda: text_of(pilot, "#badge").strip().startswith("DAEMON SILENT "), "the other one's badge"
        )
        assert text_of(pilot, "#pulse").startswith("1 daemon  1 silent")
        await until(pilot, lambda: "running" in screen_of(pilot), "the job on the other one")


async def test_a_commit_that_a_daemon_has_refused(server: Server, tmp_path: Path) -> None:
    repo, client = GitRepo(tmp_path / "shop"), server.client()
    repo.write("sprocs/a.lua", "return 1\n")
    first = repo.commit()
    with Service(server.url, repo.path):
        live(client, first)
        async with TuiApp(Context("", server.url), refresh_s=0.1).run_test(size=(120, 24)) as pilot:
            await until(pilot, lambda: text_of(pilot, "#badge").strip() == "in sync", "in sync")
            repo.write("sprocs/a.lua", "return return\n")
            repo.commit("broken")
            await until(
                pilot, lambda: text_of(pilot, "#badge").strip().startswith("REFUSED sprocs/a.lua:1:"), "the badge"
            )
            repo.write("sprocs/a.lua", "return 2\n")
            repo.commit("fixed")
            await until(pilot, lambda: text_of(pilot, "#badge").strip() == "in sync", "that it is mended")


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


async def test_a_server_that_was_never_there_is_a_badge(unused_tcp_port: int):
    url = f"redis://ann:s3cret@127.0.0.1:{unused_tcp_port}/0"
    async with TuiApp(Context("", url)).run_test() as pilot:
        await until(pilot, lambda: "no connection for 2s" in text_of(pilot, "#badge"), "the badge, and since when")
        assert "nothing answers" in screen_of(pilot)
        assert "s3cret" not in screen_of(pilot)


def test_a_shard_with_which_something_is_wrong_is_named_first() -> None:
    well = ShardFacts("luasprocs-1", "one:7001", (SlotRange(0, 9),), 7)
    away = ShardFacts("luasprocs-3", "three:7003", (SlotRange(20, 29),), problem="can't be reached", away=True)
    shards = (well, well._replace(address="two:7002"), away)
    snapshot = Snapshot(Revision(), (), 0.0, shards=shards)
    said = shards_of(State("", snapshot)).plain
    assert said.split() == [
        "shards",
        "three:7003",
        "away",
        "one:7001",
        "gen",
        "7",
        "two:7002",
        "gen",
        "7",
    ]
