"""A batch of events as the engine's dispatch takes it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.contract.limits import DEPTH_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.runtime.bindings import Names
    from luasprocs.runtime.source import Cause, Chunk


def batch_words(chunk: Chunk) -> list[Any]:
    """The head of a batch (names, routes, counts and ways, see dispatch.lua) and its events."""
    places: dict[bytes, int] = {}
    routes: dict[tuple[Names, Cause | None], int] = {}
    heads: list[Any] = []
    events: list[Any] = []
    ways: list[int] = []
    last_names: Names | None = None
    last_cause: Cause | None = None
    way = 0
    for _, key, event, names, cause in chunk.events:
        if names is not last_names or cause is not last_cause:
            last_names, last_cause = names, cause
            way = routes.setdefault((names, cause), len(routes) + 1)
            if len(heads) < way * 5:
                heads += _route(chunk, names, cause, places)
        ways.append(way)
        events += (key, event)
    counts = [event.number for event in chunk.events]
    unbroken = counts[-1] - counts[0] == len(counts) - 1
    return [
        *(len(places), *places, len(routes), *heads),
        counts[0] if unbroken else " ".join(map(str, counts)),
        1 if len(routes) == 1 else " ".join(map(str, ways)),
        *events,
    ]


def _route(chunk: Chunk, names: Names, cause: Cause | None, places: dict[bytes, int]) -> Iterable[Any]:
    picks = [places.setdefault(name, len(places) + 1) for name in names]
    depth = cause.depth + 1 if cause else 1
    state = chunk.verdict or ("deep" if depth > DEPTH_LIMIT else "")
    if chunk.culprit:
        state = f"{state} {places[chunk.culprit]}" if chunk.culprit in places else ""
    return (depth, cause.roots if cause else 0, cause.origin if cause else b"-", state, " ".join(map(str, picks)))
