"""Pauses sprocs and resumes them: their triggers stop, direct calls go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.operations.sprocs import not_live
from luasprocs.server.reading import reading
from luasprocs.state.paused import SCHEDULES_CHANGED, read_paused, unscheduling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.server.registry import Registry


@dataclass(frozen=True, slots=True)
class Paused:
    """What a pause or a resume did: names that it changed, and names that were so already. `paused`: which of the two."""

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    paused: bool


def pause(registry: Registry, names: Sequence[str]) -> Paused:
    """Stops the triggers of sprocs.

    Raises:
        NoSprocError: one of the names is not live; nothing is changed. RegistryError: somebody wrote over the key.
    """
    return _set(registry, names, paused=True)


def resume(registry: Registry, names: Sequence[str]) -> Paused:
    """Starts them again. A paused sproc that was deleted can be resumed as well: that forgets it.

    Raises:
        NoSprocError: one of the names is neither live nor paused; nothing is changed. RegistryError: see `pause`.
    """
    return _set(registry, names, paused=False)


def toggle_pause(registry: Registry, names: Sequence[str]) -> Paused:
    """Pauses those that are not paused; if all are, resumes them.

    Raises:
        See `pause` and `resume`.
    """
    runs = sorted(set(names) - read_paused(registry))
    return pause(registry, runs) if runs else resume(registry, names)


def _set(registry: Registry, names: Sequence[str], *, paused: bool) -> Paused:
    wanted = tuple(dict.fromkeys(names))
    _require_known(registry, wanted, paused=paused)
    pipe = registry.client.pipeline(transaction=True)
    for name in wanted:
        (pipe.sadd if paused else pipe.srem)(registry.keys.paused, raw(name))
    for name in wanted if paused else ():
        for words in unscheduling(registry.keys, raw(name)):
            pipe.execute_command(*words)
    pipe.publish(registry.keys.wakes, SCHEDULES_CHANGED)
    with reading(Keys.paused, registry.keys):
        changed = dict(zip(wanted, pipe.execute(), strict=False))
    return Paused(
        changed=tuple(name for name in wanted if changed[name]),
        unchanged=tuple(name for name in wanted if not changed[name]),
        paused=paused,
    )


def _require_known(registry: Registry, names: Sequence[str], *, paused: bool) -> None:
    before = read_paused(registry)
    pipe = registry.client.pipeline(transaction=False)
    for name in names:
        pipe.exists(raw(registry.keys.name(name)))
    known = dict(zip(names, pipe.execute(), strict=True))
    missing = [name for name in names if not known[name] and (paused or name not in before)]
    if missing:
        raise not_live(*missing)
