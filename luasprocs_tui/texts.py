"""Texts of dialogs: replies, previews, what is wrong with a value. Knows no widget."""

from __future__ import annotations

import dataclasses
import difflib
import json
import shlex
from functools import partial
from typing import TYPE_CHECKING, Any

from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from luasprocs.errors import LuasprocsError, RegistryError, SettingsError
from luasprocs.language.header import values_of
from luasprocs.language.metadata import parse_value
from luasprocs.language.recurrence import Recurrence
from luasprocs.language.triggers import SCHEDULE_KEYS, schedule_of
from luasprocs.registry.edits import blob_like, parse_edit
from luasprocs.registry.history import read_blobs, read_history, state_at
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.server.registry import Registry
from luasprocs.state.desired import SyncState, read_sync_state
from luasprocs.state.executions import time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from redis import Redis

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.history import Generation
    from luasprocs.state.executions import Execution

TIMES_SHOWN = 3
KEYS_LOOKED_AT = 20_000
_SCAN_COUNT = 1000
COMMIT_SHOWN = 8


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


def rollback_preview(generation: int, registry: Registry) -> str:
    """The diff of what a rollback would change.

    Raises:
        RegistryError: that generation is live, or is not kept.
    """
    live = read_live(registry)
    if generation == live.revision.generation:
        raise RegistryError(f"generation {generation} is what is live")
    blobs = {name: sproc.blob for name, sproc in live.sprocs.items()}
    _, wanted = state_at(generation, blobs, read_history(registry))
    changed = sorted(name for name in blobs.keys() | wanted.keys() if blobs.get(name) != wanted.get(name))
    old = read_blobs(registry, {wanted[name] for name in changed if name in wanted}, strict=False)
    now = {sproc.name: sproc.source for sproc in read_sprocs(registry, changed)}
    lines: list[str] = []
    for name in changed:
        pair = (now.get(name, b""), old.get(wanted.get(name, ""), b""))
        lines += _diff(*pair, f"live/{name}", f"generation {generation}/{name}")
    return "\n".join(lines) or "nothing would change"


def generation_diff(generation: Generation, name: str, registry: Registry) -> str:
    """What a generation changed, of one sproc or (`name` is "") of all; sources that are not kept any more are said.

    Raises:
        RegistryError: the kept sources can't be read.
    """
    pairs: dict[str, tuple[str, str]] = {one: ("", blob) for one, blob in generation.created.items()}
    pairs |= generation.updated
    pairs |= {one: (blob, "") for one, blob in generation.deleted.items()}
    wanted = {one: pair for one, pair in sorted(pairs.items()) if name in {"", one}}
    live = {one.blob: one.source for one in read_sprocs(registry, wanted)}
    kept = live | read_blobs(registry, {blob for pair in wanted.values() for blob in pair if blob}, strict=False)
    head = [
        f"generation {generation.generation}, {generation.action}, {generation.applied_at}, applied by {generation.applied_by}",
        f"commit {generation.commit}",
        *([f"by {generation.author}"] if generation.author else []),
        *([generation.subject] if generation.subject else []),
    ]
    return "\n".join([*head, *(line for one, pair in wanted.items() for line in _changed(one, pair, kept))])


def _changed(name: str, pair: tuple[str, str], kept: Mapping[str, bytes]) -> list[str]:
    if gone := [blob for blob in pair if blob and blob not in kept]:
        return ["", f"{name}: the source {gone[0][:COMMIT_SHOWN]} is not kept any more"]
    before, after = (kept.get(blob, b"") for blob in pair)
    return ["", *_diff(before, after, f"before/{name}", f"after/{name}")]


def wanted_said(state: SyncState, suspended: str) -> str:
    """What git wants, in one line."""
    if suspended:
        return f"syncs are suspended {suspended}"
    if not state.state:
        return "no daemon syncs here"
    wants = f"git wants {state.commit[:COMMIT_SHOWN]} {state.subject}".strip()
    return f"{state.state}: {wants}" + (f"; {state.reason}" if state.reason else "")


def wanted(state: SyncState, suspended: str) -> list[str]:
    """What git wants and is not live, name by name, and why."""
    lines = [wanted_said(state, suspended)]
    if state.state:
        lines += [
            f"{state.source}  {state.branch} {state.commit}",
            f"seen {time_text(int(state.at * 1000))} by {state.daemon}",
        ]
    named = (
        (f"+{one}" for one in state.created),
        (f"~{one}" for one in state.updated),
        (f"-{one}" for one in state.deleted),
    )
    changes = [line for kind in named for line in kind]
    lines += ["", *(changes or ["nothing that git has waits to be applied"])]
    lines += ["", "problems", *state.problems] if state.problems else []
    lines += ["", *(f"edited by hand: {name}" for name in state.drift)] if state.drift else []
    return [*lines, *(line for diff in state.diffs for line in ("", *diff.splitlines()))]


