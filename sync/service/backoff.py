"""How long to wait after failures."""

from __future__ import annotations

RETRY_FIRST_S = 0.2
RETRY_LONGEST_S = {"redis": 1.0, "git": 300.0}
"""A server that is back is noticed within two seconds; a remote is asked less and less often."""
JITTER = 0.25


class Backoff:
    """The delay after consecutive failures."""

    def __init__(self) -> None:
        self._failing, self._times = "", 0

    def after(self, failing: str) -> float:
        """The delay in seconds. `failing`: git, redis, or "" after a success, which resets it."""
        self._times = self._times + 1 if failing == self._failing else 1
        self._failing = failing
        grown_s: float = RETRY_FIRST_S * 2 ** min(self._times - 1, 20)
        return min(RETRY_LONGEST_S.get(failing, 0.0), grown_s)
