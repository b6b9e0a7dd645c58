"""Threads of the language server that may wait, for Redis or for git, while its event loop goes on."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from luasprocs.errors import LuasprocsError, ServerError
from luasprocs.server.errors import errors_named
from sync.lsp.failures import AWAY, failed, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sync.lsp.connecting import Connected, Connecting

_Done = TypeVar("_Done")

WAITING_LIMIT = 100
"""So many errands may wait; whoever asks for one more is told so."""
PATIENCE_S = 10.0
"""How long one waits for its turn behind others that get no answer."""


class Errand(NamedTuple):
    """`until_s`: of the monotonic clock; `done`: hears what became of it, in the thread."""

    act: Callable[[], object]
    until_s: float
    done: Callable[[object, Exception | None], None]


class Errands:
    """One thread that does one errand after the other, in the order in which they were given. It ends with the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: queue.SimpleQueue[Errand] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, act: Callable[[], _Done]) -> _Done:
        """What `act` returns or raises in the thread.

        Raises:
            JsonRpcException: too many wait, or those before it took too long.
        """
        if self._queue.qsize() >= WAITING_LIMIT:
            raise failed("busy", "too many requests wait for an answer: try again later")
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Done] = loop.create_future()

        def done(result: object, error: Exception | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, future, result, error)

        self._queue.put(Errand(act, time.monotonic() + PATIENCE_S, done))
        return await future

    def _work(self) -> None:
        while True:
            one = self._queue.get()
            if time.monotonic() > one.until_s:
                one.done(None, failed("not_connected", "no answer in time: requests before this one got none"))
                continue
            try:
                one.done(one.act(), None)
            except Exception as error:  # noqa: BLE001  # whatever it is, the client is told and the thread goes on
                one.done(None, error)


def _settle(future: asyncio.Future[_Done], result: object, error: Exception | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(failure_of(error))
    else:
        future.set_result(result)  # type: ignore[arg-type]  # what `act` returned


def asked(connecting: Connecting, act: Callable[[Connected], _Done]) -> _Done:
    """What `act` finds in the registry. A server that is away may be another one the next time.

    Raises:
        LuasprocsError: what it raises, or why there is no registry.
    """
    connected = connecting.connected()
    try:
        with errors_named(connected.context.url):
            return act(connected)
    except LuasprocsError as error:
        if isinstance(error, AWAY) or type(error) is ServerError:
            connecting.forget()
        raise
