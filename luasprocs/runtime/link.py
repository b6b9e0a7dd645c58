"""The link between a daemon and one server: two connections, and what the parts of a session need of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from redis import exceptions

from luasprocs.contract.functions import FUNCTIONS
from luasprocs.runtime.cluster_listener import ClusterListener
from luasprocs.runtime.listener import Listener
from luasprocs.runtime.wire import Wire, connect, packed, raised
from luasprocs.server.located import located
from luasprocs.server.states import changing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from luasprocs.contract.keys import Keys
    from luasprocs.runtime.log_once import LogOnce
    from luasprocs.runtime.wire import Argument, Handler
    from luasprocs.server.endpoint import Endpoint


class LinkLostError(Exception):
    """The connections are no longer usable; the text says why."""


class DemotedError(LinkLostError):
    """Another server is the primary now. This one may be its replica."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a registry: the server's URL, its db, and the names of the registry's keys."""

    url: str
    keys: Keys
    db: int


class Link:
    """`commands`: the connection for commands; `events`: the one for subscriptions; `daemon`: this daemon's id.

    `server`: where both lead: one server, also of several that an URL may stand for.
    """

    def __init__(
        self, address: Address, server: Endpoint, daemon: str, said: LogOnce, wires: tuple[Wire, Listener]
    ) -> None:
        self.address, self.server, self.daemon = address, server, daemon
        self.keys = address.keys
        self.commands, self.events = wires
        self.said = said
        self.keeps_events = False
        self._group: asyncio.TaskGroup | None = None

    @classmethod
    async def open(cls, address: Address, daemon: str, said: LogOnce) -> Link:
        """Opens both connections.

        Raises:
            redis.RedisError: nothing answers, or the server refuses user, password or db.
        """
        server = await located(address.url)
        commands = await connect(address.url, server=server)
        try:
            events = await connect(address.url, ClusterListener if address.keys.tag else Listener, server=server)
        except BaseException:
            commands.close()
            raise
        assert isinstance(events, Listener)  # noqa: S101
        return cls(address, server, daemon, said, (commands, events))

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self.commands.open

    def close(self) -> None:
        """Closes both connections at once; handlers that wait for a reply get a ConnectionError.

        `keeps_events`: somebody else has that one.
        """
        self.commands.close()
        if not self.keeps_events:
            self.events.close()

    def packed(self, function: str, *words: Argument) -> bytes:
        """Packs a call of an engine function, named as in the contract, for `send`."""
        return packed("FCALL", *self._words(function, words))

    def say(self, topic: str, text: str, level: int = logging.WARNING) -> None:
        """Logs a text on a topic once, until it changes."""
        self.said.say(topic, text, level)

    def refused(self, topic: str, what: str, error: Exception, level: int = logging.WARNING) -> None:
        """Logs what was refused, and why. What a changing cluster refuses is logged once, whatever waits for it."""
        if cause := changing(str(error).encode()):
            self.said.say(topic, f"{what}: {cause}", cause=f"{cause}: what runs here waits")
        else:
            self.said.say(topic, f"{what}: {error}", level)

    def send(self, payload: bytes, *handlers: Handler) -> None:
        """Sends packed commands, with one handler for each reply; errors are passed to it, too."""
        self.commands.send(payload, *handlers)

    async def call(self, function: str, *words: Argument) -> Any:
        """Calls an engine function.

        Raises:
            redis.ResponseError: it was refused. redis.ConnectionError: the connection broke.
        """
        return await self.commands.call("FCALL", *self._words(function, words))

    async def read(self, function: str, *words: Argument) -> Any:
        """Calls an engine function that only reads. Raises as `call`."""
        return await self.commands.call("FCALL_RO", *self._words(function, words))

    def _words(self, function: str, words: tuple[Argument, ...]) -> tuple[Argument, ...]:
        return (self.keys.function(function), 0, *FUNCTIONS[function].checked(words))

    async def command(self, *words: Argument) -> Any:
        """Sends any other command. Raises as `call`."""
        return await self.commands.call(*words)

    async def together(self, *commands: bytes) -> list[Any]:
        """Runs packed commands in one MULTI. Raises as `call`: of one that isn't queued what was said of it."""
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        multi, execute = packed("MULTI"), packed("EXEC")
        queued: list[Any] = []
        each = [queued.append] * (len(commands) + 1)
        self.send(b"".join((multi, *commands, execute)), *each, partial(_resolve, done))
        reply = await done
        if isinstance(reply, Exception):  # EXECABORT says only that there is one
            raised(next((one for one in queued if isinstance(one, Exception)), reply))
        replies: list[Any] = raised(reply)
        return [raised(reply) for reply in replies]

    def post(self, function: str, *words: Argument) -> None:
        """Calls an engine function in the background; a refusal is logged."""
        self.spawn(self._posted(function, words))

    async def _posted(self, function: str, words: tuple[Argument, ...]) -> None:
        try:
            await self.call(function, *words)
        except exceptions.ResponseError as error:
            self.refused(function, f"{function} was refused", error)
        else:
            self.said.forget(function)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Starts a task that ends with the link. Returns None, and starts nothing, outside of `tasks`."""
        if self._group is not None:
            with contextlib.suppress(RuntimeError):  # the group is shutting down
                return self._group.create_task(work)
        work.close()
        return None

    @contextlib.asynccontextmanager
    async def tasks(self) -> AsyncIterator[None]:
        """Runs the tasks that `spawn` starts, until one fails or a connection breaks.

        Raises:
            LinkLostError, redis.RedisError: why it ended.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._until_lost())
                yield
        except ExceptionGroup as group:
            raise _cause(group) from None

    async def _until_lost(self) -> None:
        await asyncio.wait((self.commands.lost, self.events.lost), return_when=asyncio.FIRST_COMPLETED)
        name, wire = ("event", self.events) if self.commands.open else ("command", self.commands)
        raise LinkLostError(f"the {name} connection broke: {wire.lost.result() or 'closed by the server'}")


def _resolve(future: asyncio.Future[Any], reply: Any) -> None:
    if not future.done():
        future.set_result(reply)


def _cause(group: ExceptionGroup[Exception]) -> Exception:
    """Why a link ended, out of all that its tasks raised; a group with any other exception is a fault and stays a group.

    Not by `except*`: of several clauses each raises, and two of them make a group again.
    """
    found, faults = group.split((LinkLostError, exceptions.RedisError))
    if found is None or faults is not None:
        return group
    cause: Exception = found.subgroup(LinkLostError) or found
    while isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    return cause
