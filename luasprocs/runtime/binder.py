"""Reads the triggers of each generation, and subscribes to what they need."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from redis import exceptions

from luasprocs.runtime.bindings import Bindings, parse_bindings
from luasprocs.runtime.engine import ENGINE_POLL_S, until_engine

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Numbering

log = logging.getLogger("luasprocs.daemon")


class Rebinding(Protocol):
    """Who has something to do when triggers have changed, in this order."""

    async def subscribing(self, bindings: Bindings) -> None:
        """New sources are about to be subscribed."""

    async def subscribed(self) -> None:
        """New sources were subscribed: they need a tick."""

    def bound(self, bindings: Bindings) -> None:
        """The triggers are in force."""


class Binder:
    """Binds at the start of a session, and again when the triggers have changed."""

    def __init__(self, link: Link, numbering: Numbering, rebinding: Rebinding) -> None:
        self._link, self._numbering, self._rebinding = link, numbering, rebinding
        self._changed = asyncio.Event()

    def rebind(self) -> None:
        """The triggers have changed: they are read again."""
        self._changed.set()

    async def run(self) -> None:
        """For as long as the session lasts."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(0)
            await self.bind()

    async def bind(self) -> None:
        """Reads the triggers, subscribes to what is new, leaves what nothing is bound to any more."""
        bindings = await self._read()
        numbering = self._numbering
        changed = bindings.generation != numbering.bindings.generation
        new, left = numbering.bind(bindings)
        self._link.events.unsubscribe(left)
        new += [source for source in numbering.sources.values() if not source.subscribed and source not in new]
        await self._rebinding.subscribing(bindings)
        if new:
            await self._link.events.subscribe(new)
            if numbering.now is not None:
                await self._rebinding.subscribed()
        if changed:
            log.info(
                "generation %s: %d sources, %d sprocs",
                bindings.generation or "none",
                len(bindings.sources),
                len(bindings.sprocs),
            )
        self._rebinding.bound(bindings)

    async def _read(self) -> Bindings:
        """The triggers; if a generation comes meanwhile, its triggers."""
        while True:
            self._changed.clear()
            try:
                bindings = parse_bindings(await self._link.read("bound"))
            except exceptions.ResponseError as error:
                log.warning("the triggers can't be read: %s", error)
                await asyncio.sleep(ENGINE_POLL_S)
                await until_engine(self._link)
                continue
            if not self._changed.is_set():
                return bindings
