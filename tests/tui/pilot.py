"""The screen under a pilot: what its tests share."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Static

from luasprocs.contract.keys import Keys
from luasprocs.language.sproc import Sproc, git_blob_id, read_sproc
from luasprocs.operations.contexts import Context
from luasprocs.operations.put import DIRECTLY, put
from luasprocs.registry.revision import Revision
from luasprocs.server.registry import Registry
from luasprocs_tui import messages
from luasprocs_tui.app import TuiApp
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.values.snapshots import Snapshot
from luasprocs_tui.widgets.table import Table
from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import redis
    from redis import Redis
    from textual.pilot import Pilot

    from luasprocs_tui.values.rows import Row
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
TO_ACT_ON = {
    "a.lua": "-- event=set\n-- key=dream*\nredis.call('SET', 'copied', KEYS[1])\nreturn KEYS[1]\n",
    "hello.lua": "return 'hello ' .. (ARGV[1] or '[/bold]\\27[31m') .. ' ' .. #KEYS",
    "late.lua": "-- runasync=yes\nerror('dead')\n",
    "tick.lua": "-- every=1h\nreturn 1\n",
}


def put_sources(client: redis.Redis, sources: dict[str, bytes], keys: Keys = KEYS) -> None:
    sprocs = [read_sproc(name, name, source, git_blob_id(source), "c0ffee" * 6) for name, source in sources.items()]
    apply_sprocs(client, sprocs, keys)


def apply_sprocs(client: redis.Redis, sprocs: Iterable[Sproc], keys: Keys = KEYS) -> None:
    about = DIRECTLY._replace(
        commit="c0ffee" * 6,
        branch="main",
        owner="repository",
        author="Ann",
        subject="First",
        applied_by="ann@host",
    )
    put(Registry(client, keys), sprocs, about=about)


async def until(pilot: Pilot[None], true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        await pilot.pause()
        if true():
            return
        await asyncio.sleep(0.01)  # what is awaited comes from another process
    pytest.fail(f"never came: {what}\n{screen_of(pilot)}")


async def shows(pilot: Pilot[None], *texts: str) -> None:
    """Waits until all of these stand on the screen."""
    await until(pilot, lambda: all(text in screen_of(pilot) for text in texts), " and ".join(texts))


async def hides(pilot: Pilot[None], text: str) -> None:
    """Waits until this stands there no more."""
    await until(pilot, lambda: text not in screen_of(pilot), f"the end of {text}")


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


def assert_harmless(shown: str) -> None:
    found = FORBIDDEN & set(shown) - {"\n"}
    assert not found, f"{found} in {shown!r}"
    shown.encode()  # a lone surrogate would end the terminal's writer


def app(server: Server, **options: Any) -> TuiApp:
    return TuiApp(Context("", server.url), refresh_s=0.2, poll_s=0.1, **options)


def unconnected() -> TuiApp:
    """With no server behind it, for what needs none."""
    return TuiApp(Context("", "redis://127.0.0.1:1/0"), refresh_s=3600)


async def filled(pilot: Pilot[None], rows: Iterable[Row]) -> Table:
    """A snapshot with these comes, none of them quiet. Gives the list."""
    given = tuple(row._replace(counters=row.counters._replace(last_run_s=int(time.time()))) for row in rows)
    pilot.app.post_message(messages.SnapshotRead(Snapshot(Revision(), given, time.monotonic(), (given[-1].name, ""))))
    table = pilot.app.screen.query_one(Table)
    await until(pilot, lambda: table.selected is not None, "the list")
    return table


async def choose(pilot: Pilot[None], name: str) -> None:
    """Moves the cursor to a sproc."""
    await listed(pilot)
    table = pilot.app.screen.query_one(Table)
    for _ in range(20):
        if table.selected == name:
            return
        await pilot.press("j")
    pytest.fail(screen_of(pilot))


def record(client: Redis, name: str, **fields: str) -> None:
    given: Any = {"sproc": name, "trigger": "event", "status": "ok", "key": "k", **fields}
    client.xadd(KEYS.executions, given)


def shown(pilot: Pilot[None]) -> list[str]:
    """The sprocs of the records in the table."""
    screen = pilot.app.screen
    assert isinstance(screen, ExecutionsScreen)
    return [one.sproc for one in screen._records]
