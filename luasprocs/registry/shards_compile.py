"""Proves on all shards of a cluster at once that sources compile, while they are read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING

from luasprocs.registry.live import engine_of
from luasprocs.registry.server_compile import Proof, prove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry

    Feed = SimpleQueue[Sproc | None]


def prove_on_shards(
    registry: Registry, live: Live, owner: str, sprocs: Iterable[Sproc], progress: Callable[[int], None], *, adopt: bool
) -> Proof:
    """As `prove`, with the proofs of the other shards beside it; each gets a sproc as soon as it is read.

    Raises:
        OwnerError: another library has the engine's name on a shard, or names of its functions.
        ConflictError: a registry was found on another server than it is on now: plan again.
    """
    engine = engine_of(live, registry.keys, owner)
    if not registry.siblings:
        return prove(registry, live, engine, sprocs, progress, adopt=adopt)
    feeds: list[Feed] = [SimpleQueue() for _ in registry.siblings]
    with ThreadPoolExecutor(len(feeds), "luasprocs-shard") as threads:
        others = [
            threads.submit(prove, shard, its, engine_of(its, shard.keys, owner), _fed(feed), adopt=True)
            for shard, its, feed in zip(registry.siblings, live.siblings, feeds, strict=True)
        ]
        try:
            first = prove(registry, live, engine, _feeding(sprocs, feeds), progress, adopt=adopt)
        finally:
            for feed in feeds:
                feed.put(None)
        return first._replace(beside=tuple(one.result() for one in others))


def _feeding(sprocs: Iterable[Sproc], feeds: Sequence[Feed]) -> Iterator[Sproc]:
    for sproc in sprocs:
        for feed in feeds:
            feed.put(sproc)
        yield sproc


def _fed(feed: Feed) -> Iterator[Sproc]:
    while (sproc := feed.get()) is not None:
        yield sproc
