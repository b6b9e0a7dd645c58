"""Stored procedures for Redis and Valkey, kept in git.

    from luasprocs import connect

    sprocs = connect("redis://127.0.0.1:6379/0")
    sprocs.execute("sc1.lua", keys=["greeting"])

docs/clients.md shows the rest: types, asyncio, pipelines.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luasprocs.client import AsyncSprocs, Reply, Sprocs, connect, connect_async

__all__ = ["AsyncSprocs", "Reply", "Sprocs", "connect", "connect_async"]


def __getattr__(name: str) -> Any:
    # `luasprocs check` runs in every commit: importing redis with this package would cost it 130 ms.
    if name in __all__:
        return getattr(importlib.import_module("luasprocs.client"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
