"""What an editor shows of the registry in a sproc: code lenses above it, beside a glob how many keys it matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lsprotocol import types

from luasprocs.errors import SettingsError
from luasprocs.language.fields import scan
from luasprocs.language.globs import is_glob
from luasprocs.language.metadata import parse_value, says_yes
from sync.lsp.changes import same_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.operations.key_count import KeyCount
    from luasprocs.operations.snapshot import Snapshot
    from luasprocs.state.stats import Stats
    from sync.lsp.live import LiveData
    from sync.lsp.service import Asked

COMMANDS = ("run", "debug", "executions", "diff", "history")
"""Of the client: `luasprocs.run`, …"""
TOP = types.Range(types.Position(0, 0), types.Position(0, 0))


def lenses(place: Asked, live: LiveData) -> list[types.CodeLens]:
    """Above the first line: what can be done with the sproc, and how it is."""
    uri = place.root.tree.uri(place.name)
    return [
        types.CodeLens(TOP, types.Command(title, f"luasprocs.{command}", None, [uri, place.name]))
        for title, command in _lenses(place, live)
    ]


def _lenses(place: Asked, live: LiveData) -> Iterator[tuple[str, str]]:
    analysis = place.root.diagnosis.analysis(place.name)
    library = analysis is not None and says_yes(analysis.values, "library")
    snapshot = live.look.snapshot if place.root.tree.top == live.top else None
    there = snapshot.live.sprocs.get(place.name) if snapshot and snapshot.live else None
    if there and not library:
        yield "Run", "run"
    if not library:
        yield "Debug", "debug"
    if snapshot is None or there is None:
        return
    yield f"live: {told(place.name, snapshot, live.look.stats.get(place.name))}", "executions"
    if not same_text(there.blob, place.text):
        yield "differs from live", "diff"
    yield "History", "history"


def told(name: str, snapshot: Snapshot, stats: Stats | None) -> str:
    """How a live sproc is, in some words."""
    words = [f"gen {snapshot.live.revision.generation}" if snapshot.live else ""]
    if any(one.name == name for one in snapshot.paused):
        words.append("paused")
    if stats is not None:
        calls, errors = stats.calls + stats.runs, stats.all_errors
        words.append(f"{short(calls)} call{'' if calls == 1 else 's'}")
        if stats.p99_us is not None:
            words.append(f"p99 {milliseconds(stats.p99_us)}")
        if errors:
            words.append(f"{short(errors)} error{'' if errors == 1 else 's'}")
        if stats.failing:
            words.append("the last run failed")
    return ", ".join(words)


def short(count: int) -> str:
    """`950`, `3.2k`, `1.5M`."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (1000, "k")):
        if count >= size:
            return f"{count // (size // 10) / 10:g}{unit}"
    return str(count)


def milliseconds(us: int) -> str:
    """`0.2 ms`, `12 ms`."""
    return f"{us / 1000:.1f} ms" if us < 10_000 else f"{us // 1000} ms"


def key_hints(place: Asked, live: LiveData) -> list[types.InlayHint]:
    """Beside the header's globs: how many keys they match now."""
    if place.root.tree.top != live.top:
        return []
    field = next((one for one in scan(place.text) if one.key == "key"), None)
    try:
        globs = [one for one in parse_value("key", field.value) if is_glob(one)] if field else []
    except SettingsError:
        return []
    counts = [live.count(glob) for glob in globs]
    known = [one for one in counts if one is not None]
    if field is None or not known or len(known) < len(counts):
        return []
    at = place.positions.position(field.value_at + len(field.value))
    return [types.InlayHint(at, "  " + " + ".join(map(matching, known)))]


def matching(found: KeyCount) -> str:
    count = found.estimate
    return f"{'' if found.whole else '≈ '}{count:,} key{'' if count == 1 else 's'}"
