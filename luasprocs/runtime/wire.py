"""One raw connection, read with hiredis: 48,000 to 117,000 messages a second. redis-py's async pub/sub reads 19,000
to 30,000.

Connecting, AUTH and SELECT follow the URL as redis-py reads it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import hiredis
from redis import exceptions

from luasprocs.server.endpoint import CLIENT_NAME, Endpoint
from luasprocs.server.errors import connect_timeout, nothing_answers
from luasprocs.server.guide_errors import Why
from luasprocs.server.guides import because, is_master
from luasprocs.server.located import located
from luasprocs.server.reasons import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Handler: TypeAlias = Callable[[Any], None]

Argument: TypeAlias = bytes | str | int


READ_BYTES = 32 * 1024
"""Of one read: about 300 events, so that a backlog of them keeps nothing else waiting for more than some milliseconds."""


class Wire(asyncio.BufferedProtocol):
    """A connection. Replies go to the handlers of the commands, in order; `lost` is done when the connection breaks, with the
    redis.RedisError that broke it, or None.

    A reply that is an error is an `hiredis.ReplyError`, or the ConnectionError that broke the connection. `read_bytes`: how
    much was read so far.
    """

    def __init__(self) -> None:
        self.lost: asyncio.Future[exceptions.RedisError | None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None
        self.read_bytes = 0
        # A view: asyncio's TLS reads the second record of several into a slice, which of a bytearray is a copy.
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._reader = hiredis.Reader(replyError=hiredis.ReplyError)
        self._handlers: deque[Handler] = deque()
        self.receive: Handler = self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)  # noqa: S101
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.read_bytes += nbytes
        reader = self._reader
        try:
            reader.feed(self._buffer, 0, nbytes)  # type: ignore[arg-type]  # any buffer, its stub says bytes
            gets = reader.gets
            while (message := gets()) is not False:
                self.receive(message)
        except hiredis.ProtocolError as error:
            self.close(exceptions.InvalidResponse(str(error)))
            return
        self.flushed()

    def flushed(self) -> None:
        """All messages of one read have been handled."""

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(exceptions.ConnectionError(str(error)) if error else None)

    def close(self, error: exceptions.RedisError | None = None) -> None:
        self._lose(error)
        if self._transport is not None:
            self._transport.abort()

    def _lose(self, error: exceptions.RedisError | None) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
        failure = exceptions.ConnectionError(str(error or "the connection was closed"))
        while self._handlers:
            self._handlers.popleft()(failure)

    @property
    def open(self) -> bool:
        """Whether commands can be sent."""
        return not self.lost.done()

    def send(self, payload: bytes, *handlers: Handler) -> None:
        """Sends packed commands, with one handler for each reply. If the connection is broken, handlers get the error at once."""
        if self._transport is None or self.lost.done():
            for handler in handlers:
                handler(exceptions.ConnectionError("the connection was closed"))
            return
        self._handlers.extend(handlers)
        self._transport.write(payload)

    async def call(self, *words: Argument) -> Any:
        """Sends a command and waits for its reply.

        Raises:
            redis.ResponseError: the server refused it. redis.ConnectionError: the connection broke.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send(packed(*words), lambda reply: None if future.done() else future.set_result(reply))
        return raised(await future)

    def _answer(self, message: Any) -> None:
        self._handlers.popleft()(message)


async def pipelined(wire: Wire, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """Sends several commands in one write. Returns their replies in order, refusals included.

    Raises:
        redis.ConnectionError: the connection broke.
    """
    if not commands:
        return []
    replies: list[Any] = []
    whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(reply: Any) -> None:
        replies.append(reply)
        if len(replies) == len(commands) and not whole.done():
            whole.set_result(None)

    wire.send(b"".join(packed(*words) for words in commands), *[answered] * len(commands))
    await whole
    if isinstance(replies[-1], exceptions.ConnectionError):
        raise replies[-1]
    return replies


def packed(*words: Argument) -> bytes:
    """Packs a command for sending."""
    command: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub says a tuple of one
    return command


def raised(reply: Any) -> Any:
    """Returns a reply, or raises it if it is an error."""
    if isinstance(reply, hiredis.ReplyError):
        raise exceptions.ResponseError(str(reply))
    if isinstance(reply, Exception):
        raise reply
    return reply


async def connect(url: str, kind: type[Wire] = Wire, *, busy: bool = False, server: Endpoint | None = None) -> Wire:
    """Opens a connection. `busy`: sends nothing that a server refuses while it runs a script; `server`: where the
    URL's server was found before, else Sentinels are asked.

    Raises:
        redis.RedisError: nothing answers, or the server refuses user, password or db.
    """
    endpoint = server or await located(url)
    try:
        return await _connected(endpoint, kind, busy=busy)
    except _ReplicaError:
        raise because(Why.REPLICA, url, endpoint) from None
    except exceptions.RedisError as error:
        if endpoint.guides and nothing_answers(error):
            raise because(Why.DEAD, url, endpoint, said=reason(error)) from error
        raise


class _ReplicaError(Exception):
    """Sentinels named a server that is no master."""


async def _connected(endpoint: Endpoint, kind: type[Wire], *, busy: bool) -> Wire:
    try:
        async with asyncio.timeout(endpoint.connect_timeout_s):
            wire = await _opened(endpoint, kind)
            try:
                await _greet(wire, endpoint, busy=busy)
            except BaseException:
                wire.close()
                raise
    except TimeoutError as error:
        raise connect_timeout() from error
    except OSError as error:
        raise exceptions.ConnectionError(reason(error)) from error
    return wire


async def _opened(endpoint: Endpoint, kind: type[Wire]) -> Wire:
    loop = asyncio.get_running_loop()
    if endpoint.path:
        return (await loop.create_unix_connection(kind, endpoint.path))[1]
    tls = endpoint.tls_context()
    name = endpoint.host if tls else None
    _, wire = await loop.create_connection(kind, endpoint.host, endpoint.port, ssl=tls, server_hostname=name)
    return wire


async def _greet(wire: Wire, endpoint: Endpoint, *, busy: bool) -> None:
    if endpoint.login:
        # As redis-py does: without a user name, so that a server without a password says so.
        await _authenticate(wire, *endpoint.login[0 if endpoint.username else 1 :])
    if endpoint.guides and not is_master(await wire.call("HELLO", 2)):
        raise _ReplicaError
    if busy:
        return
    if endpoint.db:
        await wire.call("SELECT", endpoint.db)
    await wire.call("CLIENT", "SETNAME", f"{CLIENT_NAME}-daemon")


async def _authenticate(wire: Wire, *words: str) -> None:
    try:
        await wire.call("AUTH", *words)
    except exceptions.ResponseError as error:
        raise exceptions.AuthenticationError(str(error)) from None
