"""What signals do to the terminal: whatever ends or stops the screen, it is left as it was found.

Textual starts again at each SIGCONT, of which a shell may send two: then two threads read keys, and the program never ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from textual.app import SuspendNotSupported

if TYPE_CHECKING:
    from textual.app import App


def hear(app: App[Any]) -> None:
    """Once the app has the terminal."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, partial(app.exit, return_code=128 + number))
    loop.add_signal_handler(signal.SIGTSTP, stop, app)
    loop.add_signal_handler(signal.SIGCONT, partial(app.refresh, layout=True))


def stop(app: App[Any]) -> None:
    """Gives the terminal back, and stops until the shell's `fg`, with all that the shell started together with it."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(SuspendNotSupported), app.suspend():  # in a browser there is nothing to give back
        loop.remove_signal_handler(signal.SIGTSTP)  # so that it stops
        os.kill(0, signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, stop, app)
