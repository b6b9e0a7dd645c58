"""A chain of causes as a tree: the event, what it ran, what that wrote, what that ran. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.state.executions import order_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from luasprocs.state.executions import Execution


class Node(NamedTuple):
    """A run. `branch`: the lines of the tree before it; `cause`: the event that ran it, if none beside it had the same.

    `after_ms`: since the first run of the chain.
    """

    run: Execution
    branch: str
    cause: str
    after_ms: int


def chain_of(record: Execution, known: Iterable[Execution]) -> list[Execution]:
    """The runs of the chain that a record belongs to. What somebody calls has their name as its origin, each time the same: of
    these only the last call before it, and what came until the next.
    """
    origin = record.origin.strip("-")
    same = (
        sorted((one for one in known if one.origin == record.origin), key=lambda one: order_of(one.id))
        if origin
        else []
    )
    if _OF_EVENT.fullmatch(origin):
        return same
    chain: list[Execution] = []
    for one in same:
        if one.depth <= 1:
            if record in chain:
                break
            chain = []
        chain.append(one)
    return chain if record in chain else []


_OF_EVENT = re.compile(r"[\d-]+")


def cascade(runs: Iterable[Execution]) -> list[Node]:
    """The runs of one chain, each below that which caused it: of those that are one less deep, the last that began before it.

    A record doesn't say which of several of the same depth wrote its key; the last one before it is the likeliest.
    """
    ordered = sorted(runs, key=lambda one: order_of(one.id))
    if not ordered:
        return []
    below: dict[str, list[Execution]] = {}
    last: dict[int, Execution] = {}
    roots = []
    for one in ordered:
        parent = last.get(one.depth - 1)
        if parent is None:
            roots.append(one)
        else:
            below.setdefault(parent.id, []).append(one)
        last[one.depth] = one
    found: list[Node] = []
    _grow(roots, "", below, ordered[0].time_ms, found)
    return found


def _grow(
    runs: Sequence[Execution], before: str, below: dict[str, list[Execution]], start_ms: int, found: list[Node]
) -> None:
    cause = ""
    for at, one in enumerate(runs):
        last = at == len(runs) - 1
        its = f"{one.event} {one.key}".strip() if one.event else one.trigger
        found.append(Node(one, before + ("└ " if last else "├ "), "" if its == cause else its, one.time_ms - start_ms))
        cause = its
        _grow(below.get(one.id, ()), before + ("  " if last else "│ "), below, start_ms, found)
