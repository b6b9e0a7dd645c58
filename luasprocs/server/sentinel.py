"""Asks Sentinels which server is the master, all of them at once: one that hangs keeps nobody waiting."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from redis import asyncio as async_redis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from luasprocs.contract.encoding import text
from luasprocs.server.endpoint import Endpoint
from luasprocs.server.errors import is_no_quorum, is_no_sentinel, is_unknown_master
from luasprocs.server.sentinel_errors import SentinelError, Why
from luasprocs.server.urls import place, redacted

if TYPE_CHECKING:
    from collections.abc import Coroutine

SLOW_AFTER_S = 0.25
"""How long the others are waited for once a Sentinel has answered: one that hangs, or can't be reached, is passed over."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What one Sentinel says. `epoch`: the configuration's, of which the newest is right."""

    client: async_redis.Redis
    address: tuple[str, int]
    epoch: int
    down: bool


class Sentinels:
    """The Sentinels of a URL. `within_s`: how long they have to answer; the connect timeout unless given."""

    def __init__(self, url: str, within_s: float = 0.0) -> None:
        self.endpoint = Endpoint.of(url)
        self._url, self._within_s = url, within_s or self.endpoint.connect_timeout_s
        self._clients = [self._client(address) for address in self.endpoint.sentinels]

    def _client(self, address: tuple[str, int]) -> async_redis.Redis:
        options = self.endpoint.options
        settings: dict[str, Any] = {
            "username": options.get("sentinel_username"),
            "password": options.get("sentinel_password"),
            "db": 0,
            "socket_connect_timeout": self._within_s,
            "socket_timeout": self._within_s,
            "retry": Retry(NoBackoff(), 0),
            "driver_info": None,
            "client_name": None,
            "protocol": 2,
        }
        tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
        plain = Endpoint(tls=self.endpoint.tls, options=tls).at(address).plain_url().replace("/0?", "?")
        client: async_redis.Redis = async_redis.Redis.from_url(plain, **settings)
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await asyncio.gather(*(client.aclose() for client in self._clients))

    async def master(self) -> tuple[str, int]:
        """Host and port of the master, as the Sentinels say that have the newest configuration.

        Raises:
            SentinelError: they name none.
        """
        told = await self._each(*(self._ask(client) for client in self._clients))
        newest = max(one.epoch for one in told)
        best = [one for one in told if one.epoch == newest]
        usable = [one for one in best if not one.down]
        if usable and 2 * len(usable) >= len(best):
            found: tuple[str, int] = usable[0].address
            return found
        raise await self._down(best[0])

    async def name_another(self, server: Endpoint) -> bool:
        """Whether the master is another server by now; never without Sentinels. Raises SentinelError."""
        return bool(self._clients) and await self.master() != server.address

    async def others(self) -> list[tuple[str, int]]:
        """Host and port of the replicas that could be the next master.

        Raises:
            SentinelError: no Sentinel answers.
        """
        told = await self._each(*(self._replicas(client) for client in self._clients))
        return max(told, key=len)

    async def _replicas(self, client: async_redis.Redis) -> list[tuple[str, int]]:
        return [(one["ip"], one["port"]) for one in await client.sentinel_slaves(self.endpoint.master)]

    async def _ask(self, client: async_redis.Redis) -> _Told:
        name = self.endpoint.master
        pipe: Any = client.pipeline(transaction=False)
        pipe.sentinel_master(name)
        pipe.sentinel_get_master_addr_by_name(name)
        state, named = await pipe.execute()
        announced = (state["ip"], state["port"])
        # While it fails over, a Sentinel names the new master by the second command alone.
        address = (text(named[0]), named[1]) if named else announced
        down = address == announced and (state["is_sdown"] or state["is_odown"] or not state["is_master"])
        return _Told(client, address, state["config-epoch"], down)

    async def _each(self, *questions: Coroutine[Any, Any, Any]) -> list[Any]:
        """The answers that come in time, one at least. Raises SentinelError."""
        tasks = [asyncio.ensure_future(one) for one in questions]
        try:
            await asyncio.wait(tasks, timeout=SLOW_AFTER_S)
            loop = asyncio.get_running_loop()
            end_s = loop.time() + self._within_s - SLOW_AFTER_S
            while (waiting := [one for one in tasks if not one.done()]) and not any(map(_answered, tasks)):
                if loop.time() >= end_s:
                    break
                await asyncio.wait(waiting, timeout=end_s - loop.time(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        answers = [task.result() for task in tasks if _answered(task)]
        if not answers:
            raise self._error([task.exception() for task in tasks if not task.cancelled()])
        return answers

    def _error(self, failures: list[BaseException | None]) -> SentinelError:
        """Why there is no answer: what one of them refuses tells more than the others' silence."""
        for error in failures:
            if is_unknown_master(error):
                return self._because(Why.UNKNOWN_NAME)
            if is_no_sentinel(error):
                return self._because(Why.NO_SENTINEL)
            if isinstance(error, (exceptions.AuthenticationError, exceptions.NoPermissionError)):
                return self._because(Why.REFUSED, said=str(error))
        for error in failures:
            if error is not None and not isinstance(error, exceptions.RedisError):
                raise error
        return self._because(
            Why.NO_ANSWER, said="; ".join(sorted({str(error) for error in failures})) or "nothing in time"
        )

    async def _down(self, told: _Told) -> SentinelError:
        where = place(*told.address)
        try:
            await told.client.execute_command("SENTINEL CKQUORUM", self.endpoint.master)
        except exceptions.ResponseError as error:
            if is_no_quorum(error):
                return self._because(Why.NO_QUORUM, address=where, said=str(error))
        except exceptions.RedisError:
            pass
        return self._because(Why.DOWN, address=where)

    def _because(self, why: Why, **words: str) -> SentinelError:
        return because(why, self._url, self.endpoint, **words)


def because(why: Why, url: str, endpoint: Endpoint, **words: str) -> SentinelError:
    """The error, with the names that its text has. `endpoint`: with the master's address, if it is known."""
    address = place(*endpoint.address) if endpoint.host else ""
    return SentinelError(why, **{"url": redacted(url), "name": endpoint.master, "address": address, **words})


def _answered(task: asyncio.Future[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


async def located(url: str) -> Endpoint:
    """Where the server of a URL is now: of Sentinels, their master.

    Raises:
        SettingsError: the URL can't be used. SentinelError: Sentinels name no master.
    """
    endpoint = Endpoint.of(url)
    if not endpoint.sentinels:
        return endpoint
    async with Sentinels(url) as sentinels:
        return endpoint.at(await sentinels.master())


def master_of(url: str, within_s: float = 0.0) -> tuple[str, int]:
    """The same for those without a loop, or inside one that they must not enter: host and port. Raises SentinelError."""

    async def ask() -> tuple[str, int]:
        async with Sentinels(url, within_s) as sentinels:
            return await sentinels.master()

    with ThreadPoolExecutor(1, "luasprocs-sentinel") as thread:
        return thread.submit(asyncio.run, ask()).result()


def is_master(hello: Any) -> bool:
    """Whether HELLO's reply is a master's."""
    pairs = hello.items() if isinstance(hello, dict) else zip(hello[::2], hello[1::2], strict=True)
    return bool(dict(pairs).get(b"role", b"master") == b"master")
