"""The screen: first paint against an empty Textual app, long lists, and keys while a real daemon runs 5,000 executions a second.

The first paint is that in a pty which this process reads; keys go through tmux, as over SSH, in its control mode: it says each
byte that the program wrote when it came. So each key is timed to the byte that shows its effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis

from bench.event_latency import percentile
from bench.events import BODY, daemons, live, write
from bench.pairs import Result, ratio
from bench.servers import running
from bench.terminals import COLUMNS, ROWS, Terminal, Tmux
from luasprocs.contract.keys import Keys
from luasprocs.operations.contexts import Context
from luasprocs.registry.revision import Revision
from luasprocs_tui import messages
from luasprocs_tui.app import TuiApp
from luasprocs_tui.screens.sprocs import SprocsScreen
from luasprocs_tui.values.rows import Row
from luasprocs_tui.values.snapshots import Snapshot
from luasprocs_tui.widgets.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS = 7
SPROCS = 200
KEYS_PRESSED = 400
ESCAPE_S = 0.3
"""Before a program takes an escape byte for the key, it waits for the rest of a sequence."""
SETTLES_S = 2
"""A screen that was just opened reads what there is already."""
PER_S = 5000
EXECUTIONS = 1_000_000
UNREACHABLE = "redis://127.0.0.1:1/0"
TUI = str(Path(sys.executable).with_name("luasprocs-tui"))


def _first_paint(*command: str) -> float:
    started = time.perf_counter()
    with Terminal(*command) as terminal:
        terminal.until(b"NAME")
        return (time.perf_counter() - started) * 1000


def first_paint() -> Iterator[Result]:
    """From the start of the process to the table's head, with nothing to connect to."""
    empty = str(Path(__file__).with_name("empty_app.py"))
    ours, bare = partial(_first_paint, TUI, "--redis", UNREACHABLE), partial(_first_paint, sys.executable, empty)
    yield ratio("first paint / empty Textual app (ms)", ours, bare, PAIRS, at_most=1.3)


async def _listed(count: int) -> float:
    """Milliseconds from a snapshot's arrival to the list on the screen."""
    rows = tuple(
        Row(f"team{at % 50}/{at:06}.lua", "set orders:*", schedule=("*/5 * * * *", "", "")) for at in range(count)
    )
    app = TuiApp(Context("", UNREACHABLE), refresh_s=3600)
    async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
        await pilot.pause(0.5)
        snapshot = Snapshot(Revision()._replace(generation=1), rows, time.monotonic(), (rows[-1].name, ""))
        started = time.perf_counter()
        app.post_message(messages.SnapshotRead(snapshot))
        table = app.screen.query_one(Table)
        assert isinstance(app.screen, SprocsScreen)
        while table.selected is None or not _drawn(app, rows[0].name):  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(0)
        return (time.perf_counter() - started) * 1000


def _drawn(app: TuiApp, text: str) -> bool:
    strips = app.screen._compositor.render_strips()[:6]  # noqa: SLF001  # what stands on the screen
    return any(text in segment.text for strip in strips for segment in strip)


def listed() -> Iterator[Result]:
    """Long lists, from the data's arrival."""
    for count, at_most in ((10_000, 300.0), (100_000, 1000.0)):
        times = [asyncio.run(_listed(count)) for _ in range(3)]
        pairs = tuple((one, at_most) for one in times)
        yield Result(f"{count} sprocs drawn (ms)", pairs, sorted(times)[1], at_most, at_least=False)


def _write(port: int) -> None:
    with Redis(port=port, protocol=2) as client:
        number, due = 0, time.monotonic()
        while True:
            pipe = client.pipeline(transaction=False)
            for _ in range(PER_S // 100):
                number += 1
                pipe.set(f"dream:{number % 1000}", number)
            pipe.execute()
            due += 0.01
            time.sleep(max(0.0, due - time.monotonic()))


@contextlib.contextmanager
def _load(port: int) -> Iterator[None]:
    """PER_S writes a second that each run a sproc, from a process of its own."""
    writer = multiprocessing.get_context("spawn").Process(target=_write, args=(port,), daemon=True)
    writer.start()
    try:
        yield
    finally:
        writer.kill()
        writer.join()


def _pressed(terminal: Terminal, key: bytes, shows: bytes) -> float:
    terminal.rests()
    started = time.perf_counter()
    terminal.type(key)
    return (terminal.until(shows) - started) * 1000


def keys_under_load() -> Iterator[Result]:
    """A key's effect in the list, and in the tail of executions, with a daemon at work; then the memory."""
    sources = [f"-- event=set\n-- key=dream:*\n{BODY}", *(f"return {at}" for at in range(SPROCS - 1))]
    with running("valkey") as server, Redis(port=server.port, protocol=2) as client:
        live(client, *sources)
        with daemons(server.port), Tmux(TUI, "--redis", server.url) as terminal:
            terminal.until(b"t0.lua")
            with _load(server.port):
                terminal.until(b"quiet")
                terminal.type(b"a")  # the others, too
                time.sleep(2)
                before = client.xinfo_stream(Keys().executions)["entries-added"]
                began = time.monotonic()
                names = sorted(f"t{at}.lua" for at in range(SPROCS))
                listed_ms = _walk(terminal, names)
                terminal.type(b"x")
                terminal.until(b"live")
                time.sleep(SETTLES_S)
                tail_ms = _tail(terminal)
                ran = client.xinfo_stream(Keys().executions)["entries-added"] - before
                rate = ran / (time.monotonic() - began)
            yield _p99(f"a key in the list at {rate:.0f} executions/s, p99 (ms)", listed_ms)
            yield _p99(f"a key in the executions at {rate:.0f}/s, p99 (ms)", tail_ms)
            terminal.type(b"G")
            write(server.port, EXECUTIONS, "set", "dream:__rand_int__", "v")
            time.sleep(2)
            memory = terminal.memory_mb
            yield Result("memory after a million executions (MB)", ((memory, 150),), memory, 150, at_least=False)
            os.kill(terminal.pid, signal.SIGTERM)


def _walk(terminal: Terminal, names: list[str]) -> list[float]:
    """`j` and `k` in turn, until the name of the row that they lead to is drawn."""
    ways = ((b"jk"[at : at + 1], names[1 - at].encode()) for at in (0, 1) * (KEYS_PRESSED // 2))
    return [_pressed(terminal, *way) for way in ways]


def _tail(terminal: Terminal) -> list[float]:
    """The line of the filter opens, which nothing else draws, and goes again."""
    found = []
    terminal.type(b"k" * 5)
    for _ in range(KEYS_PRESSED // 2):
        found.append(_pressed(terminal, b"/", b"~regex"))
        terminal.type(b"\x1b")
        time.sleep(ESCAPE_S)
    return found


def _p99(name: str, times: list[float]) -> Result:
    pairs = ((percentile(times, 0.5), percentile(times, 0.99)),)
    return Result(name, pairs, percentile(times, 0.99), 50.0, at_least=False)


def results() -> Iterator[Result]:
    yield from first_paint()
    yield from listed()
    yield from keys_under_load()
