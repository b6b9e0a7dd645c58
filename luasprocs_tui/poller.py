"""Reads again and again: at a pace, sooner if somebody asks, and less often as long as nothing answers."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from luasprocs.errors import LuasprocsError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

BACKED_OFF_S = 2.0
"""The longest pause after failures, for what is read more often than that."""


class Failure(NamedTuple):
    """Why something could not be done."""

    reason: str


def attempt(work: Callable[[], T]) -> T | Failure:
    """What came of work in a thread. A bug there must show, and end neither the app nor the reading."""
    try:
        return work()
    except LuasprocsError as error:
        return Failure(str(error))
    except Exception as error:  # noqa: BLE001  # as was just said
        return Failure(f"{type(error).__name__}: {error}")


class Poller(Generic[T]):
    """Reads in the thread that calls `run`, until it is closed. `ask` and `close` may be called in any thread.

    `read(asked)`: `asked` if somebody wants it now. What it gives, or why it gave nothing, goes to `give`.
    """

    def __init__(self, read: Callable[[bool], T], give: Callable[[T | Failure], object], every_s: float) -> None:
        self._read, self._give, self._every_s = read, give, every_s
        self._wake, self._closed = threading.Event(), threading.Event()

    def run(self) -> None:
        """Ends when it is closed."""
        failures, asked = 0, False
        while not self._closed.is_set():
            found = attempt(partial(self._read, asked))
            if self._closed.is_set():
                return
            failures = failures + 1 if isinstance(found, Failure) else 0
            self._give(found)
            asked = self._wake.wait(pause_s(self._every_s, failures))
            self._wake.clear()

    def ask(self) -> None:
        """Reads again now."""
        self._wake.set()

    def close(self) -> None:
        """Reads no more, and gives nothing more."""
        self._closed.set()
        self._wake.set()


def pause_s(every_s: float, failures: int) -> float:
    """How long to wait after so many failures in a row: twice as long each time, up to a limit."""
    return min(every_s * 2.0 ** min(failures, 16), max(every_s, BACKED_OFF_S))
