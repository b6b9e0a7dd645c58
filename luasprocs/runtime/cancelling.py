"""Cancels tasks that contain task groups."""

from __future__ import annotations

import asyncio
from typing import Any

AGAIN_S = 0.05


async def end(task: asyncio.Task[Any]) -> None:
    """Cancels a task until it has ended.

    Once is not enough: before Python 3.13 a task group that fails while it is cancelled raises only the failure, and the
    code that handles it goes on as if it was never cancelled (https://github.com/python/cpython/issues/116720).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=AGAIN_S)
