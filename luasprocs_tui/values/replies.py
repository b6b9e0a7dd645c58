"""Replies and records as text to read, or as JSON. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from luasprocs.state.executions import Execution

DEPTH_SHOWN = 50
"""Levels of a nested reply; what lies deeper is only said to be there."""


def pretty(reply: Any) -> str:
    """A reply to read: parts numbered and indented as redis-cli does it, JSON indented, bytes as text."""
    return "\n".join(_lines(reply, DEPTH_SHOWN))


def _lines(reply: Any, levels: int) -> Iterator[str]:
    if isinstance(reply, bytes):
        yield from _text(reply.decode("utf-8", "backslashreplace")).split("\n")
    elif isinstance(reply, list | set | tuple):
        yield from _numbered(list(reply), levels) if reply else ("(empty)",)
    elif isinstance(reply, dict):
        yield from _mapped(reply, levels) if reply else ("(empty)",)
    else:
        yield "(nil)" if reply is None else str(reply)


def _numbered(parts: list[Any], levels: int) -> Iterator[str]:
    width = len(str(len(parts)))
    for number, part in enumerate(parts, 1):
        yield from _under(f"{number:>{width}}) ", part, levels)


def _mapped(parts: Mapping[Any, Any], levels: int) -> Iterator[str]:
    for key, part in parts.items():
        yield from _under(f"{pretty(key)} => ", part, levels)


def _under(head: str, part: Any, levels: int) -> Iterator[str]:
    """The lines of a part, the first behind its head, the others below it."""
    lines = _lines(part, levels - 1) if levels > 1 else iter(("…",))
    for at, line in enumerate(lines):
        yield f"{' ' * len(head) if at else head}{line}"


def _text(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if text[:1] in "[{" and text else text
    except (ValueError, RecursionError):  # too deep for Python is a text, too
        return text


def record_json(record: Execution) -> str:
    return json.dumps(record._asdict(), indent=2, ensure_ascii=True) + "\n"
