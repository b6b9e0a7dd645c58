"""Replies as text and numbers, and the way back. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_DIGITS_LIMIT = 19  # of what Redis itself counts up to
_YEAR_10000_S = 253_402_300_800


def text(value: bytes | str) -> str:
    """A reply as text; bytes that are not UTF-8 survive the way back."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def raw(value: str) -> bytes:
    """The way back."""
    return value.encode("utf-8", "surrogateescape")


def is_text(value: Any) -> bool:
    """Whether it is a text that can be sent; bytes that are no UTF-8 are surrogates of their own."""
    try:
        return isinstance(value, str) and raw(value) is not None
    except UnicodeEncodeError:  # half of a character, as JSON can write it
        return False


def number(value: str) -> int:
    """A count; 0 for what is none."""
    return int(value) if value.isascii() and value.isdecimal() and len(value) <= _DIGITS_LIMIT else 0


def seconds(value: Any) -> float:
    """Unix seconds; 0 for what is none, or beyond any calendar."""
    try:
        found = float(value)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return found if 0 <= found < _YEAR_10000_S else 0.0


def texts(stored: Mapping[Any, Any] | None) -> dict[str, str]:
    """A hash's or an entry's fields as text."""
    return {text(key): text(value) for key, value in (stored or {}).items()}


def parsed_json(written: bytes | str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is none, or one that nests too deep.
    """
    try:
        return json.loads(written)
    except RecursionError:
        raise ValueError("it nests too deep") from None


def time_ms(reply: tuple[int, int]) -> int:
    """TIME's reply in milliseconds."""
    seconds, microseconds = reply
    return int(seconds) * 1000 + int(microseconds) // 1000
