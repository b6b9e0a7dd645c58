"""What live sprocs need beside what the engine always has: functions of their own, room in a full server, scripts. Pure."""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.metadata import says_yes, typed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY = "function"
ALLOW_OOM, NO_WRITES = "allow-oom", "no-writes"
"""Flags of Redis Functions; the first is the field, too, that names the sprocs with `oom=allow`: no function can be called so."""
_ALLOWED_BY = {ALLOW_OOM: "oom", "allow-stale": "stale", "allow-cross-slot-keys": "crossslot"}
"""Flags, and the key of each that says `allow`."""

SCRIPTS = "script-load"
"""The field that names the sprocs with `evalsha=yes`."""

_NAME = re.compile("[A-Za-z0-9_]+")
_FIELD = re.compile(r"([a-z,-]*) (.+)", re.DOTALL)


class Own(NamedTuple):
    """A function of a sproc's own. Names of functions are the same in upper and lower case: `folded`."""

    function: str
    sproc: str
    flags: tuple[str, ...] = ()

    @property
    def folded(self) -> str:
        return self.function.lower()


class Needs(NamedTuple):
    """`functions`: by name; `allowed`: the sprocs with `oom=allow`, `scripts`: those with `evalsha=yes`, sorted."""

    functions: tuple[Own, ...] = ()
    allowed: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()

    @property
    def sprocs(self) -> set[str]:
        """The names of those that need something."""
        return {*(one.sproc for one in self.functions), *self.allowed, *self.scripts}

    def as_fields(self) -> dict[str, str]:
        """As the registry holds them: a function to `flags sproc`, and names of sprocs, one a line."""
        fields = {one.function: f"{','.join(one.flags)} {one.sproc}" for one in self.functions}
        named = {ALLOW_OOM: self.allowed, SCRIPTS: self.scripts}
        return fields | {field: "\n".join(names) for field, names in named.items() if names}

    @classmethod
    def parse(cls, fields: Mapping[str, str]) -> Needs:
        """From there; what somebody else wrote is left out."""
        own = []
        for name, value in sorted(fields.items()):
            found = _FIELD.fullmatch(value)
            if found and _NAME.fullmatch(name):
                own.append(Own(name, found[2], tuple(filter(None, found[1].split(",")))))
        return cls(tuple(own), names_in(fields.get(ALLOW_OOM, "")), names_in(fields.get(SCRIPTS, "")))


NOTHING = Needs()


def names_in(field: str) -> tuple[str, ...]:
    """The sprocs that a field names, one a line."""
    return tuple(field.split("\n")) if field else ()


def is_script(values: Mapping[str, str]) -> bool:
    """Whether EVALSHA finds a sproc by the SHA1 of its source."""
    return says_yes(values, "evalsha") and says_yes(values, "enabled")


def own_of(name: str, values: Mapping[str, str]) -> Own | None:
    """The function that a sproc's header asks for; None for one without, and for one that is disabled."""
    if KEY not in values or not says_yes(values, "enabled"):
        return None
    flags = {NO_WRITES: says_yes(values, "readonly")} | {
        flag: _allows(values, key) for flag, key in _ALLOWED_BY.items()
    }
    return Own(values[KEY], name, tuple(flag for flag, said in flags.items() if said))


def needs_of(sprocs: Iterable[tuple[str, Mapping[str, str]]]) -> Needs:
    """What sprocs need, by their names and values as written."""
    own: list[Own] = []
    allowed: list[str] = []
    scripts: list[str] = []
    for name, values in sprocs:
        if found := own_of(name, values):
            own.append(found)
        if _allows(values, "oom") and says_yes(values, "enabled"):
            allowed.append(name)
        if is_script(values):
            scripts.append(name)
    return Needs(tuple(sorted(own)), tuple(sorted(allowed)), tuple(sorted(scripts)))


def together(parts: Iterable[Needs]) -> Needs:
    """What several groups of sprocs need together."""
    found = tuple(parts)
    own, allowed, scripts = (sorted(chain.from_iterable(each)) for each in zip(NOTHING, *found, strict=True))
    return Needs(tuple(own), tuple(allowed), tuple(scripts))


def shared(functions: Iterable[Own]) -> dict[Own, Own]:
    """Of functions that have one name all but the first, each with the first."""
    first: dict[str, Own] = {}
    return {
        one: first[one.folded] for one in sorted(functions, key=_order) if first.setdefault(one.folded, one) is not one
    }


def _order(own: Own) -> tuple[str, str]:
    return own.folded, own.sproc


def _allows(values: Mapping[str, str], key: str) -> bool:
    return bool(typed(values, key) == "allow")
