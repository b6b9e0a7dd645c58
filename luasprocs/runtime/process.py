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
INTERRUPTS_HEEDED = 2
"""The first begins the end, the second asks what it waits for."""
SAME_SIGNAL_S = 0.2


class Process(Protocol):
    """A program that `serve` runs. `status`: a short text; `under_way`: what has not ended; `on_ready` registers a callback."""

    @property
    def status(self) -> str: ...

    @property
    def under_way(self) -> str: ...

    def on_ready(self, ready: Callable[[], None]) -> None: ...

    async def run(self) -> None: ...

    def stop(self) -> None: ...


def serve(daemon: Process) -> int:
    """Runs a program until SIGTERM or SIGINT. Returns the exit code.

    Supervisors send SIGTERM again, and people type Ctrl-C twice: that changes nothing. SIGQUIT or a third SIGINT ends it at once.
    """
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_serve(daemon))
    return INTERRUPTED


async def _serve(daemon: Process) -> int:
    loop = asyncio.get_running_loop()
    interrupts, first_s, last_s = 0, 0.0, 0.0

    def on_signal(number: signal.Signals) -> None:
        nonlocal interrupts, first_s, last_s
        before_s, last_s = last_s, time.monotonic()
        if number != signal.SIGQUIT and before_s and last_s - before_s < SAME_SIGNAL_S:
            return  # `timeout` and some shells signal a process and its group: that counts once
        interrupts += number == signal.SIGINT
        if number == signal.SIGQUIT or interrupts > INTERRUPTS_HEEDED:
            log.warning("%s: ending at once; what runs here is run again by another daemon", number.name)
            os._exit(INTERRUPTED)
        if first_s:
            waited_s = last_s - first_s
            log.warning(
                "stopping for %.1f s: waiting for %s; SIGQUIT ends at once", waited_s, daemon.under_way or "the end"
            )
            return
        first_s = last_s
        log.info("stopping: waiting for running sprocs")
        notify("STOPPING=1")
        daemon.stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        loop.add_signal_handler(number, on_signal, number)
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
