"""Which sprocs an event is for: the triggers of one generation, indexed for lookup. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from luasprocs.contract.encoding import raw, text
from luasprocs.errors import SettingsError
from luasprocs.language.globs import is_glob, literal_prefix, matcher
from luasprocs.language.metadata import says_yes, typed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Names: TypeAlias = tuple[bytes, ...]
NONE: Names = ()


@dataclass(frozen=True, slots=True)
class Bound:
    """What triggering needs to know of a sproc; `events` and `keys` as in its header."""

    name: bytes
    events: frozenset[bytes]
    keys: tuple[bytes, ...]
    reentrant: bool = False
    catchup: bool = False

    def wants(self, event: bytes) -> bool:
        """Whether an event of this name is for it."""
        return event in self.events or b"*" in self.events


@dataclass(frozen=True, slots=True)
class Binding:
    """One source: its channel, or pattern; `match(key, event)` gives the names of the sprocs that want it."""

    source: bytes
    pattern: bool
    match: Callable[[bytes, bytes], Names]
    bound: tuple[Bound, ...]


@dataclass(frozen=True, slots=True)
class Bindings:
    """All sources of one generation; the generation is "" if there is no registry.

    `timeouts_ms`: of all sprocs that set one, including those without a trigger.
    """

    generation: str = ""
    sources: Mapping[bytes, Binding] = field(default_factory=dict)
    sprocs: Mapping[bytes, Bound] = field(default_factory=dict)
    timeouts_ms: Mapping[bytes, int] = field(default_factory=dict)


def parse_bindings(reply: Sequence[Any]) -> Bindings:
    """Parses the reply of the engine's `bound`. Sprocs whose metadata was broken by hand are left out."""
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in reply]
    end = parts.index(b"", 1)
    pairs = zip(parts[1:end:2], parts[2:end:2], strict=True)
    sprocs: dict[bytes, Bound] = {}
    timeouts_ms: dict[bytes, int] = {}
    for at in range(end + 1, len(parts), 6):
        name, event, *_, timeout = parts[at : at + 6]
        try:
            if timeout:
                timeouts_ms[name] = typed({"timeout": text(timeout)}, "timeout")
            if event:
                sprocs[name] = _bound(*parts[at : at + 5])
        except SettingsError:
            continue
    sources = {
        source: binding_of(source, [sprocs[name] for name in names.split(b"\n") if name in sprocs])
        for source, names in pairs
    }
    return Bindings(text(parts[0]), sources, sprocs, timeouts_ms)


def _bound(name: bytes, event: bytes, key: bytes, reentrant: bytes, catchup: bytes) -> Bound:
    values = {"event": text(event), "key": text(key), "reentrant": text(reentrant), "catchup": text(catchup)}
    return Bound(
        name,
        frozenset(map(raw, typed(values, "event"))),
        tuple(map(raw, typed(values, "key"))),
        says_yes(values, "reentrant"),
        typed(values, "catchup") == "scan",
    )


def binding_of(source: bytes, bound: Iterable[Bound]) -> Binding:
    """A source with its lookup: by event for a keyspace channel, by key for a keyevent channel."""
    bound = tuple(bound)
    kind, _, rest = source.partition(b"__:")
    if kind.startswith(b"__keyspace@"):
        return Binding(source, is_glob(text(rest)), _by_event(bound), bound)
    return Binding(source, rest == b"*", _by_key(bound), bound)


def _by_event(bound: tuple[Bound, ...]) -> Callable[[bytes, bytes], Names]:
    found: dict[bytes, Names] = {}

    def match(_: bytes, event: bytes) -> Names:
        names = found.get(event)
        if names is None:
            names = found[event] = tuple(one.name for one in bound if one.wants(event))
        return names

    return match


def _by_key(bound: tuple[Bound, ...]) -> Callable[[bytes, bytes], Names]:
    """Indexed by the literal prefix of each glob: an unwanted key costs one lookup for each length of prefix."""
    tables: dict[int, dict[bytes, list[tuple[Bound, Callable[[bytes], object]]]]] = {}
    for one in bound:
        for glob in one.keys:
            prefix = literal_prefix(glob)
            tables.setdefault(len(prefix), {}).setdefault(prefix, []).append((one, matcher(glob)))
    lengths = sorted(tables.items())
    order = {one.name: place for place, one in enumerate(bound)}

    def match(key: bytes, event: bytes) -> Names:
        names: set[bytes] | None = None
        for length, table in lengths:
            for one, matches in table.get(key[:length], ()):
                if matches(key) and one.wants(event):
                    names = names or set()
                    names.add(one.name)
        return NONE if names is None else tuple(sorted(names, key=order.__getitem__))

    return match
