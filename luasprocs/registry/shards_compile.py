"""Proves on all shards of a cluster at once that sources compile, while they are read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING

from luasprocs.registry.live import engine_of
from luasprocs.registry.server_compile import Proof, batches_of, prove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.live import Live
    from luasprocs.registry.server_compile import Batch
    from luasprocs.server.registry import Registry

    Feed = SimpleQueue[Batch | None]


def prove_on_shards(
    registry: Registry, live: Live, owner: str, sprocs: Iterable[Sproc], progress: Callable[[int], None], *, adopt: bool
) -> Proof:
    """As `prove`, with the proofs of the other shards beside it; each gets sprocs soon after they are read.

    Raises:
        OwnerError: another library has the engine's name on a shard, or names of its functions.
        ConflictError: a registry was found on another server than it is on now: plan again.
    """
    engine = engine_of(live, registry.keys, owner)
    if not registry.siblings:
        return prove(registry, live, engine, batches_of(registry, sprocs), progress, adopt=adopt)
    feeds: list[Feed] = [SimpleQueue() for _ in registry.siblings]
    with ThreadPoolExecutor(len(feeds), "luasprocs-shard") as threads:
        others = [
            threads.submit(prove, shard, its, engine_of(its, shard.keys, owner), _fed(feed), adopt=True)
            for shard, its, feed in zip(registry.siblings, live.siblings, feeds, strict=True)
        ]
        try:
            batches = _feeding(batches_of(registry, sprocs), feeds)
            first = prove(registry, live, engine, batches, progress, adopt=adopt)
        finally:
            for feed in feeds:
                feed.put(None)
        return first._replace(beside=tuple(one.result() for one in others))


def _feeding(batches: Iterable[Batch], feeds: Sequence[Feed]) -> Iterator[Batch]:
    """Each goes to the others once the first shard has it: its rows are made by then."""
    for batch in batches:
        yield batch
        for feed in feeds:
            feed.put(batch)


def _fed(feed: Feed) -> Iterator[Batch]:
    while (batch := feed.get()) is not None:
        yield batch
