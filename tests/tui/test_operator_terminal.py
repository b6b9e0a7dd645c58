"""In a real terminal, with keys only: who takes the server's time, what an event has caused, a failed run mended, an outage."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.codes import FindingCode
from luasprocs.errors import ScriptError
from luasprocs.operations.run import run
from luasprocs.server.registry import Registry
from luasprocs.state.acknowledged import parse_acknowledged
from tests.live import put, sproc
from tests.tui.pilot import KEYS
from tests.tui.terminal import Terminal
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import StartDaemon
    from tests.servers import Server

pytestmark = [pytest.mark.timeout(120), pytest.mark.wording]

BUSY = "local n = 0\nfor i = 1, 400000 do n = n + i % 7 end\nreturn n\n"
CHARGE = "if ARGV[1] == 'none' then error('no amount') end\nreturn redis.call('SET', 'charged', KEYS[1])\n"
MENDED = "return redis.call('SET', 'charged', KEYS[1] .. '!')"


def screen(server: Server, folder: Path, size: tuple[int, int], *environ: str) -> Terminal:
    command = ("env", *environ, sys.executable, "-m", "luasprocs_tui", "--redis", server.url)
    return Terminal(folder, *command, columns=size[0], rows=size[1])


def test_who_takes_the_servers_time(server: Server, tmp_path: Path, size: tuple[int, int]) -> None:
    client = server.client()
    put(client, sproc("busy.lua", BUSY), sproc("idle.lua", "return 1"))
    with screen(server, tmp_path, size) as terminal:
        terminal.shows("busy.lua", "idle.lua")

        def shares() -> list[float]:
            for name in ("busy.lua", "busy.lua", "busy.lua", "idle.lua"):
                run(Registry(client, KEYS), name, by="ann")
            shown = terminal.screen
            first = re.search(r"◐ busy\.lua.* ([\d.]+)%", shown)
            other = re.search(r"  idle\.lua.* ([\d.]+)%", shown)
            return [float(first[1]), float(other[1])] if first and other else []

        until(lambda: bool(found := shares()) and found[0] > 2 > found[1], what=lambda: terminal.screen)
        lines = [line[:80] for line in terminal.screen.splitlines()]  # without what the panels say
        assert [
            name for line in lines for name in ("busy", "idle") if f" {name}.lua" in line[:12] and line.count("%") == 1
        ] == ["busy", "idle"]


def test_what_an_event_has_caused(
    server: Server, start_daemon: StartDaemon, tmp_path: Path, size: tuple[int, int]
) -> None:
    client = server.client()
    put(
        client,
        sproc("order.lua", "-- event=set\n-- key=order:*\nreturn redis.call('SET', 'stock:9', 1)"),
        sproc("stock.lua", "-- event=set\n-- key=stock:*\nreturn redis.call('SET', 'buy:9', 1)"),
        sproc("buy.lua", "-- event=set\n-- key=buy:*\nerror('nobody sells it')"),
    )
    start_daemon(server.url)
    client.set("order:9", "new")
    with screen(server, tmp_path, size) as terminal:
        terminal.shows("FAILING buy.lua (F)")
        terminal.keys("F")
        terminal.shows("nobody sells it")
        terminal.keys("g", "Enter")
        terminal.shows("Execution", "nobody sells it")
        terminal.keys("G")
        shown = terminal.shows("cascade: 3 runs from one event", "buy.lua  error")
        tree = shown[shown.index("cascade") :]
        for said in (r"└ set order:9 → order\.lua  ok", r"> .*└ set buy:9 → buy\.lua  error .* \+\d+ ms"):
            assert re.search(said, tree), tree
        assert tree.index("stock:9 → stock.lua") < tree.index("buy:9 → buy.lua"), "it stands below what wrote its key"


def test_a_failed_run_is_mended_and_run_again(server: Server, tmp_path: Path, size: tuple[int, int]) -> None:
    client = server.client()
    put(client, sproc("charge.lua", CHARGE))
    client.set("order:7", "as it is")
    with contextlib.suppress(ScriptError):
        run(Registry(client, KEYS), "charge.lua", ["order:7"], ["none"], by="ann")
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\necho "{MENDED}" >"$1"\n')
    editor.chmod(0o755)
    with screen(server, tmp_path, size, f"PATH={tmp_path}:{os.environ['PATH']}", "EDITOR=editor") as terminal:
        terminal.shows("FAILING charge.lua (F)")
        terminal.keys("F")
        terminal.shows("no amount")
        terminal.keys("g", "Enter", "t")
        shown = terminal.shows("Replay of", "recorded", "● error", "the same source", "wrote charged  order:7")
        assert "with order:7 as it is now" in shown, "arguments are not recorded: this time there is an amount"
        assert not client.exists("charged"), "it was another server's"
        terminal.keys("E")
        terminal.shows("your draft", "wrote charged  order:7!")
        assert client.hget(KEYS.name("charge.lua"), "source") == CHARGE.encode(), "nothing is live before it is applied"
        terminal.keys("a")
        until(
            lambda: client.hget(KEYS.name("charge.lua"), "source") == f"{MENDED}\n".encode(),
            what=lambda: terminal.screen,
        )
        terminal.shows("edited live")
        terminal.keys("t")
        terminal.hides("your draft")
        terminal.shows("source of now", "wrote charged  order:7!")
        assert not client.exists("charged")


def test_an_outage_is_told_when_it_is_over(
    server: Server, start_daemon: StartDaemon, tmp_path: Path, size: tuple[int, int]
) -> None:
    client = server.client()
    put(
        client,
        sproc("again.lua", "-- event=set\n-- key=k:*\n-- catchup=scan\nreturn redis.call('INCR', 'again')"),
        sproc("once.lua", "-- event=set\n-- key=k:*\nreturn redis.call('INCR', 'once')"),
    )
    daemon = start_daemon(server.url)
    with screen(server, tmp_path, size) as terminal:
        terminal.shows("in sync", "1 daemon ")
        daemon.kill()
        client.set("k:1", "unheard")
        terminal.shows("NO DAEMON")
        daemon.start()
        terminal.shows("Back: no daemon lived for", "Events of 1 source were not seen", "again.lua")
        until(lambda: client.get("again") == b"1", what=lambda: terminal.screen)
        assert not client.exists("once")
        terminal.keys("Escape")
        terminal.hides("Back: no daemon")
        terminal.keys("U")
        terminal.shows("Outages  1", "again.lua ran for each key", "nothing catches up for once.lua", "A once you have")
        terminal.keys("A")
        terminal.shows("Take note of it?")
        terminal.keys("Tab", "Enter")
        until(lambda: parse_acknowledged(client.hgetall(KEYS.acknowledged))[FindingCode.GAP].until_ms > 0)
        terminal.shows("; acknowledged")
