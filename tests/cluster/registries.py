"""What each primary of a cluster holds of a registry, read by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis

from luasprocs.contract.keys import Keys
from luasprocs.server.slots import SHARED, slot_of

if TYPE_CHECKING:
    from tests.clusters import Cluster, Node


@dataclass(frozen=True, slots=True)
class Held:
    """One primary's registry. `engine`: the id of its engine's text and the generation that it runs, "" without an engine."""

    generation: int
    sources: dict[str, str]
    engine: str


def tags(cluster: Cluster) -> dict[str, int]:
    """The directory."""
    found = cluster.at(f"{{{SHARED}}}").ask("HGETALL", Keys(tag=SHARED).shards)
    pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
    return {tag: int(generation) for tag, generation in pairs}


def tags_on(cluster: Cluster, node: Node) -> list[str]:
    """The tags in the directory whose slots a primary serves."""
    return [tag for tag in tags(cluster) if cluster.serving(slot_of(tag.encode())) is node]


def keys_on(cluster: Cluster, node: Node) -> Keys:
    """Those of the one registry of a primary."""
    (tag,) = tags_on(cluster, node)
    return Keys(tag=tag)


def held(cluster: Cluster, node: Node) -> Held:
    """What a primary holds; nothing if its registry is not in the directory."""
    found = tags_on(cluster, node)
    if not found:
        return Held(0, {}, "")
    keys = keys_on(cluster, node)
    names = node.ask("LRANGE", keys.list, 0, -1)
    sources = {name: node.ask("HGET", keys.name(name), "source") for name in names}
    return Held(int(node.ask("HGET", keys.revision, "generation") or 0), sources, engine_on(node, keys))


def engine_on(node: Node, keys: Keys) -> str:
    """What the engine says of itself: its generation."""
    try:
        about = node.ask("FCALL_RO", keys.function("about"), 0)
    except redis.ResponseError:
        return ""
    return str(about)


def everywhere(cluster: Cluster) -> list[Held]:
    """What each primary holds, in their order."""
    return [held(cluster, node) for node in cluster.primaries]


def same(cluster: Cluster, generation: int, **sources: str) -> None:
    """Asserts that each primary holds this, and an engine."""
    wanted = {f"{stem}.lua": source for stem, source in sources.items()}
    found = everywhere(cluster)
    assert [(one.generation, one.sources) for one in found] == [(generation, wanted)] * len(found)
    assert all(one.engine for one in found)
    assert set(tags(cluster).values()) == {generation}
    assert len(tags(cluster)) == len(found)


def untouched(cluster: Cluster) -> None:
    """Asserts that nothing was ever applied."""
    for node in cluster.primaries:
        assert node.ask("KEYS", "*") == []
