"""The executions, read batch by batch in a worker thread. Knows no widget."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from luasprocs.server import connection as server
from luasprocs.state.executions import Execution, RecordFilter, newest_ids, read_executions
from luasprocs.state.tails import Tails
from luasprocs_tui.values.snapshots import RECORDS_LIMIT, Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.server.registry import Registry

BATCH_RECORDS = 500
"""How many are read before a pause."""


class ExecutionTail:
    """One registry's executions, or (`name`) one sproc's. An error changes nothing: the next `read` goes on from the last id.

    `registry` gives another one if shards came or went.
    """

    def __init__(self, registry: Callable[[], Registry], shown: str, name: str = "") -> None:
        self._name = name
        self._registry = registry
        self._shown = shown
        self._tail: Tails | None = None

    def read(self) -> Batch:
        """What came since the last time; first the last ones that there are.

        Raises:
            ServerError: the server doesn't answer, or refuses.
            RegistryError: the key is not a stream.
        """
        with server.errors_named(self._shown):
            if self._tail is None or self._tail.registry is not self._registry():  # else shards came or went
                return self._newest()
            found = self._behind(self._tail)
            if len(found) == RECORDS_LIMIT:  # perhaps more came than are kept: only the last ones matter
                return self._newest()
        return Batch(tuple(self._of_name(found)), time.monotonic())

    @staticmethod
    def _behind(tail: Tails) -> list[Execution]:
        found: list[Execution] = []
        while len(found) < RECORDS_LIMIT:
            began_s = time.thread_time()
            batch = tail.read(min(BATCH_RECORDS, RECORDS_LIMIT - len(found)))
            found += batch
            if len(batch) < BATCH_RECORDS:
                break
            time.sleep(2 * (time.thread_time() - began_s))  # what draws has its turn first; a slow network is no work
        return found

    def _of_name(self, found: list[Execution]) -> list[Execution]:
        return [one for one in found if one.sproc == self._name] if self._name else found

    def _newest(self) -> Batch:
        registry = self._registry()
        last_ids = newest_ids(registry)
        wanted = RecordFilter(sprocs=(self._name,) if self._name else ())
        found = read_executions(registry, RECORDS_LIMIT, until=last_ids, wanted=wanted)
        self._tail = Tails(registry, last_ids)
        return Batch(tuple(self._of_name(found)), time.monotonic(), whole=True)
