"""What Lua is told of the server: its versions, and the texts of its errors, which differ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from luasprocs.server.info import ServerInfo, parse_info
from luasprocs.worker.replies import Typed

if TYPE_CHECKING:
    from luasprocs.worker.connection import Connection

_REDIS = {
    b"api": b"redis",
    b"no_arguments": b"Please specify at least one argument for this redis lib call",
    b"bad_arguments": b"Lua redis lib command arguments must be strings or integers",
    b"bad_level": b"Invalid log level.",
}
_REDIS_OLD = {**_REDIS, b"bad_level": b"Invalid debug level."}
_VALKEY = {
    b"api": b"server",
    b"no_arguments": b"Please specify at least one argument for this call",
    b"bad_arguments": b"Command arguments must be strings or integers",
    b"bad_level": b"Invalid log level.",
}
_LOG_SINCE = (7, 4)
"""Since then Redis speaks of a log level."""
_SHORTEST_SINCE = (7, 2)
"""Since then numbers become arguments by their shortest text; before by `%.17g`."""


def server_facts(connection: Connection) -> dict[bytes, Any]:
    """`versions`, `texts` and `modern`, for the table `core`."""
    reply = connection.call("INFO", "server")
    if isinstance(reply, Typed):  # RESP3 gives it with its format
        reply = reply.value[4:]
    text = reply if isinstance(reply, bytes) else b""
    info = parse_info(text)
    redis_version = re.search(rb"redis_version:([\d.]+)", text)
    compatible = redis_version[1] if redis_version else b"7.0.0"
    versions: dict[bytes, Any] = {b"redis": compatible, b"redis_number": _number(compatible)}
    if info.kind == "valkey":
        own = ".".join(map(str, info.version)).encode()
        versions |= {b"valkey": own, b"valkey_number": _number(own)}
    return {
        b"versions": versions,
        b"texts": _texts(info),
        b"modern": info.kind == "valkey" or info.version >= _SHORTEST_SINCE,
    }


def _texts(info: ServerInfo) -> dict[bytes, bytes]:
    if info.kind == "valkey" and info.version >= (8,):
        return _VALKEY
    return _REDIS if info.kind == "redis" and info.version >= _LOG_SINCE else _REDIS_OLD


def _number(version: bytes) -> int:
    """As REDIS_VERSION_NUM: 7.0.15 is 0x0007000f."""
    major, minor, patch = (*map(int, version.split(b".")), 0, 0)[:3]
    return major << 16 | minor << 8 | patch
