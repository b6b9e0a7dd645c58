"""Replies and records as text to read, or as JSON. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from luasprocs.state.executions import Execution


def pretty(reply: Any) -> str:
    """A reply to read: JSON indented, bytes as text."""
    if isinstance(reply, bytes):
        text = reply.decode("utf-8", "backslashreplace")
        try:
            return json.dumps(json.loads(text), indent=2, ensure_ascii=False) if text[:1] in "[{" and text else text
        except ValueError:
            return text
    if isinstance(reply, list):
        return "\n".join(f"{number}) {pretty(part)}" for number, part in enumerate(reply, 1)) or "(empty)"
    return "(nil)" if reply is None else str(reply)


def record_json(record: Execution) -> str:
    return json.dumps(record._asdict(), indent=2, ensure_ascii=True) + "\n"
