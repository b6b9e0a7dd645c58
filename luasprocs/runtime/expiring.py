"""Which keys have an `expired` trigger, and which channels tell of their deadlines. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.encoding import text
from luasprocs.language.globs import is_glob, matcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs.runtime.bindings import Bindings

LEARNT_BY = ("expire", "restore", "rename_to", "copy_to", "move_to")
"""Events that may give a key a deadline, or an earlier one. A deadline that goes away needs no event: it costs one EXISTS."""


class Subscriptions(NamedTuple):
    """`channels` for SUBSCRIBE, `patterns` for PSUBSCRIBE."""

    channels: tuple[bytes, ...] = ()
    patterns: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Expiring:
    """`exact`: keys; `globs`: patterns of keys. Both empty if no trigger wants `expired`."""

    exact: frozenset[bytes] = frozenset()
    globs: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.exact or self.globs)

    @property
    def by_keyspace(self) -> bool:
        """Whether to listen on the keys' own channels: one pattern is worth its cost, `*` and several are not."""
        return not self.globs or (len(self.globs) == 1 and self.globs != (b"*",))

    @property
    def classes(self) -> set[str]:
        """The letters of notify-keyspace-events that this needs."""
        return {"K" if self.by_keyspace else "E", "g", "x"} if self else set()

    def subscriptions(self, db: int) -> Subscriptions:
        """The channels and patterns to listen on."""
        if not self:
            return Subscriptions()
        if self.by_keyspace:
            head = b"__keyspace@%d__:" % db
            return Subscriptions(
                tuple(head + key for key in sorted(self.exact)), tuple(head + glob for glob in self.globs)
            )
        return Subscriptions(tuple(b"__keyevent@%d__:%s" % (db, event.encode()) for event in LEARNT_BY))

    def matcher(self) -> Callable[[bytes], bool]:
        """Returns a test for whether a key is one of them."""
        exact, matches = self.exact, [matcher(glob) for glob in self.globs]
        if self.globs == (b"*",):
            return lambda _: True
        return lambda key: key in exact or any(match(key) for match in matches)


def expiring(bindings: Bindings) -> Expiring:
    """The keys of all triggers that want `expired`."""
    keys = {key for bound in bindings.sprocs.values() if bound.wants(b"expired") for key in bound.keys}
    if b"*" in keys:
        return Expiring(globs=(b"*",))
    globs = {key for key in keys if is_glob(text(key))}
    return Expiring(frozenset(keys - globs), tuple(sorted(globs)))
