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
LOOKED_AT = 64
"""After so many texts."""
_KEPT = 64


class _TooSlowError(Exception):
    pass


class _Watch:
    """The one timer. It is set seldom: twice for each row would take longer than most searches."""

    def __init__(self) -> None:
        self._set = False
        self._search = 0
        self._rang_in = 0
        self._searching = False

    def search(self, pattern: re.Pattern[str], text: str) -> bool:
        """Raises _TooSlowError after SEARCH_S, or up to twice that. In another thread than the main one nothing is watched."""
        if not self._set and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGVTALRM, self._rang)
            self._ring()
        self._search += 1
        self._searching = True
        try:
            return pattern.search(text) is not None
        finally:
            self._searching = False

    def _ring(self) -> None:
        self._set = True
        signal.setitimer(signal.ITIMER_VIRTUAL, SEARCH_S)

    def _rang(self, *_: object) -> None:
        self._set = False  # the next search sets it
        if not self._searching:
            return
        if self._rang_in == self._search:  # for the second time
            raise _TooSlowError
        self._rang_in = self._search
        self._ring()


_WATCH = _Watch()


class Expression:
    """One that was typed. `problem`: why it leaves everything, or ""."""

    def __init__(self, text: str) -> None:
        self.problem = ""
        self._began_s, self._left = 0.0, LOOKED_AT
        try:
            self._pattern = re.compile(text, re.IGNORECASE | re.MULTILINE)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            self.problem = f"~{text} is not a regular expression yet: {error}"

    def begin(self) -> None:
        """Before each pass."""
        self._began_s, self._left = time.thread_time(), LOOKED_AT

    def found(self, text: str) -> bool | None:
        """Whether it is found in a text; None if that can't be told."""
        if self.problem:
            return None
        self._left -= 1
        if not self._left:  # a look at this clock takes longer than most searches
            self._left = LOOKED_AT
            if time.thread_time() - self._began_s > PASS_S:
                self._too_slow()
                return None
        try:
            return _WATCH.search(self._pattern, text)
        except _TooSlowError:
            self._too_slow()
            return None

    def _too_slow(self) -> None:
        self.problem = f"~{self._pattern.pattern} takes too long: it is left out"


@lru_cache(_KEPT)
def expression(text: str) -> Expression:
    """The same one for the same text: what took too long is not tried again with each refresh."""
    return Expression(text)
