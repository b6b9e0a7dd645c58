"""Logs a finding once when it begins and once when it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from luasprocs.runtime.log import log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.contract.codes import FindingCode
    from luasprocs.operations.findings import Finding

LOOKS = 2
"""In so many looks in a row it is there before it begins, or isn't before it ends: what comes and goes is no news."""
LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO}


class FindingLog:
    """Hears what each look has found."""

    def __init__(self) -> None:
        self._known: dict[FindingCode, Finding] = {}
        self._looks: dict[FindingCode, int] = {}

    def heard(self, found: Sequence[Finding]) -> None:
        """Logs what is new: a finding, a name in one that is known, an end."""
        now = {one.code: one for one in found}
        for code in {*now, *self._known, *self._looks}:
            changed = (code in now) != (code in self._known)
            self._looks[code] = self._looks.get(code, 0) + 1 if changed else 0
            if self._looks[code] >= LOOKS:
                self._looks.pop(code)
                if code in now:
                    self._begins(now[code])
                else:
                    self._known.pop(code)
                    log.info("finding ended: %s", code)
            elif not changed and code in now and not set(now[code].names) <= set(self._known[code].names):
                self._begins(now[code])

    def _begins(self, one: Finding) -> None:
        self._known[one.code] = one
        log.log(LEVELS[one.severity], "finding: %s: %s (%s)", one.code, one.message, one.hint)
