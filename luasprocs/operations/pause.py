"""Pauses sprocs and resumes them: their triggers stop, direct calls go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw, text, time_ms
from luasprocs.contract.keys import Keys
from luasprocs.operations.sprocs import not_live
from luasprocs.server.marks import forget_marks, marks_of
from luasprocs.server.reading import reading
from luasprocs.server.shards import each_shard
from luasprocs.state.paused import SCHEDULES_CHANGED, pausing, read_paused, resuming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.server.marks import Mark
    from luasprocs.server.registry import Registry


@dataclass(frozen=True, slots=True)
class Paused:
    """What a pause or a resume did: names that it changed, and names that were so already. `paused`: which of the two."""

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    paused: bool


def pause(registry: Registry, names: Sequence[str], *, by: str) -> Paused:
    """Stops the triggers of sprocs. `by`: who does.

    Raises:
        NoSprocError: one of the names is not live; nothing is changed. RegistryError: somebody wrote over the key.
    """
    return _set(registry, names, by=by, paused=True)


def resume(registry: Registry, names: Sequence[str]) -> Paused:
    """Starts them again. A paused sproc that was deleted can be resumed as well: that forgets it.

    Raises:
        NoSprocError: one of the names is neither live nor paused; nothing is changed. RegistryError: see `pause`.
    """
    return _set(registry, names, paused=False)


def toggle_pause(registry: Registry, names: Sequence[str], *, by: str) -> Paused:
    """Pauses those that are not paused; if all are, resumes them.

    Raises:
        See `pause` and `resume`.
    """
    runs = sorted(set(names) - read_paused(registry))
    return pause(registry, runs, by=by) if runs else resume(registry, names)


def _set(registry: Registry, names: Sequence[str], *, paused: bool, by: str = "") -> Paused:
    wanted = tuple(dict.fromkeys(names))
    _require_known(registry, wanted, paused=paused)
    changed = set().union(*each_shard(registry, lambda shard: _set_on(shard, wanted, paused=paused, by=by)))
    return Paused(
        changed=tuple(name for name in wanted if name in changed),
        unchanged=tuple(name for name in wanted if name not in changed),
        paused=paused,
    )


def _set_on(shard: Registry, names: Sequence[str], *, paused: bool, by: str) -> set[str]:
    """Pauses or resumes on one shard. Returns what it changed there."""
    with reading(Keys.paused, shard.keys):
        members: Any = shard.client.smembers(shard.keys.paused)
        before = set(map(text, members))
        changed = [name for name in names if (name in before) != paused]
        pipe = shard.client.pipeline(transaction=True)
        at_ms = time_ms(shard.client.time()) if paused else 0
        for name in map(raw, changed):
            for words in pausing(shard.keys, name, at_ms, by) if paused else resuming(shard.keys, name):
                pipe.execute_command(*words)
        pipe.publish(shard.keys.wakes, SCHEDULES_CHANGED)
        marks = _marks(shard, changed)
        if not paused:  # a daemon that paused it has left the mark
            forget_marks(shard, marks)
        pipe.execute()
        if paused:
            forget_marks(shard, marks)
    return set(changed)


def _marks(shard: Registry, names: Sequence[str]) -> set[Mark]:
    """The marks of schedules that are keys of their own, on whichever shard."""
    if not shard.keys.tag or not names:
        return set()
    pipe = shard.client.pipeline(transaction=False)
    for name in names:
        pipe.hget(raw(shard.keys.name(name)), "at")
    return marks_of((name, {"at": text(at or b"")}) for name, at in zip(names, pipe.execute(), strict=True))


def _require_known(registry: Registry, names: Sequence[str], *, paused: bool) -> None:
    before = read_paused(registry)
    pipe = registry.client.pipeline(transaction=False)
    for name in names:
        pipe.exists(raw(registry.keys.name(name)))
    known = dict(zip(names, pipe.execute(), strict=True))
    missing = [name for name in names if not known[name] and (paused or name not in before)]
    if missing:
        raise not_live(registry, *missing)
