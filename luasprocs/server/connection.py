"""The way to a Redis or Valkey server: redis-py's connections. No function here shows a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from redis import asyncio as async_redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, HiredisRespSerializer
from redis.retry import Retry

from luasprocs.contract.encoding import raw
from luasprocs.errors import SettingsError
from luasprocs.server.endpoint import CLIENT_NAME, CONNECT_TIMEOUT_S, REPLY_TIMEOUT_S
from luasprocs.server.errors import errors_named, named
from luasprocs.server.tls import TLSConnection
from luasprocs.server.urls import GUIDED_SCHEMES, checked, redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["connect", "connect_async", "errors_named", "named", "redacted"]


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": REPLY_TIMEOUT_S,
        "client_name": CLIENT_NAME,
        "driver_info": None,  # CLIENT SETINFO would cost each connection two round trips
        "protocol": 2,
        "decode_responses": False,
        "encoding_errors": "surrogateescape",  # names of git's are bytes, and not always UTF-8
        **given,
    }


def hurried(within_s: float) -> dict[str, float]:
    """The settings of a client that waits at most so long for an answer, but at least a second."""
    within_s = max(1.0, within_s)
    return {
        "socket_timeout": min(REPLY_TIMEOUT_S, within_s),
        "socket_connect_timeout": min(CONNECT_TIMEOUT_S, within_s),
    }


class _Greeted(AbstractConnection):
    """A connection whose server has to answer the first commands, a name and a login, within the connect timeout: one that hangs
    is known soon, and what it is asked then may take as long as it takes.
    """

    def on_connect_check_health(self, check_health: bool = True) -> None:  # redis-py's
        sock: Any = self._sock
        sock.settimeout(self.socket_connect_timeout)
        super().on_connect_check_health(check_health)
        sock.settimeout(self.socket_timeout)


class _Plain(_Greeted, redis.Connection):
    pass


class _Unix(_Greeted, redis.UnixDomainSocketConnection):
    pass


class _TLS(_Greeted, TLSConnection):
    pass


_CONNECTIONS = {"redis": _Plain, "unix": _Unix, "rediss": _TLS}


class _Packer(HiredisRespSerializer):
    """Packs names that are not UTF-8 as the bytes that they stand for; redis-py heeds `encoding_errors` without hiredis alone."""

    def pack(self, *args: Any) -> Any:
        try:
            return super().pack(*args)
        except UnicodeEncodeError:
            return super().pack(*map(_as_bytes, args))


def _as_bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return raw(value)
    except UnicodeEncodeError:  # half of a character, as JSON can write it: no name
        return value.encode("utf-8", "surrogatepass")


def connect(url: str, **settings: Any) -> redis.Redis:
    """A client; nothing is sent before its first command. `settings` are redis-py's.

    A command is never repeated by itself: one whose reply was lost may have run.

    Raises:
        SettingsError: the URL can't be used.
    """
    scheme = checked(url).scheme
    merged = _settings({"retry": Retry(NoBackoff(), 0), "command_packer": _Packer(), **settings})
    try:
        if scheme in GUIDED_SCHEMES:
            from luasprocs.server.guided_clients import client  # noqa: PLC0415  # 3 ms, which most URLs needn't pay

            return client(url, merged)
        return redis.Redis.from_url(url, connection_class=_CONNECTIONS[scheme], **merged)
    except (ValueError, TypeError):  # their text may quote the URL
        raise SettingsError(f"the Redis URL {redacted(url)} can't be used") from None


def connect_async(url: str, **settings: Any) -> async_redis.Redis:
    scheme = checked(url).scheme
    merged = _settings({"retry": AsyncRetry(NoBackoff(), 0), **settings})
    try:
        if scheme in GUIDED_SCHEMES:
            from luasprocs.server.guided_clients import async_client  # noqa: PLC0415  # as in `connect`

            return async_client(url, merged)
        made: async_redis.Redis = async_redis.Redis.from_url(url, **merged)
    except (ValueError, TypeError):
        raise SettingsError(f"the Redis URL {redacted(url)} can't be used") from None
    return made
