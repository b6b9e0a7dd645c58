"""The two servers that everything is measured on."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.server.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator


def kinds() -> list[str]:
    """Valkey, and Redis where it is installed."""
    return ["valkey", *(["redis"] if shutil.which("redis-server") else [])]


@contextlib.contextmanager
def running(kind: str) -> Iterator[EmbeddedServer]:
    """A fresh server without persistence."""
    found = shutil.which("redis-server") if kind == "redis" else None
    binary = Path(found) if found else None
    with (
        tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as folder,
        EmbeddedServer(Path(folder), persistent=False, binary=binary) as server,
    ):
        yield server
