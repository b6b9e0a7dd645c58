"""Waits for what must come true; how soon it does, a loaded machine decides."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from redis import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 60.0
"""Longer than any stall of a machine that runs many tests at once."""


def until(condition: Callable[[], Any], within_s: float = PATIENCE_S, what: object = "it never came true") -> Any:
    """What a condition says, once it is true; a server that is busy or away says nothing.

    `what`: the message of the error if it never is, or what makes it.
    """
    deadline = time.monotonic() + within_s
    while True:
        with contextlib.suppress(RedisError):
            if found := condition():
                return found
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.02)
