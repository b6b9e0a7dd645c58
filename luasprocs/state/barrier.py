"""The barrier: returns when every event up to now has run.

A forced tick T is published: every event before it is numbered below T. Daemons answer a forced tick with a heartbeat that
moves the watermarks of idle sources to (T, 0); busy ones get there by running. So all has run once no watermark is
below (T, 0).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw, text, time_ms
from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import LEASE_TICKS, TICK_MS
from luasprocs.contract.replies import Ticked
from luasprocs.errors import RegistryError, WaitError
from luasprocs.server.errors import is_missing_function, is_wrong_type
from luasprocs.server.reading import reading, wrong_type
from luasprocs.server.shards import each_shard
from luasprocs.state.daemons import parse_heartbeats
from luasprocs.state.executions import parse_gaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from luasprocs.contract.keys import Key
    from luasprocs.server.registry import Registry


POLL_FIRST_S = 0.002
POLL_LONGEST_S = 0.02
GRACE_S = 0.3
"""How long a daemon without a valid heartbeat has to answer the tick: the server's clock may just have jumped, or a script
have kept the server from hearing of anybody. After that, ticks tell: a daemon that several passed by is dead."""
SHOWN_SOURCES = 5
_MARK = re.compile(rb"(\d+) (\d+) \d+")


@dataclass(frozen=True, slots=True)
class Passed:
    """A barrier that was passed: everything below `tick` has run. `sources`: how many were waited for, perhaps none.

    `missed`: those of them of which events became a gap meanwhile.
    """

    epoch: str = ""
    tick: int = 0
    sources: int = 0
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Look:
    """What one look found. `marks`: sources that are behind, with their tick; None: they have no watermark yet.

    `alive`: a daemon was heard of lately, by the clock; `ticked_lately`: by the ticks since then.
    """

    epoch: str
    marks: dict[str, int | None]
    alive: bool
    ticked_lately: bool


def wait_for_events(registry: Registry, timeout_s: float = 60.0) -> Passed:
    """Waits until every event before this call has run; what those runs cause in turn may still be under way.

    In a cluster all shards are waited for; epoch and tick are the first one's.

    Raises:
        WaitError: no daemon is alive, or time is over; says which sources lag.
        RegistryError: the engine is not loaded, or a key is not what it should be.
        redis.RedisError: the connection or a right failed.
    """
    started_s = time.monotonic()
    last = each_shard(registry, _last_gap)
    ticked = each_shard(registry, _tick)  # so none has more to run while another one is waited for
    each = [_wait(shard, *one, started_s, timeout_s) for shard, one in zip(registry.shards, ticked, strict=True)]
    missed = chain.from_iterable(_gaps_after(*one) for one in zip(registry.shards, last, strict=True))
    return replace(each[0], sources=max(one.sources for one in each), missed=tuple(sorted(set(missed))))


def _last_gap(registry: Registry) -> bytes:
    with reading(Keys.gaps, registry.keys):
        found: Any = registry.client.xrevrange(registry.keys.gaps, count=1)
    return found[0][0] if found else b"-"


def _gaps_after(registry: Registry, last: bytes) -> Iterator[str]:
    """The sources of the gaps that were recorded after one."""
    with reading(Keys.gaps, registry.keys):
        found: Any = registry.client.xrange(registry.keys.gaps, min=b"-" if last == b"-" else b"(" + last)
    return (gap.source for gap in parse_gaps(found, registry.keys.tag) if not gap.kind)


def _wait(registry: Registry, passed: Passed, sources: list[str], started_s: float, timeout_s: float) -> Passed:
    pending, rest_s = set(sources), POLL_FIRST_S
    while pending:
        found = _look(registry, pending, passed.tick)
        waited_s = time.monotonic() - started_s
        if found.epoch != passed.epoch:
            passed, sources = _tick(registry)
            pending = set(sources)
        else:
            pending = set(found.marks)
        if pending and not found.alive and waited_s > GRACE_S:
            if not found.ticked_lately:
                raise WaitError("no daemon is alive, so no event runs: start one with luasprocs daemon")
            registry.call("tick", TICK_MS, 0)
        if pending and waited_s > timeout_s:
            raise WaitError(
                f"not all events have run within {timeout_s:g} s{_where(registry)}: {_lagging(found, passed.tick)}"
            )
        if pending:
            time.sleep(min(rest_s, max(0.0, timeout_s - waited_s)))
            rest_s = min(rest_s * 1.5, POLL_LONGEST_S)
    return passed


def _where(registry: Registry) -> str:
    return f" on shard {registry.keys.tag}" if registry.keys.tag else ""


def _tick(registry: Registry) -> tuple[Passed, list[str]]:
    """A forced tick, and the sources that triggers are bound to at that moment."""
    pipe = registry.client.pipeline(transaction=True)
    pipe.execute_command("FCALL", registry.keys.function("tick"), 0, TICK_MS, 1)
    pipe.hkeys(registry.keys.triggers)
    ticked, names = pipe.execute(raise_on_error=False)
    _must(Keys.triggers, registry.keys, names)
    sources = [text(name) for name in names]
    if not sources:
        return Passed(), []
    if is_missing_function(ticked):
        raise RegistryError("the engine is not loaded (functions were flushed): luasprocs sync loads it")
    _must(Keys.events, registry.keys, ticked)
    epoch, tick = Ticked.of(ticked)
    return Passed(epoch, tick, len(sources)), sources


def _look(registry: Registry, pending: Iterable[str], tick: int) -> _Look:
    """Which of the pending sources are still behind the tick; those that nothing is bound to any more are not."""
    sources = sorted(pending)
    fields = [raw(source) for source in sources]
    pipe = registry.client.pipeline(transaction=True)
    pipe.hmget(registry.keys.events, ["epoch", "tick", *fields])
    pipe.hmget(registry.keys.triggers, fields)
    pipe.hgetall(registry.keys.daemons)
    pipe.time()
    events, bound, beats, now = pipe.execute(raise_on_error=False)
    for key, reply in ((Keys.events, events), (Keys.triggers, bound), (Keys.daemons, beats), (Keys.daemons, now)):
        _must(key, registry.keys, reply)
    marks = zip(sources, events[2:], bound, strict=True)
    daemons = parse_heartbeats(beats)
    behind = {source: _tick_of(mark) for source, mark, names in marks if names is not None}
    return _Look(
        epoch=text(events[0] or b""),
        marks={source: at for source, at in behind.items() if at is None or at < tick},
        alive=any(daemon.alive(time_ms(now)) for daemon in daemons),
        ticked_lately=any(int(events[1] or 0) - daemon.tick < LEASE_TICKS for daemon in daemons),
    )


def _must(key: Key, keys: Keys, reply: Any) -> None:
    """Raises the error that a reply is."""
    if is_wrong_type(reply):
        raise wrong_type(key, keys) from reply
    if isinstance(reply, Exception):
        raise reply


def _tick_of(mark: bytes | None) -> int | None:
    found = _MARK.fullmatch(mark or b"")
    return int(found[1]) if found else None


def _lagging(found: _Look, tick: int) -> str:
    """The sources that are behind, a few of them."""
    shown: Sequence[str] = [
        f"{source} has no daemon yet" if at is None else f"{source} is at tick {at} of {tick}"
        for source, at in list(found.marks.items())[:SHOWN_SOURCES]
    ]
    more = len(found.marks) - len(shown)
    return ", ".join([*shown, *([f"and {more} more"] if more else [])])
