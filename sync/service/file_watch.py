"""Watches the folders of a source for changes."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from watchfiles import awatch

from luasprocs.runtime.log import log
from sync.service.apart import apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from sync.service.sources import Source, Watched


class FileWatch:
    """`changed`: called after each change; `interval_s`: how often the follower reconciles anyway, for the log."""

    def __init__(self, source: Source, changed: Callable[[], None], interval_s: float) -> None:
        self._source, self._changed, self._interval_s = source, changed, interval_s
        self._reconciled = asyncio.Event()

    def reconciled(self) -> None:
        """Checks whether the folders are still the same: one that was removed and created again is another one."""
        self._reconciled.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            watched = await apart(self._source.watched)
            places, stop = _places(watched), asyncio.Event()
            tasks = [
                asyncio.create_task(self._watch(paths, stop, names))
                for paths, names in ((watched.alone, watched.names), (watched.whole, None))
                if paths
            ]
            try:
                while places == _places(await apart(self._source.watched)):
                    await self._reconciled.wait()
                    self._reconciled.clear()
            finally:
                stop.set()
                for task in tasks:
                    task.cancel()
                if tasks:
                    await asyncio.wait(tasks)

    async def _watch(self, paths: Iterable[Path], stop: asyncio.Event, names: frozenset[str] | None) -> None:
        """`names`: the files that matter directly in these folders; None: everything below them."""

        def matters(_: object, path: str) -> bool:
            return not path.endswith(".lock") and (names is None or os.path.basename(path) in names)  # noqa: PTH119  # often

        try:
            async for _ in awatch(
                *paths,
                watch_filter=matters,
                debounce=40,
                step=40 if names is None else 50,
                stop_event=stop,
                recursive=names is None,
            ):
                self._changed()
        except (OSError, RuntimeError) as error:
            log.warning("can't watch %s: %s; checking every %d s", self._source.name, error, self._interval_s)


def _places(watched: Watched) -> list[tuple[str, int]]:
    """Folders with their inodes."""
    paths = [path for path in (*watched.alone, *watched.whole) if path.exists()]
    return [(str(path), path.stat().st_ino) for path in paths]
