"""Makes the pictures of the README and of docs/ from real runs: `python docs/pictures.py`.

A picture is written only if it shows what it is there to show. Needs redis-cli.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import io
import os
import re
import signal
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis
from rich.console import Console
from rich.text import Text

from luasprocs.contract.keys import Keys
from luasprocs.errors import ScriptError
from luasprocs.language.sproc import read_sproc
from luasprocs.operations.contexts import Context
from luasprocs.operations.put import DIRECTLY, put
from luasprocs.operations.run import run
from luasprocs.server.embedded import EmbeddedServer
from luasprocs.server.embedded_cluster import EmbeddedCluster
from luasprocs.server.fleet import open_registry
from luasprocs.server.registry import Registry
from luasprocs_tui.app import TuiApp
from sync.demo_traffic import moving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.pilot import Pilot

HERE = Path(__file__).parent
COLUMNS, LINES = 110, 30
PATIENCE_S = 60
SHOWN = {
    "terminal": ("$ luasprocs sync", "+ order.lua", "42", "~ order.lua", "ERR order.lua:4:", "rolled back"),
    "screen": ("FAILING orders/check.lua", "(F)", "ERR/S", "● ", "is odd", "orders/count.lua"),
    "executions": ("orders/check.lua", "error", "ok"),
    "shards": ("SHARD DIFFERS", "(H)", "away", "can't be reached", "orders/count.lua", "carts/total.lua"),
    "panels": ("P99", "Runs", "Source", "runs/s", "took", "since", "is odd"),
    "replay": ("Replay of", "recorded", "the same source", "as it is now", "is odd"),
    "ribbon": (
        "Since when: orders/charge.lua",
        "errors began",
        "after gen 3 by Ann: Charge each order once",
        "3! Ann",
        "└2 Bob",
    ),
    "tour": (
        "luasprocs-tui: what is wrong comes first",
        "F: what failed, as it comes",
        "enter: a run that failed, with the line of its error",
        "t: the same run on a throw-away server",
        "W: since when, and by which commit",
        *("FAILING orders/check.lua", "ERR/S", "> 6", "Replay of", "as it is now", "Since when: orders/check.lua"),
    ),
    "cascade": ("cascade: 3 runs from one event", "orders/new.lua", "stock/reserve.lua", "set buy:7 →", "nobody sells"),
    "outage": ("Back: no daemon lived for", "were not seen", "stock/reserve.lua catches up by", "ERR/S", "(esc)"),
    "record": ("status  error", "> 6", "ERR orders/check.lua:6: order", "is odd"),
}
"""What each picture must show; tests/test_pictures.py looks for it in the files."""

ORDER = "-- Doubles each order.\n-- event=set\n-- key=order:*\nredis.call('SET', 'double', ARGV[1] * 2)\n"
SLIP = ORDER.replace("ARGV[1]", "ARGV.amount")
STEPS = (
    "cat sprocs/order.lua",
    "luasprocs sync",
    "luasprocs daemon --no-sync &",
    "redis-cli SET order:1 21",
    "redis-cli GET double",
    "git commit -qam 'A slip' && luasprocs sync",
    "redis-cli SET order:2 21",
    "luasprocs logs",
    "luasprocs rollback",
    "redis-cli SET order:3 50",
    "redis-cli GET double",
)
FRAME_S = 4.0
"""How long each picture of the tour stays."""
TYPING_S, READING_S, END_S = 0.8, 0.3, 6.0
"""From a command to its output, from there to the next command for each line of it, and for the whole at the end."""


def text_of(svg: str) -> str:
    """The text that a picture shows, without its markup."""
    shown = " ".join(re.findall(r"<text[^>]*>(.*?)</text>", svg, re.DOTALL))
    return html.unescape(shown).replace("\xa0", " ")


def write(name: str, svg: str) -> None:
    """Writes a picture that shows what it must."""
    missing = [text for text in SHOWN[name] if text not in text_of(svg)]
    if missing:
        sys.exit(f"{name}.svg does not show {missing}:\n{text_of(svg)}")
    (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")


def terminal(folder: Path, server: EmbeddedServer) -> None:
    """A sync, an event, a slip whose run fails, a rollback, as a terminal shows them."""
    order = folder / "sprocs" / "order.lua"
    order.parent.mkdir()
    order.write_text(ORDER, encoding="utf-8")
    (folder / "redis-cli").write_text(f'#!/bin/sh\nPATH="$OWN_PATH" exec redis-cli -p {server.port} "$@"\n')
    (folder / "redis-cli").chmod(0o755)
    own = os.environ["PATH"]
    environ = {**os.environ, "LUASPROCS_REDIS": server.url, "FORCE_COLOR": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    environ |= {"OWN_PATH": own, "PATH": f"{folder}:{Path(sys.executable).parent}:{own}"}

    def run(line: str) -> str:
        """As at a terminal of this width: what is printed then, is printed here."""
        ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (LINES, COLUMNS))
        with subprocess.Popen(["sh", "-c", line], cwd=folder, env=environ, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            printed = b""
            with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as output:  # its end is an error
                while chunk := output.read(65536):
                    printed += chunk
        if process.returncode:
            sys.exit(f"{line}: {printed.decode()}")
        return printed.decode().replace("\r\n", "\n")

    run("git init -q -b main && git config user.name Demo && git config user.email demo@example.invalid")
    run("git add sprocs && git commit -qm 'Double each order'")
    shown = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    starts_s: list[float] = []  # when each line appears
    now_s = 0.0
    with contextlib.ExitStack() as until_the_end:
        for line in STEPS:
            shown.print(Text("$ " + line, style="bold"))
            starts_s.append(now_s)
            if "A slip" in line:
                order.write_text(SLIP, encoding="utf-8")
            if line.endswith("&"):
                until_the_end.enter_context(daemon(folder, environ))
            else:
                shown.print(Text.from_ansi(run(line).rstrip("\n")))
            if any(word in line for word in ("&", "SET")):
                run("luasprocs wait")  # till the daemon listens, and till the event has run
            now_s += TYPING_S
            lines = len(shown.export_text(clear=False).splitlines()) - len(starts_s)
            starts_s += [now_s] * lines
            now_s += READING_S * (1 + lines)
    svg = shown.export_svg(title="luasprocs", unique_id="terminal")
    write("terminal", animated(svg, starts_s, now_s + END_S))


@contextlib.contextmanager
def daemon(folder: Path, environ: dict[str, str]) -> Iterator[None]:
    """One that runs sprocs; it is connected, so that a step can wait for it."""
    with (folder / "daemon.log").open("w+b") as log:
        command = [sys.executable, "-m", "sync.cli", "daemon", "--no-sync"]
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while b"connected" not in (folder / "daemon.log").read_bytes():
                if time.monotonic() > deadline:
                    sys.exit("the daemon does not connect")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()


def animated(svg: str, starts_s: list[float], length_s: float) -> str:
    """Lets each line of the terminal appear at its time, again and again. Nothing moves for people who have switched that off."""
    rules = []
    for number, start_s in enumerate(starts_s):
        percent = 100 * start_s / length_s
        hidden = f"0% {{ opacity: 0 }} {percent:.2f}% {{ opacity: 1 }}" if percent else "0% { opacity: 1 }"
        rules.append(f"@keyframes line-{number} {{ {hidden} 100% {{ opacity: 1 }} }}")
        rules.append(
            f'[clip-path$="-line-{number})"] {{ animation: line-{number} {length_s:.1f}s infinite; '
            "animation-timing-function: step-end }"
        )
    style = "\n    ".join(rules)
    return svg.replace(
        "</style>", f"@media (prefers-reduced-motion: no-preference) {{\n    {style}\n    }}\n    </style>", 1
    )


def in_turn(frames: list[tuple[str, str]]) -> str:
    """Pictures of one size, each for some seconds below a line that says what it is, again and again; the first alone for people
    who have switched motion off.
    """
    width, height = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', frames[0][1])[0])
    rules, shown = [], []
    for at, (said, svg) in enumerate(frames):
        begins, ends = 100 * at / len(frames), 100 * (at + 1) / len(frames)
        seen = (
            ("visible", "hidden")[bool(at)],
            f"{begins:.2f}% {{ visibility: visible }}",
            f"{ends:.2f}% {{ visibility: hidden }}",
        )
        rules.append(
            f"@keyframes frame-{at} {{ 0% {{ visibility: {seen[0]} }} {seen[1]} {seen[2]} 100% {{ visibility: hidden }} }}"
        )
        rules.append(
            f".frame-{at} {{ visibility: {seen[0]}; animation: frame-{at} {FRAME_S * len(frames):.0f}s infinite step-end }}"
        )
        nested = svg.replace("<svg ", f'<svg y="40" width="{width:.0f}" height="{height:.0f}" ', 1)
        title = f'<text class="said" x="{width / 2:.0f}" y="27" text-anchor="middle">{html.escape(said)}</text>'
        shown.append(f'<g class="frame-{at}">{title}{nested}</g>')
    rules.append("@media (prefers-reduced-motion: reduce) { g { animation: none !important } }")
    style = "\n".join((".said { font: bold 20px sans-serif; fill: #808080 }", *rules))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height + 40:.0f}">'
    return "\n".join((head, f"<style>\n{style}\n</style>", *shown, "</svg>\n"))


async def tour(url: str) -> None:
    """From what is wrong to since when, by keys, as somebody goes who is called at night."""
    frames: list[tuple[str, str]] = []
    async with TuiApp(Context("", url), poll_s=0.1).run_test(size=(COLUMNS, LINES)) as pilot:
        for keys, said, shows in (
            ((), "luasprocs-tui: what is wrong comes first", ("FAILING orders/check.lua", "ERR/S", "is odd")),
            (("F",), "F: what failed, as it comes", ("orders/check.lua", "error", "is odd")),
            (("k", "enter"), "enter: a run that failed, with the line of its error", ("status  error", "> 6")),
            (("t",), "t: the same run on a throw-away server", ("the same source", "as it is now")),
            (("escape", "W"), "W: since when, and by which commit", ("Since when: orders/check.lua", "◆")),
        ):
            await pilot.press(*keys)
            frames.append((said, await taken(pilot, shows)))
    write("tour", in_turn(frames))


async def screens(url: str) -> None:
    """The list of sprocs, the executions, and one that failed."""
    await tour(url)
    app = TuiApp(Context("", url), poll_s=0.1)
    async with app.run_test(size=(COLUMNS, LINES)) as pilot:
        await picture(pilot, "screen")
        await pilot.press("x")
        await picture(pilot, "executions")
        await pilot.press("slash", *"-s failed", "enter")
        await pilot.pause(1)
        await pilot.press("k", "enter")
        await picture(pilot, "record")
        await pilot.press("t")
        await picture(pilot, "replay")
    app = TuiApp(Context("", url), poll_s=0.1)
    async with app.run_test(size=(160, 40)) as pilot:
        await picture(pilot, "panels")


async def ribbon(server: EmbeddedServer) -> None:
    """A sproc that fails since a commit of some minutes ago. What ran before is written as by the engine: that takes no hour."""
    with Redis.from_url(server.url, protocol=2) as client:
        client.flushall()
        client.function_flush("SYNC")
        registry, keys = Registry(client, Keys()), Keys()
        now_s: int = client.time()[0]
        failing = [(6 - ago, 14 + ago % 5, 3 + ago) for ago in range(6)]
        ran = [(ago, 20 + ago * 37 % 23, 0) for ago in range(59, 6, -1)] + failing
        for ago, runs, errors in ran:
            minute = now_s // 60 - ago
            key, field = keys.minutes("orders/charge.lua"), minute // 60 % 24
            held = client.hget(key, field) or f"{minute // 60} ".encode()
            client.hset(key, field, held + f"{chr(64 + minute % 60)}{runs}{f'!{errors}' if errors else ''}".encode())
        changes = (
            (70, "1", "Bob", "First"),
            (41, "2", "Bob", "Charge in cents"),
            (7, "nil + 1", "Ann", "Charge each order once"),
        )
        for _, body, author, subject in changes:
            sproc = read_sproc("orders/charge.lua", "", f"return {body}".encode(), body)
            put(registry, [sproc], about=DIRECTLY._replace(author=f"{author} <a@b>", subject=subject, branch="main"))
        history = client.xrange(keys.history)
        client.delete(keys.history)
        for (ago, *_), (_, fields) in zip(changes, history, strict=True):
            client.xadd(keys.history, fields, id=f"{(now_s // 60 - ago) * 60_000 + 25_000}-1")
        with contextlib.suppress(ScriptError):
            run(registry, "orders/charge.lua", [], [], by="ann")
    async with TuiApp(Context("", server.url)).run_test(size=(COLUMNS, 18)) as pilot:
        await pilot.pause(1)
        await pilot.press("g", "W")
        await picture(pilot, "ribbon")


CHAIN = {
    "orders/new.lua": "-- event=set\n-- key=order:*\nreturn redis.call('SET', 'stock:7', 1)",
    "stock/reserve.lua": "-- event=set\n-- key=stock:*\n-- catchup=scan\nreturn redis.call('SET', 'buy:7', 1)",
    "stock/buy.lua": "-- event=set\n-- key=buy:*\nerror('nobody sells ' .. KEYS[1])",
}


async def chain_and_outage(folder: Path, server: EmbeddedServer) -> None:
    """What one event has caused, and then what an outage has cost: the daemon is gone while a key is set."""
    environ = {**os.environ, "LUASPROCS_REDIS": server.url}
    with Redis.from_url(server.url, protocol=2) as client:
        client.flushall()
        put(Registry(client, Keys()), [read_sproc(name, "", text.encode(), "") for name, text in CHAIN.items()])
        async with TuiApp(Context("", server.url), poll_s=0.1).run_test(size=(COLUMNS, LINES)) as pilot:
            with daemon(folder, environ):
                await taken(pilot, ("1 daemon ",))
                client.set("order:7", "new")
                await taken(pilot, ("FAILING stock/buy.lua",))
                await pilot.press("F")
                await taken(pilot, ("nobody sells",))
                await pilot.press("g", "enter")
                await picture(pilot, "cascade")
            await pilot.press("escape", "escape", "escape")
            await taken(pilot, ("NO DAEMON",))
            client.set("stock:8", "unheard")
            with daemon(folder, environ):
                await picture(pilot, "outage")


async def shards(cluster: EmbeddedCluster) -> None:
    """Sprocs of a cluster, one of whose primaries has just died."""
    put(
        open_registry(cluster.url),
        [
            read_sproc("orders/count.lua", "", b"return redis.call('INCR', KEYS[1])", ""),
            read_sproc("carts/total.lua", "", b"return redis.call('HLEN', KEYS[1])", ""),
        ],
    )
    for number in range(12):
        run(open_registry(cluster.url), "orders/count.lua", [f"orders:{number}"], by="ann")
    app = TuiApp(Context("", cluster.url), poll_s=0.1)
    async with app.run_test(size=(COLUMNS, LINES)) as pilot:
        await pilot.pause(1)
        os.kill(cluster.nodes[0].pid, signal.SIGKILL)
        await picture(pilot, "shards")


async def picture(pilot: Pilot[None], name: str) -> None:
    """What the screen shows, once that is what the picture is for."""
    write(name, await taken(pilot, SHOWN[name]))


async def taken(pilot: Pilot[None], texts: tuple[str, ...]) -> str:
    """A picture of the screen once all of these stand there, or of what it is at last."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        await pilot.pause(0.5)
        if all(text in text_of(svg := pilot.app.export_screenshot()) for text in texts):
            return svg
    sys.exit(f"never shown: {texts}:\n{text_of(svg)}")


def main() -> None:
    """Writes docs/terminal.svg from a repository of its own, docs/shards.svg from a cluster, the others from the server of
    `luasprocs demo --screen`.
    """
    with tempfile.TemporaryDirectory() as name, EmbeddedServer(Path(name) / "server") as server:
        folder = Path(name) / "shop"
        folder.mkdir()
        terminal(folder, server)
        asyncio.run(ribbon(server))
        asyncio.run(chain_and_outage(folder, server))
    with tempfile.TemporaryDirectory() as name, moving(Path(name)) as url:
        asyncio.run(screens(url))
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        cluster = EmbeddedCluster(Path(name)).start()
        stack.callback(cluster.stop)
        asyncio.run(shards(cluster))


if __name__ == "__main__":
    main()
