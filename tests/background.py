"""Threads that work while a test does something else."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

JOIN_TIMEOUT_S = 60


class Background:
    """Inside, `count` threads run `work(number)`. It has to end soon once `stopping` is set.

    Raises:
        AssertionError: one hangs.
    """

    def __init__(self, work: Callable[[int], object], count: int = 1) -> None:
        self.stopping = threading.Event()
        self._threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT_S)
            assert not thread.is_alive(), "a thread hangs"
