"""redis-py's clients of the master that Sentinels name: they ask at each connection, and now and then while they are used.

A master that is replaced in order serves on for some seconds: what is written to it then is lost. So a pool asks again.
One that hangs is waited for until the Sentinels name another.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

import redis
from redis import asyncio as async_redis
from redis import exceptions
from redis.asyncio import sentinel as async_sentinel
from redis.sentinel import SentinelConnectionPool, SentinelManagedConnection

from luasprocs.server.endpoint import CONNECT_TIMEOUT_S, Endpoint
from luasprocs.server.errors import connect_timeout, nothing_answers, reply_timeout
from luasprocs.server.guide_errors import GuideError, Why
from luasprocs.server.guides import because, is_master
from luasprocs.server.located import guides_of, master_of
from luasprocs.server.reasons import reason
from luasprocs.server.tls import TLSConnection

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

ASK_EVERY_S = 1.0
ASK_WITHIN_S = 0.5
REST_S = 10.0
"""After the Sentinels didn't answer: whoever is connected goes on without them."""


class _Asked:
    """The Sentinels of a URL, as redis-py's pools want them. `settings`: the client's, which the URL's options override."""

    def __init__(self, url: str, settings: Mapping[str, Any]) -> None:
        self.url, self.endpoint = url, Endpoint.of(url)
        given = self.endpoint.options.get("socket_connect_timeout") or settings.get("socket_connect_timeout")
        self.within_s = float(given or CONNECT_TIMEOUT_S)

    def discover_master(self, _name: str) -> tuple[str, int]:
        return master_of(self.url, self.within_s)

    def moved(self, address: tuple[str, int]) -> bool:
        """Whether the Sentinels name another one; those that don't answer are no reason to leave a server."""
        with contextlib.suppress(GuideError):
            return master_of(self.url, ASK_WITHIN_S) != address
        return False

    def failure(self, address: tuple[str, int], error: exceptions.RedisError) -> exceptions.RedisError:
        """What the failure to connect to a master means."""
        if isinstance(error, GuideError) or not nothing_answers(error):
            return error
        return because(Why.DEAD, self.url, self.endpoint.at(address), said=reason(error))

    def because(self, why: Why, address: tuple[str, int]) -> GuideError:
        return because(why, self.url, self.endpoint.at(address))


class _AsyncAsked(_Asked):
    async def discover_master(self, _name: str) -> tuple[str, int]:  # type: ignore[override]  # redis-py's asyncio pools await it
        async with guides_of(self.url, self.within_s) as guides:
            return await guides.master()

    async def moved(self, address: tuple[str, int]) -> bool:  # type: ignore[override]
        with contextlib.suppress(GuideError):
            async with guides_of(self.url, ASK_WITHIN_S) as guides:
                return await guides.master() != address
        return False


class _Connection(SentinelManagedConnection):
    """One that is made within the connect timeout, and is a master's."""

    def connect_to(self, address: tuple[str, int]) -> None:
        try:
            super().connect_to(address)  # type: ignore[no-untyped-call]
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            raise self.connection_pool.sentinel_manager.failure(address, error) from error

    def on_connect_check_health(self, check_health: bool = True) -> None:  # redis-py's
        self._greeted = False
        sock: Any = self._sock
        sock.settimeout(self.socket_connect_timeout)
        super().on_connect_check_health(check_health)
        self.send_command("HELLO", 2, check_health=False)  # type: ignore[no-untyped-call]
        if not is_master(self.read_response()):
            raise self._error(Why.REPLICA)
        sock.settimeout(self.socket_timeout)
        self._greeted = True

    def read_response(self, *args: Any, **settings: Any) -> Any:
        try:
            if self._greeted and "timeout" not in settings:
                self._until_readable()
            return super(SentinelManagedConnection, self).read_response(*args, **settings)
        except exceptions.ReadOnlyError:
            self.disconnect()  # type: ignore[no-untyped-call]
            raise self._error(Why.REPLICA) from None

    def _until_readable(self) -> None:
        """Waits as long as the server remains the master. Raises GuideError, redis.TimeoutError."""
        if self.can_read(0):
            return
        end_s = time.monotonic() + (self.socket_timeout or math.inf)
        while not self.can_read(min(ASK_EVERY_S, max(0.0, end_s - time.monotonic()))):
            if time.monotonic() >= end_s:
                self.disconnect()  # type: ignore[no-untyped-call]
                raise reply_timeout()
            if self.connection_pool.sentinel_manager.moved((self.host, self.port)):
                self.disconnect()  # type: ignore[no-untyped-call]
                raise self._error(Why.MOVED)

    def _error(self, why: Why) -> GuideError:
        error: GuideError = self.connection_pool.sentinel_manager.because(why, (self.host, self.port))
        return error


