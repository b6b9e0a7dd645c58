"""The only owner of threads: pollers, and single pieces of work."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

from luasprocs_tui.poller import Failure, Poller, attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import App

SWITCH_S = 0.001
"""So long may a thread that parses records keep the one that draws waiting, each time."""

T = TypeVar("T")


class Threads:
    """Those of one connection, as workers of Textual, so that a test can wait for them."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._pollers: set[Poller[Any]] = set()
        self._closed = False

    def poll(self, poller: Poller[Any], group: str) -> None:
        """Lets a poller run in a thread, until it is closed."""
        self._start(lambda: self.poll_here(poller), group)

    def poll_here(self, poller: Poller[Any]) -> None:
        """The same in the thread that calls."""
        self._pollers.add(poller)
        try:
            if not self._closed:
                poller.run()
        finally:
            self._pollers.discard(poller)

    def do(self, work: Callable[[], T], then: Callable[[T | Failure], object], group: str) -> None:
        """Works in a thread, and goes on in the app's with what came of it."""
        self._start(lambda: self._app.call_from_thread(then, attempt(work)), group)

    def aside(self, work: Callable[[], object]) -> None:
        """Works in a thread that nobody waits for, not even when the app ends."""
        threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        """Ends every poller; other work goes to its end."""
        self._closed = True
        for poller in tuple(self._pollers):
            poller.close()

    def _start(self, work: Callable[[], object], group: str) -> None:
        self._app.run_worker(work, thread=True, exit_on_error=False, group=group)
