"""Logs a lasting condition once, and not each time it is found again."""

from __future__ import annotations

import logging

from luasprocs.runtime.log import log


class LogOnce:
    """Remembers the last text of each topic."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._causes: dict[str, str] = {}

    def say(self, topic: str, text: str, level: int = logging.WARNING, *, cause: str = "") -> None:
        """Logs a text unless it is the last one logged on this topic. `cause`: logged in its place, once for all topics."""
        if self._last.get(topic) == text:
            return
        known = bool(cause) and cause in self._causes.values()
        self._last[topic], self._causes[topic] = text, cause
        if not known:
            log.log(level, "%s", cause or text)

    def standing(self, *topics: str) -> dict[str, str]:
        """What was said last on these, if it is not over."""
        return {topic: self._last[topic] for topic in topics if topic in self._last}

    def forget(self, topic: str) -> None:
        """The condition is over: if it comes back, it is logged again."""
        self._last.pop(topic, None)
        self._causes.pop(topic, None)
