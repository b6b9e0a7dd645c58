"""Reads the triggers of each generation and subscribes to the event sources that they need."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from redis import exceptions

from luasprocs.contract.replies import About
from luasprocs.runtime.bindings import Bindings, parse_bindings
from luasprocs.runtime.engine import ENGINE_POLL_S, until_engine
from luasprocs.runtime.log import log

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.numbering import Numbering


class Rebinding(Protocol):
    """Whether events are heard here, and callbacks for a change of triggers, in the order of their calls."""

    @property
    def hears(self) -> bool: ...

    async def subscribing(self, bindings: Bindings) -> None:
        """New sources are about to be subscribed."""

    async def subscribed(self) -> None:
        """New sources are subscribed: their numbering starts at the next tick."""

    def bound(self, bindings: Bindings) -> None:
        """The triggers are in force."""


class Binder:
    """Binds once at the start of a session, and again after each change of the triggers."""

    def __init__(self, link: Link, numbering: Numbering, rebinding: Rebinding) -> None:
        self._link, self._numbering, self._rebinding = link, numbering, rebinding
        self._changed = asyncio.Event()

    def rebind(self) -> None:
        """Reads the triggers again: they have changed."""
        self._changed.set()

    async def run(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(0)
            await self.bind()

    async def bind(self) -> None:
        """Reads the triggers, subscribes to new sources and unsubscribes from unused ones."""
        bindings = await self._read()
        if not self._rebinding.hears:
            bindings = replace(bindings, sources={})
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
            log.info("generation %s: %s", bindings.generation or "none", _on_events(len(bindings.sprocs)))
        self._rebinding.bound(bindings)

    async def learn(self) -> None:
        """Learns by what the engine's messages are known. Raises redis.RedisError."""
        about = About.of(await self._link.read("about"))
        if not about.proof:
            self._link.say(
                "proof", "this user may not load functions, so that the engine's messages can't be told from others'"
            )
        if (proof := about.proof.encode()) != self._numbering.proof:
            self._numbering.former.add(self._numbering.proof)
            self._numbering.proof = proof

    async def _read(self) -> Bindings:
        """The triggers of the newest generation: reads again if one is applied meanwhile."""
        while True:
            self._changed.clear()
            try:
                await self.learn()
                bindings = parse_bindings(await self._link.read("bound"))
            except exceptions.ResponseError as error:
                log.warning("the triggers can't be read: %s", error)
                await asyncio.sleep(ENGINE_POLL_S)
                await until_engine(self._link)
                continue
            if not self._changed.is_set():
                return bindings


def _on_events(sprocs: int) -> str:
    return f"{sprocs or 'no'} sproc{'' if sprocs == 1 else 's'} for events"
