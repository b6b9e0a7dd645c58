"""Reads replies in RESP3.

redis-py and hiredis give a status and a string as the same bytes; Lua must tell `{ok='OK'}` from 'OK', so replies are read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from io import BufferedReader

LEVELS_LIMIT = 100  # of arrays in arrays
ELEMENT_BYTES = 16  # of an array, beside what it holds


class TooLargeError(Exception):
    """A reply is larger than the job's memory."""


@dataclass(frozen=True, slots=True)
class StatusReply:
    """A status reply, as `+OK`."""

    text: bytes


@dataclass(frozen=True, slots=True)
class ErrorReply:
    text: bytes


@dataclass(frozen=True, slots=True)
class Typed:
    """A reply that only RESP3 has. `kind`: map, set, big_number, verbatim_string, as Redis calls them in Lua."""

    kind: str
    value: Any


class Reader:
    """Reads one reply; its parts may have `limit_bytes` together."""

    def __init__(self, stream: BufferedReader, limit_bytes: int) -> None:
        self._stream = stream
        self._left = limit_bytes

    def read(self, level: int = 0) -> Any:
        """The reply: bytes, int, float, bool, None, list, StatusReply, ErrorReply, Typed.

        Raises:
            EOFError: the connection ended. ValueError: it is no reply. TooLargeError: it passes the limit.
        """
        line = self._stream.readline()
        if line[-2:] != b"\r\n":
            raise EOFError
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            return self._bulk(int(rest))
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return self._many(int(rest), level)
        return self._nested(kind, rest, level) if kind in b"=~%" else _simple(kind, rest)

    def _bulk(self, size: int) -> bytes | None:
        if size < 0:
            return None
        self._spend(size)
        data = self._stream.read(size + 2)
        if len(data) != size + 2:
            raise EOFError
        return data[:-2]

    def _many(self, count: int, level: int) -> list[Any] | None:
        if count < 0:
            return None
        if level >= LEVELS_LIMIT:
            raise ValueError("arrays in arrays without end")
        self._spend(ELEMENT_BYTES * count)
        read = self.read
        return [read(level + 1) for _ in range(count)]

    def _nested(self, kind: bytes, rest: bytes, level: int) -> Typed:
        size = int(rest)
        if kind == b"=":
            return Typed("verbatim_string", self._bulk(size))
        if kind == b"~":
            return Typed("set", self._many(size, level))
        flat = self._many(2 * size, level) or []
        return Typed("map", list(zip(flat[::2], flat[1::2], strict=True)))

    def _spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLargeError


def _simple(kind: bytes, rest: bytes) -> Any:
    match kind:
        case b"+":
            return StatusReply(rest)
        case b"-":
            return ErrorReply(rest)
        case b"_":
            return None
        case b"#":
            return rest == b"t"
        case b",":
            return float(rest)
        case b"(":
            return Typed("big_number", rest)
    raise ValueError("no reply of Redis")
