"""Work in threads that nobody has to wait for, not even the end of the process: git may hang for ever, as may a disk."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def begun(work: Callable[[], T]) -> Future[T]:
    """What becomes of work that has begun."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whoever asks for the result gets it
            future.set_exception(error)

    future.set_running_or_notify_cancel()
    threading.Thread(target=run, name="luasprocs-apart", daemon=True).start()
    return future


async def apart(work: Callable[[], T]) -> T:
    """The result of work. If this is cancelled, the work goes on."""
    return await asyncio.wrap_future(begun(work))
