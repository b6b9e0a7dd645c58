"""Daemons of two builds that would replace each other's engine for ever: each stops after some turns. Pure but for the clock."""

from __future__ import annotations

import time
from collections import deque

REPLACED_LIMIT = 3
WITHIN_S = 600.0


class Engines:
    """The engines of others that this daemon has replaced lately."""

    def __init__(self) -> None:
        self._at_s: dict[str, deque[float]] = {}
        self._stopped = ""

    def may_replace(self, text_id: str) -> bool:
        """Whether to replace an engine once more. After so many times no more, until there is another one."""
        if text_id == self._stopped:
            return False
        now_s = time.monotonic()
        times = self._at_s.setdefault(text_id, deque(maxlen=REPLACED_LIMIT))
        if len(times) == REPLACED_LIMIT and now_s - times[0] < WITHIN_S:
            self._stopped = text_id
            return False
        times.append(now_s)
        self._stopped = ""
        return True