def wanted_of(name: str, registry: Registry) -> list[str]:
    """How a live sproc differs from what git has: a live edit, or a change by hand.

    Raises:
        RegistryError: it is gone, or the kept sources can't be read.
    """
    found = read_sprocs(registry, [name])
    if not found:
        raise RegistryError(f"{name} is gone: it was deleted meanwhile")
    sproc, edit = found[0], parse_edit(found[0].edit)
    state = read_sync_state(registry)
    waits = [diff for diff in state.diffs if {f"--- live/{name}", f"+++ git/{name}"} & set(diff.split("\n", 2)[:2])]
    if waits:
        return [f"git wants another source of it: {wanted_said(state, '')}", "", *waits[0].splitlines()]
    base = edit.base if edit else sproc.blob
    if blob_like(base, sproc.source) == base:
        return [f"its source is as git has it: commit {sproc.commit}"]
    kept = read_blobs(registry, {base}, strict=False)
    said = f"edited live by {edit.by}, not committed yet" if edit else "changed by hand: a sync takes it back"
    if base not in kept:
        return [said, "", f"what git has of it ({base[:COMMIT_SHOWN]}) is not kept in Redis"]
    return [said, "", *_diff(kept[base], sproc.source, f"git/{name}", f"live/{name}")]


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


def header_diff(sproc: Sproc, changes: Mapping[str, str | None]) -> str:
    """What an edit of its header would change."""
    values = values_of(sproc.source, sproc.name)
    lines = []
    for key, value in changes.items():
        lines += [f"-{key}={values[key]}"] if key in values else []
        lines += [f"+{key}={value}"] if value is not None else []
    return "\n".join(lines)


def source_diff(before: bytes, after: bytes, name: str) -> str:
    """What an edit would change."""
    return "\n".join(_diff(before, after, f"live/{name}", f"yours/{name}")) or "nothing would change"


def execute_words(typed: str) -> tuple[str, list[str], list[str]]:
    """Name, keys and arguments of `NAME [--key K]… [ARG]…`, as the command line takes them.

    Raises:
        LuasprocsError: the words can't be told apart, or an option lacks its value.
    """
    try:
        words = shlex.split(typed)
    except ValueError as error:
        raise LuasprocsError(f"the words can't be told apart: {error}") from error
    keys: list[str] = []
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            rest += left
        elif word == "--key":
            key = next(left, None)
            if key is None:
                raise LuasprocsError("--key lacks its value")
            keys.append(key)
        elif word.startswith("--key="):
            keys.append(word.removeprefix("--key="))
        else:
            rest.append(word)
    if not rest:
        raise LuasprocsError("which sproc? NAME [--key K]… [ARG]…")
    return rest[0], keys, rest[1:]


def record_json(record: Execution) -> str:
    """All fields of a record."""
    return json.dumps(dataclasses.asdict(record), indent=2, ensure_ascii=True) + "\n"


def next_times(schedule: tuple[str, str, str], now_ms: float) -> str:
    """The next times of cron, every and tz, in UTC; "" where there are none.

    Raises:
        ValueError: the schedule is bad.
    """
    recurrence, at = Recurrence.parse(*schedule), now_ms
    found: list[str] = []
    while len(found) < TIMES_SHOWN and (due := recurrence.next_after(at)) is not None:
        found.append(time_text(due)[:19].replace("T", " "))
        at = due
    return f"next (UTC): {', '.join(found)}" if found else ""


def preview(key: str, values: Mapping[str, str], registry: Registry) -> str:  # as Feed.ask calls it
    """What a header's value would do: the next times of a schedule, how many keys a glob matches now."""
    schedule = schedule_of(values)
    if key in SCHEDULE_KEYS and any(schedule[:2]):
        seconds, microseconds = registry.client.time()
        now_ms = int(seconds) * 1000 + int(microseconds) // 1000
        try:
            return next_times(schedule, now_ms)
        except (ValueError, SettingsError):
            return ""
    if key == "key" and values.get("key"):
        try:
            return _matching(registry.client, parse_value(key, values["key"]))
        except SettingsError:
            return ""
    return ""


def _matching(client: Redis, globs: Sequence[str]) -> str:
    """How many keys match, by SCAN, which looks at so many at most."""
    found, looked_at = 0, 0
    said = []
    for glob in globs:
        cursor, found, looked_at = 0, 0, 0
        while looked_at < KEYS_LOOKED_AT // len(globs):
            reply: Any = client.scan(cursor, match=glob.encode("utf-8", "surrogateescape"), count=_SCAN_COUNT)
            cursor, some = reply
            found, looked_at = found + len(some), looked_at + _SCAN_COUNT
            if not cursor:
                break
        said.append(f"{glob} matches {'at least ' if cursor else ''}{found} key{'' if found == 1 else 's'} now")
    return "; ".join(said)


def checks() -> Mapping[str, Callable[[str], str]]:
    """For each key of a header: what is wrong with a value, or ""."""
    return {key: partial(_wrong, key) for key in METADATA_KEYS}


def _wrong(key: str, value: str) -> str:
    try:
        parse_value(key, value)
    except SettingsError as error:
        return f"{key}: {error}"
    return ""
