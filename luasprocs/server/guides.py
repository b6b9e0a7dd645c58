"""Servers that are asked where another one is now, all at once: one that hangs keeps nobody waiting."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self, TypeVar

from redis import asyncio as async_redis
from redis import exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from luasprocs.server.endpoint import Endpoint
from luasprocs.server.guide_errors import CLUSTER, SENTINEL, GuideError, Why
from luasprocs.server.reasons import reason, suspects_tls
from luasprocs.server.urls import place, redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

_Answer = TypeVar("_Answer")
_WITH_SHARD = re.compile(r"[?&]shard=[^&]*")
SLOW_AFTER_S = 0.25
"""How long the others are waited for once a guide has answered: one that hangs, or can't be reached, is passed over."""


class Guides(ABC):
    """The guides of a URL. `within_s`: how long they have to answer; the connect timeout unless given."""

    def __init__(self, url: str, within_s: float = 0.0) -> None:
        self.endpoint = Endpoint.of(url)
        self._url, self._within_s = url, within_s or self.endpoint.connect_timeout_s
        self._clients = [self._client(address) for address in self.endpoint.guides]

    @abstractmethod
    async def master(self) -> tuple[str, int]:
        """Host and port of the primary. Raises GuideError: they name none."""

    @abstractmethod
    async def others(self) -> list[tuple[str, int]]:
        """Host and port of the replicas that could be the next one. Raises GuideError: no guide answers."""

    async def known(self) -> list[tuple[str, int]]:
        """Host and port of all servers that belong together, as a cluster's nodes do. Raises GuideError."""
        return []

    async def name_another(self, server: Endpoint) -> bool:
        """Whether the primary is another server by now; never without guides. Raises GuideError."""
        return bool(self._clients) and await self.master() != server.address

    def _login(self) -> tuple[str | None, str | None]:
        """User and password for the guides."""
        return self.endpoint.username or None, self.endpoint.password or None

    def _client(self, address: tuple[str, int]) -> async_redis.Redis:
        options = self.endpoint.options
        username, password = self._login()
        settings: dict[str, Any] = {
            "username": username,
            "password": password,
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

    async def _each(
        self, ask: Callable[[async_redis.Redis], Coroutine[Any, Any, _Answer]], guides: Sequence[async_redis.Redis]
    ) -> list[_Answer]:
        """The answers that come in time, one at least. Raises GuideError."""
        tasks = [asyncio.ensure_future(ask(one)) for one in guides]
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
            failures = [None if task.cancelled() else task.exception() for task in tasks]
            raise self._error(dict(zip(map(_place, guides), failures, strict=True)))
        return answers

    def _error(self, failures: Mapping[str, BaseException | None]) -> GuideError:
        """Why there is no answer: what one of them refuses tells more than the others' silence. None for one that is silent."""
        for error in failures.values():
            if why := self._refusal(error):
                return self._because(why, said=str(error))
        for error in failures.values():
            if error is not None and not isinstance(error, exceptions.RedisError):
                raise error
        whys = {guide: reason(error) if error else "no answer in time" for guide, error in failures.items()}
        each = set(whys.values())
        said = each.pop() if len(each) == 1 else "; ".join(map(": ".join, whys.items()))
        if suspects_tls(said, tls=(tls := self.endpoint.tls)):
            kind = "cluster" if self.endpoint.tag else "sentinel"
            said += f"; {'without' if tls else 'with'} TLS it is {'redis' if tls else 'rediss'}+{kind}://"
        return self._because(Why.NO_ANSWER, said=said)

    def _refusal(self, error: object) -> Why | None:
        """What a guide's refusal means; None for silence."""
        if isinstance(error, (exceptions.AuthenticationError, exceptions.NoPermissionError)):
            return Why.REFUSED
        return None

    def _because(self, why: Why, **words: str) -> GuideError:
        return because(why, self._url, self.endpoint, **words)


def because(why: Why, url: str, endpoint: Endpoint, **words: str) -> GuideError:
    """The error, with the names that its text has. `endpoint`: with the primary's address, if it is known."""
    address = place(*endpoint.address) if endpoint.host else ""
    texts, name = (CLUSTER, f"{{{endpoint.tag}}}") if endpoint.tag else (SENTINEL, endpoint.master)
    return GuideError(
        why, texts, **{"url": redacted(_WITH_SHARD.sub("", url)), "name": name, "address": address, **words}
    )


def _place(guide: async_redis.Redis) -> str:
    given = guide.connection_pool.connection_kwargs
    return place(given["host"], given["port"])


def _answered(task: asyncio.Future[Any]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def is_master(hello: Any) -> bool:
    """Whether HELLO's reply is a primary's."""
    return bool(_said(hello).get(b"role", b"master") == b"master")


def is_cluster(hello: Any) -> bool:
    """Whether HELLO's reply is that of a cluster's node."""
    return bool(_said(hello).get(b"mode") == b"cluster")


def _said(hello: Any) -> dict[Any, Any]:
    return dict(hello.items() if isinstance(hello, dict) else zip(hello[::2], hello[1::2], strict=True))
