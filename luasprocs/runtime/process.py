"""Runs a daemon as a process: signals, readiness, the service manager's watchdog, exit code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING, Protocol

from luasprocs.runtime.log import log
from luasprocs.runtime.notify import notify, watchdog_s

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130
SAME_SIGNAL_S = 0.2


class Process(Protocol):
    """A program that `serve` runs. `status`: a short text; `on_ready` registers a callback for readiness."""

    @property
    def status(self) -> str: ...

    def on_ready(self, ready: Callable[[], None]) -> None: ...

    async def run(self) -> None: ...

    def stop(self) -> None: ...


def serve(daemon: Process) -> int:
    """Runs a program until SIGTERM or SIGINT; a second signal ends it at once. Returns the exit code."""
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_serve(daemon))
    return INTERRUPTED


async def _serve(daemon: Process) -> int:
    loop = asyncio.get_running_loop()
    signals, first_s = 0, 0.0

    def on_signal() -> None:
        nonlocal signals, first_s
        signals += 1
        if signals > 1 and time.monotonic() - first_s < SAME_SIGNAL_S:
            return  # `timeout` and some shells signal a process and its group: that counts once
        if signals > 1:
            log.warning("a second signal: ending at once")
            os._exit(INTERRUPTED)
        first_s = time.monotonic()
        log.info("stopping: waiting for running sprocs")
        notify("STOPPING=1")
        daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    daemon.on_ready(_ready)
    beat = asyncio.create_task(_watchdog(daemon))
    try:
        await daemon.run()
    finally:
        beat.cancel()
    log.info("stopped")
    return 0


def _ready() -> None:
    log.info("listening")
    notify("READY=1", "STATUS=listening")


async def _watchdog(daemon: Process) -> None:
    """Tells the service manager that the loop turns. A server that is down is no reason for a restart."""
    if interval_s := watchdog_s():
        while True:
            notify("WATCHDOG=1", f"STATUS={daemon.status}")
            await asyncio.sleep(interval_s)
