"""Keeps the sources of sprocs with `evalsha=yes` loaded as scripts: SCRIPT FLUSH, a restart and a failover forget them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING, TypeVar

from redis import exceptions

from luasprocs.contract.encoding import raw, text
from luasprocs.language.needs import SCRIPTS, names_in
from luasprocs.runtime.log import log
from luasprocs.runtime.wire import pipelined

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from luasprocs.runtime.link import Link


T = TypeVar("T")

LOOK_EVERY_S = 1.0
_ASKED = 500
"""Scripts that one command asks for: some 50 microseconds of the server's time."""


class Scripts:
    """Asks the server once a second for what it should have; for nothing while no sproc has `evalsha=yes`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._names: dict[bytes, str] = {}
        self._stale = True
        self._changed = asyncio.Event()

    def rebind(self) -> None:
        """A generation was applied: its scripts are read, and looked for at once."""
        self._stale = True
        self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            try:
                if self._stale:
                    await self._learn()
                await self._look()
                self._link.said.forget("scripts")
            except exceptions.ResponseError as error:
                self._link.say("scripts", f"the scripts of evalsha=yes sprocs can't be kept loaded: {error}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S if self._names or self._stale else None):
                    await self._changed.wait()

    async def _learn(self) -> None:
        """Which scripts there are, by their SHA1."""
        self._stale = False
        try:
            field = await self._link.command("HGET", self._link.keys.functions, SCRIPTS)
            names = names_in(text(field or b""))
            self._names = {}
            for some in _parts(names):
                shas = await pipelined(self._link.commands, [("HGET", self._key(name), "sha") for name in some])
                self._names |= {sha: name for sha, name in zip(shas, some, strict=True) if isinstance(sha, bytes)}
        except exceptions.ResponseError:
            self._stale = True
            raise

    async def _look(self) -> None:
        for some in _parts(tuple(self._names)):
            there = await self._link.command("SCRIPT", "EXISTS", *some)
            missing = [sha for sha, exists in zip(some, there, strict=True) if not exists]
            for sha in missing:
                await self._load(sha)
            if missing:
                log.info("loaded %d scripts of evalsha=yes sprocs", len(missing))

    async def _load(self, sha: bytes) -> None:
        """Loads one; not what somebody changed by hand, which has another SHA1."""
        source = await self._link.command("HGET", self._key(self._names[sha]), "source")
        if hashlib.sha1(source or b"", usedforsecurity=False).hexdigest().encode() == sha:
            await self._link.command("SCRIPT", "LOAD", source)
        else:
            del self._names[sha]

    def _key(self, name: str) -> bytes:
        return raw(self._link.keys.name(name))


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[at : at + _ASKED] for at in range(0, len(items), _ASKED))
