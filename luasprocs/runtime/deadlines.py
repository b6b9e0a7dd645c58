"""Makes `expired` come in time: Redis itself expires keys late where there are many. Due keys are touched with EXISTS."""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from typing import TYPE_CHECKING

import hiredis
from redis import exceptions

from luasprocs.runtime.globs import matcher
from luasprocs.runtime.listener import Listener
from luasprocs.runtime.numbering import OWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.runtime.bindings import Bindings
    from luasprocs.runtime.wire import Wire

log = logging.getLogger("luasprocs.daemon")


class Deadlines:
    """Placeholder until filled below."""

    def __init__(self, db: int) -> None:
        self._db = db

    def bind(self, bindings: Bindings) -> None:
        """The triggers of a generation."""

    async def run(self, commands: Wire) -> None:
        """As long as the session lives."""
