"""One migration to a node while it goes on: what came by it, and what its source published meanwhile."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.runtime.brought import Brought, Migration, only_this
from luasprocs.runtime.log import log
from luasprocs.runtime.witness import LIMIT
from luasprocs.server.errors import is_forbidden
from luasprocs.server.served_slots import ServedSlots

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from luasprocs.runtime.bindings import Binding
    from luasprocs.runtime.source import Published
    from luasprocs.runtime.witness import Witness

WAIT_S = 1.0
"""For the source's last word, and for the migration's success."""
LOOK_EVERY_S = 0.01
HINT = " (luasprocs acl daemon --valkey-9 prints the rule that allows it)"


class Import:
    """Begins with the first event of it that is heard: the source is heard later, and so after the snapshot's fork.

    `command`: sends one to the target; `slot`: of that event; `owner`: the id of the node that serves it; `heard`: what is heard.
    """

    def __init__(
        self, command: Callable[..., Awaitable[Any]], slot: int, owner: str, heard: Collection[Binding]
    ) -> None:
        self.began_s = asyncio.get_running_loop().time()
        self.owner = owner
        self._command, self._slot, self._heard = command, slot, heard
        self._came: list[Published] = []
        self._known, self._over, self._told = True, asyncio.Event(), asyncio.Event()
        self._witness: Witness | None = None
        self._last: ServedSlots | None = None
        self._brought: Brought | None = None

    @property
    def full(self) -> bool:
        """Whether it has gone on for so long that it is better known from now on."""
        return len(self._came) >= LIMIT

    def add(self, published: Published) -> None:
        """An event of a slot that isn't the node's own yet."""
        self._came.append(published)

    def passed(self, before: ServedSlots, after: ServedSlots) -> None:
        """Between two answers of the node."""
        self._last = after
        if not only_this(before, after):
            self.forget()

    def forget(self) -> None:
        """Nothing is to be known of it."""
        self._known = False
        self._over.set()

    def end(self) -> None:
        """Its slots have come."""
        self._over.set()

    async def brought(self) -> Brought | None:
        """What is known when its slots have come; None: nothing."""
        if self._witness is not None:
            await self._told.wait()
        return self._brought

    async def watch(self, witness: Witness) -> None:
        """Hears what its source publishes, until it has ended. `witness`: leads there."""
        if self._over.is_set():
            return
        self._witness = witness
        witness.hear(self._heard)
        try:
            migration = Migration.of(self._slot, await self._migrations())
            await self._over.wait()
            witness.end()
            async with asyncio.timeout(WAIT_S):
                await asyncio.wait((witness.whole, witness.lost), return_when=asyncio.FIRST_COMPLETED)
                if witness.published and migration and migration.origin == self.owner and await self._stayed(migration):
                    self._brought = Brought(migration.slots, self._came, witness.published)
        except TimeoutError:
            witness.close()
        finally:
            self._told.set()

    async def _migrations(self) -> list[Migration]:
        try:
            return Migration.parse(await self._command("CLUSTER", "GETSLOTMIGRATIONS"))
        except exceptions.ResponseError as error:
            level, hint = (logging.WARNING, HINT) if is_forbidden(error) else (logging.DEBUG, "")
            log.log(level, "which slots migrate can't be asked, so what they bring may run twice: %s%s", error, hint)
            return []

    async def _stayed(self, migration: Migration) -> bool:
        """Whether it has succeeded, and none of its slots is on its way on: then what the source published was written there."""
        now = Migration.of(self._slot, await self._migrations())
        while now and now.name == migration.name and now.goes_on:
            await asyncio.sleep(LOOK_EVERY_S)
            now = Migration.of(self._slot, await self._migrations())
        nodes: bytes = await self._command("CLUSTER", "NODES")
        stayed = self._last and only_this(self._last, ServedSlots.parse(nodes)) and b"->-" not in nodes
        return bool(self._known and stayed and now and now.name == migration.name and now.succeeded)
