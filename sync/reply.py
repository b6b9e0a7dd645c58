"""Replies as redis-cli prints them: typed on a terminal, raw in a pipe. Pure."""

from __future__ import annotations

from typing import Any

_ESCAPES = {0x07: "\\a", 0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}


def formatted(reply: Any, indent: str = "") -> str:
    """As redis-cli on a terminal: `(integer) 1`, `"text"`, numbered lists."""
    if reply is None:
        return "(nil)"
    if isinstance(reply, bool):
        return "(true)" if reply else "(false)"
    if isinstance(reply, int):
        return f"(integer) {reply}"
    if isinstance(reply, float):
        return f"(double) {reply!r}"
    if isinstance(reply, Exception):
        return f"(error) {reply}"
    if isinstance(reply, list):
        return _formatted_list(reply, indent)
    return quoted(reply if isinstance(reply, bytes) else str(reply).encode())


def _formatted_list(reply: list[Any], indent: str) -> str:
    if not reply:
        return "(empty array)"
    digits = len(str(len(reply)))
    inner = indent + " " * (digits + 2)
    lines = [f"{number:>{digits}}) {formatted(item, inner)}" for number, item in enumerate(reply, 1)]
    return f"\n{indent}".join(lines)


def quoted(value: bytes) -> str:
    """A string in double quotes, bytes that don't print as escapes."""
    return (
        '"'
        + "".join(_ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in value)
        + '"'
    )


def plain(reply: Any) -> bytes:
    """As redis-cli in a pipe: the bytes themselves, a line each."""
    if reply is None:
        return b""
    if isinstance(reply, list):
        return b"\n".join(map(plain, reply))
    return reply if isinstance(reply, bytes) else str(reply).encode()


def as_json(reply: Any) -> Any:
    """As JSON can hold it; bytes that are not UTF-8 as latin-1 escapes in a string."""
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "backslashreplace")
    if isinstance(reply, list):
        return [as_json(item) for item in reply]
    return str(reply) if isinstance(reply, Exception) else reply
