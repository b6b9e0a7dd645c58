"""The shards of a registry at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.server.registry import Registry

_One = TypeVar("_One")
_Done = TypeVar("_Done")


def each_shard(registry: Registry, act: Callable[[Registry], _Done]) -> list[_Done]:
    """What `act` returns for each shard, in the order of `Registry.shards`. Raises what the first that fails raises."""
    return at_once(registry.shards, act)


def at_once(some: Sequence[_One], act: Callable[[_One], _Done]) -> list[_Done]:
    """What `act` returns for each, in their order; a thread each. Raises what the first that fails raises."""
    if len(some) == 1:
        return [act(some[0])]
    with ThreadPoolExecutor(len(some) or 1, "luasprocs-shard") as threads:
        return list(threads.map(act, some))
