"""The way to a Redis or Valkey server: connections, and what kind of server it is.

No function here shows a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis
from redis import asyncio as async_redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from luasprocs.errors import ServerReadOnlyError, ServerTooOldError, SettingsError
from luasprocs.server_errors import errors_named, named
from luasprocs.urls import checked, redacted

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Mapping

__all__ = [
    "INFO_COMMAND",
    "ServerInfo",
    "connect",
    "connect_async",
    "errors_named",
    "named",
    "parse_info",
    "redacted",
    "require_usable",
    "warnings",
]

CLIENT_NAME = "luasprocs"
CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 30.0
"""How long a reply may take; `?socket_timeout=` or `connect(url, socket_timeout=…)` says otherwise."""

INFO_COMMAND = ("INFO",)
"""For a caller's pipeline: `pipe.execute_command(*INFO_COMMAND)`; its reply is for `parse_info`."""

OLDEST = {"redis": (7, 0), "valkey": (7, 2)}
"""The first versions with functions as the engine needs them."""


def _settings(url: str, given: Mapping[str, Any]) -> dict[str, Any]:
    checked(url)
    return {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": REPLY_TIMEOUT_S,
        "client_name": CLIENT_NAME,
        "driver_info": None,  # CLIENT SETINFO would cost each connection two round trips
        "protocol": 2,
        "decode_responses": False,
        **given,
    }


class _TLSConnection(redis.SSLConnection):
    """One whose TLS handshake must end within the connect timeout, as asyncio's must: to a handshake a server without
    TLS says nothing, ever.
    """

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        sock.settimeout(self.socket_connect_timeout)
        wrapped: ssl.SSLSocket = super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]
        wrapped.settimeout(self.socket_timeout)
        return wrapped


def connect(url: str, **settings: Any) -> redis.Redis:
    """A client; nothing is sent before its first command. `settings` are redis-py's.

    A command is never repeated by itself: one whose reply was lost may have run.

    Raises:
        SettingsError: the URL can't be used.
    """
    merged = _settings(url, {"retry": Retry(NoBackoff(), 0), **settings})
    if url.startswith("rediss:"):
        merged["connection_class"] = _TLSConnection
    try:
        return redis.Redis.from_url(url, **merged)
    except (ValueError, TypeError):  # their text may quote the URL
        raise SettingsError(f"the Redis URL {redacted(url)} can't be used") from None


def connect_async(url: str, **settings: Any) -> async_redis.Redis:
    """The same for asyncio."""
    merged = _settings(url, {"retry": AsyncRetry(NoBackoff(), 0), **settings})
    try:
        client: async_redis.Redis = async_redis.Redis.from_url(url, **merged)
    except (ValueError, TypeError):
        raise SettingsError(f"the Redis URL {redacted(url)} can't be used") from None
    return client


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What a server is.

    `kind`: redis or valkey; `version`: as (7, 0, 15); `role`: master or replica; `master`: its host:port.
    """

    kind: str
    version: tuple[int, ...]
    run_id: str
    role: str
    maxmemory_policy: str
    maxmemory_bytes: int = 0
    master: str = ""
    db: int = 0
    host: str = ""

    @property
    def evicts(self) -> bool:
        """Whether it removes keys that have no TTL when memory is short (as soon as it has a limit)."""
        return self.maxmemory_policy.startswith("allkeys-")

    def __str__(self) -> str:
        """`Redis 7.0.15`."""
        return f"{self.kind.capitalize()} {'.'.join(map(str, self.version)) or 'of unknown version'}"


def parse_info(reply: Mapping[Any, Any] | bytes | str, *, db: int = 0, host: str = "") -> ServerInfo:
    """From INFO's reply, raw or as redis-py parsed it. Fields that are missing have their defaults."""
    raw = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    if isinstance(raw, str):
        raw = dict(line.split(":", 1) for line in raw.splitlines() if ":" in line)
    info = {_text(name): _text(value) for name, value in raw.items()}
    kind = "valkey" if "valkey_version" in info or info.get("server_name") == "valkey" else "redis"
    version = re.match(r"\d+(\.\d+)*", info.get(f"{kind}_version", ""))
    limit = info.get("maxmemory", "")
    return ServerInfo(
        kind=kind,
        version=tuple(map(int, version[0].split("."))) if version else (),
        run_id=info.get("run_id", ""),
        role="replica" if info.get("role") == "slave" else "master",
        maxmemory_policy=info.get("maxmemory_policy", ""),
        maxmemory_bytes=int(limit) if limit.isdecimal() else 0,
        master=f"{info['master_host']}:{info.get('master_port', '')}" if "master_host" in info else "",
        db=db,
        host=host,
    )


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def require_usable(info: ServerInfo, *, writes: bool) -> None:
    """Says no to a server that can't do what luasprocs needs.

    Raises:
        ServerTooOldError: before Redis 7.0 or Valkey 7.2: no functions, or not all that the engine uses.
        ServerReadOnlyError: a replica, and something is to be written.
    """
    if info.version < OLDEST[info.kind]:
        raise ServerTooOldError(f"the server is {info}: luasprocs needs Redis 7.0 or Valkey 7.2, or newer")
    if writes and info.role == "replica":
        raise ServerReadOnlyError(f"the server is a replica, and takes no writes: use its master {info.master}".strip())


def warnings(info: ServerInfo) -> tuple[str, ...]:
    """What is wrong with the server but doesn't keep it from being used; each says what to do."""
    if not info.evicts:
        return ()
    when = "when memory is short" if info.maxmemory_bytes else "as soon as maxmemory is set"
    remedy = "set noeviction, or a volatile-* policy, which removes only keys that have a TTL"
    return (f"maxmemory-policy {info.maxmemory_policy} removes sprocs {when}: {remedy}",)
