"""Who owns the threads: they work, and end with their owner."""

from __future__ import annotations

import asyncio
import threading

from textual.app import App

from luasprocs_tui.poller import Failure, Poller
from luasprocs_tui.threads import Threads
from tests.until import PATIENCE_S


async def test_work_is_done_aside_and_gone_on_with_in_the_apps_thread() -> None:
    app: App[None] = App()
    async with app.run_test() as pilot:
        found: list[object] = []

        def then(what: int | Failure) -> None:
            found.append((what, threading.current_thread() is threading.main_thread()))

        threads = Threads(app)
        threads.do(lambda: 1, then, "test")
        threads.do(lambda: int("x"), then, "test")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert sorted(found, key=str) == [
            (1, True),
            (Failure("ValueError: invalid literal for int() with base 10: 'x'"), True),
        ]


async def test_pollers_end_with_their_owner_and_none_begins_later() -> None:
    app: App[None] = App()
    async with app.run_test():
        given: list[int | Failure] = []
        threads, read = Threads(app), threading.Event()

        def once(_asked: bool) -> int:  # as a poller calls it
            read.set()
            return 1

        threads.poll(Poller(once, given.append, 3600), "test")
        assert await asyncio.to_thread(read.wait, PATIENCE_S)
        threads.close()
        await app.workers.wait_for_complete()
        count = len(given)
        threads.poll(Poller(once, given.append, 3600), "test")
        await app.workers.wait_for_complete()
        assert len(given) == count
