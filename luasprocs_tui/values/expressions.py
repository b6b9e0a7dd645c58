"""Regular expressions as people type them into a filter: none of them hangs the screen.

Python's matcher backtracks: `(a+)+$` takes years. It looks for signals meanwhile, so a timer of the process's own time ends it.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from functools import lru_cache

SEARCH_S = 0.1
"""So long may one text take."""
PASS_S = 0.4
"""And so long all of those that are looked through at once."""
_KEPT = 64


class _TooSlowError(Exception):
    pass


class _Watch:
    """The one timer. It is set seldom: twice for each row would take longer than most searches."""

    def __init__(self) -> None:
        self._set = False
        self._began_s: float | None = None

    def search(self, pattern: re.Pattern[str], text: str) -> bool:
        """Raises _TooSlowError after about SEARCH_S. In another thread than the main one nothing is watched."""
        if not self._set and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGVTALRM, self._rang)
            self._ring()
        self._began_s = time.perf_counter()
        try:
            return pattern.search(text) is not None
        finally:
            self._began_s = None

    def _ring(self) -> None:
        self._set = True
        signal.setitimer(signal.ITIMER_VIRTUAL, SEARCH_S)

    def _rang(self, *_: object) -> None:
        began_s = self._began_s
        if began_s is None:
            self._set = False  # the next search sets it
        elif time.perf_counter() - began_s < SEARCH_S / 2:
            self._ring()  # this search has only just begun
        else:
            self._set = False
            raise _TooSlowError


_WATCH = _Watch()


class Expression:
    """One that was typed. `problem`: why it leaves everything, or ""."""

    def __init__(self, text: str) -> None:
        self.problem = ""
        self._spent_s = 0.0
        try:
            self._pattern = re.compile(text, re.IGNORECASE | re.MULTILINE)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            self.problem = f"~{text} is not a regular expression yet: {error}"

    def begin(self) -> None:
        """Before each pass."""
        self._spent_s = 0.0

    def found(self, text: str) -> bool | None:
        """Whether it is found in a text; None if that can't be told."""
        if self.problem:
            return None
        began_s = time.perf_counter()
        try:
            return _WATCH.search(self._pattern, text)
        except _TooSlowError:
            self._spent_s = PASS_S
            return None
        finally:
            self._spent_s += time.perf_counter() - began_s
            if self._spent_s > PASS_S:
                self.problem = f"~{self._pattern.pattern} takes too long: it is left out"


@lru_cache(_KEPT)
def expression(text: str) -> Expression:
    """The same one for the same text: what took too long is not tried again with each refresh."""
    return Expression(text)
