"""Texts of dialogs: replies, previews, what is wrong with a value. Knows no widget."""

from __future__ import annotations

import difflib
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from luasprocs.errors import RegistryError, SettingsError
from luasprocs.history import read_blobs, read_history, state_at
from luasprocs.metadata import KEYS as METADATA_KEYS
from luasprocs.metadata import parse_value
from luasprocs.recurrence import Recurrence
from luasprocs.registry import read_live, read_sprocs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis import Redis

    from luasprocs.keys import Keys
    from luasprocs.sproc import Sproc


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


def rollback_preview(generation: int, client: Redis, keys: Keys) -> str:
    """The diff of what a rollback would change.

    Raises:
        RegistryError: that generation is live, or is not kept.
    """
    live = read_live(client, keys)
    if generation == live.revision.generation:
        raise RegistryError(f"generation {generation} is what is live")
    blobs = {name: sproc.blob for name, sproc in live.sprocs.items()}
    _, wanted = state_at(generation, blobs, read_history(client, keys))
    changed = sorted(name for name in blobs.keys() | wanted.keys() if blobs.get(name) != wanted.get(name))
    old = read_blobs(client, keys, {wanted[name] for name in changed if name in wanted}, strict=False)
    now = {sproc.name: sproc.source for sproc in read_sprocs(client, keys, changed)}
    lines: list[str] = []
    for name in changed:
        pair = (now.get(name, b""), old.get(wanted.get(name, ""), b""))
        lines += _diff(*pair, f"live/{name}", f"generation {generation}/{name}")
    return "\n".join(lines) or "nothing would change"


def header_conflict(base: Sproc, changes: Mapping[str, str | None], current: Sproc) -> str:
    """What another has changed since, and what would be applied on top of it."""
    theirs = _diff(base.source, current.source, "as you opened it", "as it is now")
    mine = [f"{key} = {value}" if value is not None else f"{key} is removed" for key, value in changes.items()]
    return "\n".join(("Another has changed it meanwhile:", *theirs, "", "You wrote:", *mine))


def source_conflict(mine: bytes, current: Sproc) -> str:
    """What applying a source would make of what it is now."""
    changed = _diff(current.source, mine, "as it is now", "as you wrote it")
    return "\n".join(("Another has changed it meanwhile. Yours would replace it:", *changed))


def _diff(before: bytes, after: bytes, old: str, new: str) -> list[str]:
    was, now = (part.decode("utf-8", "replace").splitlines() for part in (before, after))
    return list(difflib.unified_diff(was, now, old, new, lineterm=""))


def checks() -> Mapping[str, Callable[[str], str]]:
    """For each key of a header: what is wrong with a value, or ""."""
    return {key: partial(_wrong, key) for key in METADATA_KEYS}


def _wrong(key: str, value: str) -> str:
    try:
        parse_value(key, value)
        if key == "cron":
            Recurrence.parse(value, "", "")
    except (ValueError, SettingsError) as error:
        return f"{key}: {error}"
    return ""
