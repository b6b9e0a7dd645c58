"""One change on all shards of a cluster: the first shard's, and what makes the others equal to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from luasprocs.errors import ConflictError, ShardError
from luasprocs.registry.live import read_sprocs
from luasprocs.server.shards import at_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.registry.live import Live
    from luasprocs.registry.ready import Ready
    from luasprocs.registry.revision import Revision
    from luasprocs.registry.transaction import Change
    from luasprocs.server.registry import Registry


def differing(registry: Registry, live: Live) -> tuple[str, ...]:
    """What differs between the shards, a sentence each. Pure."""
    pairs = zip(registry.siblings, live.siblings, strict=True)
    return tuple(f"shard {shard.keys.tag} {why}" for shard, its in pairs if (why := difference(live, its)))


def difference(live: Live, its: Live) -> str:
    """How a shard differs from the first one, as what follows its name; "" if it doesn't. Pure."""
    if its.revision.generation != live.revision.generation:
        return f"has generation {its.revision.generation or 'none'}, not {live.revision.generation}"
    if its.faults:
        return f"was changed by hand: {its.faults[0]}"
    if wrong := _unlike(live, its):
        return f"has another {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
    if its.about is None or (live.about and its.about.version != live.about.version):
        return "has not this engine"
    return ""


def _unlike(live: Live, its: Live) -> list[str]:
    """Names of sprocs that are not as on the first shard."""
    names = live.sprocs.keys() | its.sprocs.keys()
    return sorted(name for name in names if live.sprocs.get(name) != its.sprocs.get(name))


def same_on(its: Live, first: Registry, live: Live, change: Change) -> Change:
    """The change that leaves on a shard, where `its` is live, what `change` leaves on the first one."""
    put = {sproc.name: sproc for sproc in change.put}
    stay = [name for name in change.names if name not in put]
    lacks = [name for name in stay if its.sprocs.get(name) != live.sprocs.get(name) or not its.sprocs[name].intact]
    wanted = {sproc.name: sproc for sproc in read_sprocs(first, lacks)} if lacks else {}
    both = tuple(found for name in change.names if (found := put.get(name) or wanted.get(name)))
    return replace(change, put=both, deleted=tuple(sorted(its.sprocs.keys() - set(change.names))), adopt=True)


def apply_to_shards(registry: Registry, first: Ready, beside: Sequence[Ready]) -> Revision:
    """Applies what is ready on each shard at once, as one generation. Raises as `apply`."""
    generation = max(one.revision.generation for one in (first, *beside))
    each = [one.numbered(generation) for one in (first, *beside)]
    failures = at_once(each, _failure)
    home = registry.home
    done: dict[Any, Any] = {
        one.registry.keys.tag: generation for one, failed in zip(each, failures, strict=True) if not failed
    }
    if done:
        home.client.hset(home.keys.shards, mapping=done)
    wrong = {one.registry.keys.tag: failed for one, failed in zip(each, failures, strict=True) if failed}
    if not done:
        raise next(iter(wrong.values()))
    if wrong:
        said = "; ".join(f"shard {tag}: {error}" for tag, error in sorted(wrong.items()))
        raise ShardError(
            f"{len(done)} of {len(each)} shards have generation {generation}; sync again for the others: {said}"
        )
    return each[0].revision


def _failure(one: Ready) -> Exception | None:
    try:
        one.execute()
    except (ConflictError, RedisError) as error:
        return error
    return None
