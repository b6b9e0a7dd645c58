"""`luasprocs` with a notion of the server's clock that is off by `WRONG_MS`, until the file `WRONG_UNTIL` is there."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from luasprocs.runtime.clock import ServerClock
from sync.cli import main

_right = ServerClock.now_ms
_until = Path(os.environ["WRONG_UNTIL"])


def _wrong(self: ServerClock) -> float:
    return _right(self) + (0 if _until.exists() else float(os.environ["WRONG_MS"]))


ServerClock.now_ms = _wrong  # type: ignore[method-assign]
main(sys.argv[1:])
