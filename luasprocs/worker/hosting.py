"""What the host's side of a Lua needs: functions that never raise into it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def quiet(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which answers False and a text where it would raise."""

    def call(*args: Any) -> Any:
        try:
            return function(*args)
        except Exception as error:  # noqa: BLE001  # an exception would be a Python object in the hands of Lua
            return False, f"ERR {type(error).__name__}: {error}".encode()

    return call


def no_attributes(*_: object) -> str:
    raise AttributeError("Python is not available here")


def seed() -> int:
    """For `math.random`, which nobody foresees."""
    return int.from_bytes(os.urandom(4), "big") >> 1