class _TLSConnection(_Connection, TLSConnection):
    pass


class _Pool(SentinelConnectionPool):
    _ask_again_s = 0.0

    def get_connection(self, *args: Any, **options: Any) -> Any:
        now_s = time.monotonic()
        if self.master_address is not None and now_s >= self._ask_again_s:
            self._ask_again_s = now_s + ASK_EVERY_S
            try:
                if master_of(self.sentinel_manager.url, ASK_WITHIN_S) != self.master_address:
                    self.disconnect(inuse_connections=False)
            except GuideError:
                self._ask_again_s = now_s + REST_S
        return super().get_connection(*args, **options)


class _AsyncConnection(async_sentinel.SentinelManagedConnection):
    async def connect_to(self, address: tuple[str, int]) -> None:
        manager = self.connection_pool.sentinel_manager
        try:
            async with asyncio.timeout(self.socket_connect_timeout):
                await super().connect_to(address)  # type: ignore[no-untyped-call]
        except TimeoutError as error:
            raise manager.failure(address, connect_timeout()) from error
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            raise manager.failure(address, error) from error

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        self._greeted = False
        await super().on_connect_check_health(check_health)
        await self.send_command("HELLO", 2, check_health=False)
        if not is_master(await self.read_response()):
            raise self._error(Why.REPLICA)
        self._greeted = True

    async def read_response(self, *args: Any, **settings: Any) -> Any:
        reply = super(async_sentinel.SentinelManagedConnection, self).read_response(*args, **settings)
        try:
            if self._greeted and "timeout" not in settings:
                return await self._while_master(reply)
            return await reply
        except exceptions.ReadOnlyError:
            await self.disconnect()
            raise self._error(Why.REPLICA) from None

    async def _while_master(self, reply: Coroutine[Any, Any, Any]) -> Any:
        """The reply, as long as the server remains the master. Raises GuideError."""
        task = asyncio.ensure_future(reply)
        try:
            while not (await asyncio.wait((task,), timeout=ASK_EVERY_S))[0]:
                if await self.connection_pool.sentinel_manager.moved((self.host, self.port)):
                    break
            else:
                return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
        await self.disconnect()
        raise self._error(Why.MOVED)

    def _error(self, why: Why) -> GuideError:
        error: GuideError = self.connection_pool.sentinel_manager.because(why, (self.host, self.port))
        return error


class _AsyncTLSConnection(_AsyncConnection, async_redis.SSLConnection):
    pass


class _AsyncPool(async_sentinel.SentinelConnectionPool):
    _ask_again_s = 0.0

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        now_s = time.monotonic()
        if self.master_address is not None and now_s >= self._ask_again_s:
            self._ask_again_s = now_s + ASK_EVERY_S
            try:
                async with guides_of(self.sentinel_manager.url, ASK_WITHIN_S) as guides:
                    if await guides.master() != self.master_address:
                        await self.disconnect(inuse_connections=False)
            except GuideError:
                self._ask_again_s = now_s + REST_S
        return await super().get_connection(*args, **options)  # type: ignore[no-untyped-call]


def _settings(asked: _Asked, given: Mapping[str, Any]) -> dict[str, Any]:
    endpoint = asked.endpoint
    login = {"username": endpoint.username or None, "password": endpoint.password or None}
    url = endpoint.plain_url().replace(
        "rediss:", "redis:", 1
    )  # the class says whether it is TLS: a URL would choose another
    return {"url": url, "service_name": endpoint.master, "sentinel_manager": asked, **login, **given}


def client(url: str, settings: Mapping[str, Any]) -> redis.Redis:
    """A client of the master. `settings`: redis-py's."""
    asked = _Asked(url, settings)
    kind = _TLSConnection if asked.endpoint.tls else _Connection
    pool = _Pool.from_url(connection_class=kind, **_settings(asked, settings))
    return redis.Redis.from_pool(pool)


def async_client(url: str, settings: Mapping[str, Any]) -> async_redis.Redis:
    asked = _AsyncAsked(url, settings)
    kind = _AsyncTLSConnection if asked.endpoint.tls else _AsyncConnection
    pool = _AsyncPool.from_url(connection_class=kind, **_settings(asked, settings))
    made: async_redis.Redis = async_redis.Redis.from_pool(pool)
    return made
