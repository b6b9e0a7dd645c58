"""One change on all shards of a cluster: the first shard's, and what makes the others equal to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from luasprocs.errors import ConflictError, LostReplyError, ShardError
from luasprocs.registry.live import engine_of, read_sprocs
from luasprocs.registry.orphans import carry_over
from luasprocs.registry.pauses import share_pauses
from luasprocs.server.fleet import read_shards
from luasprocs.server.shards import at_once

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from luasprocs.contract.keys import Keys
    from luasprocs.registry.live import Live
    from luasprocs.registry.ready import Ready
    from luasprocs.registry.revision import Revision
    from luasprocs.registry.transaction import Change
    from luasprocs.server.registry import Registry


def repairs_of(registry: Registry, live: Live, owner: str) -> tuple[str, ...]:
    """What is wrong but for the sprocs themselves, a sentence each: keys, the engine, shards. Pure."""
    if live.empty:
        return tuple(map(str, live.faults))
    stale = live.engine_stale(engine_of(live, registry.keys, owner))
    return (*map(str, live.faults), *([stale] if stale else ()), *differing(registry, live))


def differing(registry: Registry, live: Live) -> tuple[str, ...]:
    """What differs between the shards, a sentence each. Pure."""
    pairs = zip(registry.siblings, live.siblings, strict=True)
    return tuple(f"shard {shard.keys.tag} {why}" for shard, its in pairs if (why := difference(live, its, shard.keys)))


def difference(live: Live, its: Live, keys: Keys) -> str:
    """How a shard differs from the first one, as what follows its name; "" if it doesn't. `keys`: its own. Pure."""
    if its.revision.generation != live.revision.generation:
        has = its.revision.generation
        return f"has generation {has}, not {live.revision.generation}" if has else "has no sprocs yet"
    if its.faults:
        return f"was changed by hand: {its.faults[0]}"
    if wrong := _unlike(live, its):
        return f"has another {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
    stale = its.engine_stale(engine_of(its, keys, live.revision.owner))
    return f"can't run it: {stale}" if stale else ""


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
    return change._replace(put=both, deleted=tuple(sorted(its.sprocs.keys() - set(change.names))), adopt=True)


def apply_to_shards(registry: Registry, first: Ready, beside: Sequence[Ready]) -> Revision:
    """Applies what is ready on each shard at once, as one generation. Raises as `apply`."""
    share_pauses(registry, [one.registry for one in beside if one.live.empty])
    generation = max(one.revision.generation for one in (first, *beside))
    each = [one.numbered(generation) for one in (first, *beside)]
    failures = at_once(each, _failure)
    wrong = {f"shard {one.registry.keys.tag}": failed for one, failed in zip(each, failures, strict=True) if failed}
    done = [one.registry for one, failed in zip(each, failures, strict=True) if not failed]
    if not done:
        raise next(iter(wrong.values()))
    try:
        enter(registry, generation, done)
    except RedisError as error:
        wrong["the directory of shards"] = error
    if wrong:
        said = "; ".join(f"{what}: {error}" for what, error in sorted(wrong.items()))
        raise ShardError(
            f"{len(done)} of {len(each)} shards have generation {generation}; sync again for what is missing: {said}"
        )
    return each[0].revision


def enter(registry: Registry, generation: int, shards: Iterable[Registry] = ()) -> None:
    """Makes the directory of a cluster say that these shards, or all, have a generation.

    A registry whose slot has moved to another shard is no longer named, once its jobs are on those that are. One that is newer
    than what this sync began with stays, or whose engine is still there: somebody else has seen shards that this one has not.

    Raises:
        redis.RedisError: the directory can't be reached.
    """
    if not registry.siblings:
        return
    home = registry.home
    known = read_shards(home)
    began_with = generation - 1 if shards else generation
    for gone in known.keys() - {shard.keys.tag for shard in registry.shards}:
        if known[gone] > began_with:
            continue
        if carry_over(registry, gone):
            home.client.hdel(home.keys.shards, gone)
    for shard in shards or registry.shards:
        if known.get(shard.keys.tag) != generation:
            home.client.hset(home.keys.shards, shard.keys.tag, str(generation))


def _failure(one: Ready) -> Exception | None:
    try:
        one.execute()
    except (ConflictError, LostReplyError, RedisError) as error:
        return error
    return None
