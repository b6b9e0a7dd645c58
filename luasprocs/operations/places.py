"""What stands in one place of the registry beside its sprocs: on a shard, or where that is which no single shard has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from luasprocs.contract.encoding import number, text, time_ms
from luasprocs.server.reading import raise_refusals
from luasprocs.server.registry import Registry
from luasprocs.state.daemons import Running, parse_heartbeats
from luasprocs.state.executions import parse_gaps
from luasprocs.state.paused import Pause, parse_pauses

GAPS = 100

Also = Callable[[Any, Registry], object]
"""Puts more commands into the pipeline to a shard."""


class OfShard(NamedTuple):
    """`jobs`: how many are open, delayed and dead, the first since `dead_since_ms`; `also`: replies to what else was asked,
    errors too.
    """

    running: Running
    jobs: tuple[int, int, int]
    dead_since_ms: int
    paused: tuple[Pause, ...]
    also: list[Any]


class Shared(NamedTuple):
    """What stands once for all shards; None for a key of another type."""

    desired: Any = None
    suspended: Any = None
    acknowledged: Any = None


def read_place(registry: Registry, place: Registry, also: Also | None = None) -> tuple[OfShard, Shared]:
    """What stands in one place: a shard's own, what is shared, or, on a single server, both; in one round trip.

    Raises:
        redis.RedisError: the connection or a right failed.
    """
    keys = place.keys
    pipe: Any = place.client.pipeline(transaction=False)
    pipe.time()
    if place is registry.home:
        for key in (keys.desired, keys.suspended, keys.acknowledged):
            pipe.hgetall(key)
    ahead = len(pipe.command_stack)
    if place is not registry.common:
        pipe.hgetall(keys.daemons)
        pipe.hgetall(keys.pauses)
        pipe.xrevrange(keys.gaps, count=GAPS)
        pipe.smembers(keys.paused)
        lengths = (("XLEN", keys.jobs), ("LLEN", keys.enqueued), ("ZCARD", keys.delayed), ("XLEN", keys.dead))
        for command, key in lengths:
            pipe.execute_command(command, key)
        pipe.xrange(keys.dead, count=1)
    known = len(pipe.command_stack)
    if also and place is not registry.common:
        also(pipe, place)
    replies = pipe.execute(raise_on_error=False)
    raise_refusals(replies[:known])
    now: Any = replies[0]
    rest = [None if isinstance(reply, Exception) else reply for reply in replies[1:known]]
    shared, own = rest[: ahead - 1], rest[ahead - 1 :]
    beats, pauses, gaps, paused, *jobs, oldest = own or (None,) * 9
    running = Running.on(keys.tag, time_ms(now), parse_heartbeats(beats or {}), parse_gaps(gaps, keys.tag))
    counts = ((jobs[0] or 0) + (jobs[1] or 0), jobs[2] or 0, jobs[3] or 0)
    dead_since_ms = number(text(oldest[0][0]).partition("-")[0]) if oldest else 0
    of_shard = OfShard(running, counts, dead_since_ms, parse_pauses(paused or (), pauses or {}), replies[known:])
    return of_shard, Shared(*shared)
