"""Executions as they come, no faster than a client can take them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from luasprocs.state.executions import BATCH_RECORDS, newest_ids
from luasprocs.state.tails import Tails
from sync.lsp.errands import asked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.server.registry import Registry
    from luasprocs.state.executions import Execution
    from sync.lsp.connecting import Connected, Connecting

EVERY_S = 0.2
AT_ONCE = 200
"""So many records at most are told at once."""
RETRY_S = 1.0


class ExecutionsThread:
    """Follows from now on until `end`. `came` gets records and how many were left out at least, in the thread.

    `began`: what is recorded from now on is told, or the registry can't be asked.
    """

    def __init__(self, connecting: Connecting, came: Callable[[Sequence[Execution], int], None]) -> None:
        self._connecting, self._came = connecting, came
        self._over, self.began = threading.Event(), threading.Event()
        self._tails: Tails | None = None
        self._registry: Registry | None = None

    def start(self) -> None:
        threading.Thread(target=self._run, name="luasprocs-executions", daemon=True).start()

    def end(self) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                found, dropped = asked(self._connecting, self._read)
            except Exception:  # noqa: BLE001  # who looks says why; whatever it is, the next read may go well
                self.began.set()
                self._over.wait(RETRY_S)
                continue
            if found and not self._over.is_set():
                self._came(found, dropped)
            self._over.wait(EVERY_S)

    def _read(self, connected: Connected) -> tuple[Sequence[Execution], int]:
        registry = connected.registry
        if self._tails is None or self._registry is not registry:
            after = newest_ids(registry)
            self._tails, self._registry = Tails(registry, after), registry
            self.began.set()
        found = self._tails.read(BATCH_RECORDS, self._tails.block_ms)
        if len(found) >= BATCH_RECORDS:  # more came than anybody reads: go on with what comes next
            self._tails = Tails(registry, newest_ids(registry))
        return found[-AT_ONCE:], max(0, len(found) - AT_ONCE)
