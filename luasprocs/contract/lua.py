"""The contract as Lua: literals, and a chunk under a table `K` of the constants that it uses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from luasprocs.contract import limits, records
from luasprocs.contract.cluster import CLUSTER_CHUNKS
from luasprocs.contract.encoding import raw
from luasprocs.contract.functions import FUNCTIONS
from luasprocs.contract.keys import KEYS
from luasprocs.contract.metadata import KEYS as METADATA
from luasprocs.contract.metadata import TOLD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.contract.function import Function
    from luasprocs.contract.keys import Keys

_USED = re.compile(r"K\.([A-Z_]+)\b")  # a word boundary before the K would be looked for at each character: 5 ms
_WORD = re.compile(r"\w")
_NOT_PLAIN = re.compile(r'[^ -~]|["\\]')
_MARGIN = re.compile(r"^[ \t]*--.*$|^[ \t]+", re.MULTILINE)


def literal(value: object) -> str:
    """A Lua literal of a text, a number, true or false, or a list of those."""
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    assert isinstance(value, list | tuple)  # noqa: S101
    return "{ " + ", ".join(map(literal, value)) + " }"


def _string(text: str) -> str:
    """Everything but plain ASCII as decimal escapes."""
    return '"' + _NOT_PLAIN.sub(lambda found: f"\\{ord(found[0]):03d}", raw(text).decode("latin-1")) + '"'


LIMITS: Mapping[str, str] = {name: literal(value) for name, value in vars(limits).items() if name.isupper()}
"""The limits, as literals by name."""


def constants(keys: Keys, *, full: bool = False, **more: object) -> dict[str, str]:
    """All constants that a chunk of one registry's engine may use, as literals by name. `full`: a sproc has `oom=allow`."""
    return {
        **LIMITS,
        **{name: literal(value) for name, value in more.items()},
        **{key.attribute.upper(): literal(key.within(keys)) for key in KEYS},
        **{name.upper(): literal(keys.function(name)) for name in ("execute", "enqueue")},
        **{f"USAGE_{name.upper()}": literal(_usage(keys, name)) for name in ("execute", "enqueue", "call", "cron")},
        "NOT_A_WORKER": literal("NOPERM only a worker says what caused a write"),
        "REGISTERED": literal(
            [part for one in _served(keys) for part in (keys.function(one.name), _flags_of(keys, one, full=full))]
        ),
        "SERVED": literal([part for one in _served(keys) for part in (one.chunk, one.name, _rule(keys, one))]),
        "EXECUTE_FLAGS": literal([*(["allow-oom"] if full else []), *across(keys)]),
        "FULL": literal(full),
        "DIGESTED": literal(records.DIGESTED),
        "EXECUTION_FIELDS": literal(records.names_of(records.EXECUTION)),
        "EXECUTION_EMPTY": literal(["0" if field.number else "" for field in records.EXECUTION]),
        "BUCKET_PREFIX": literal(records.BUCKET_PREFIX),
        "LONGEST_BUCKET": literal(records.LONGEST_BUCKET),
        "DEFAULTS": _defaults(),
        "TOLD": literal(TOLD),
    }


def _usage(keys: Keys, name: str) -> str:
    return FUNCTIONS[name].usage.replace(f"luasprocs_{name}", keys.function(name))


def _served(keys: Keys) -> list[Function]:
    """The functions that register.lua registers; core.lua registers its own."""
    return [one for one in FUNCTIONS.values() if one.chunk != "core" and (keys.tag or one.chunk not in CLUSTER_CHUNKS)]


def _rule(keys: Keys, one: Function) -> str:
    return one.rule.replace(f"luasprocs_{one.name}", keys.function(one.name))


def _flags_of(keys: Keys, one: Function, *, full: bool) -> list[str]:
    allowed = ["allow-oom"] if one.always or (full and one.full) else []
    return [*(["no-writes"] if one.reads else allowed), *across(keys)]


def across(keys: Keys) -> list[str]:
    """The flag by which a function may touch its registry and a key of another slot of the same node."""
    return ["allow-cross-slot-keys"] if keys.tag else []


def _defaults() -> str:
    """Each key's defaults: its value, and the key, perhaps with a value, that it needs beside it."""
    rules = {
        key.name: [(one.value, *one.when.split("=")) if one.when else (one.value,) for one in key.defaults]
        for key in METADATA.values()
        if key.defaults
    }
    return "{ " + ", ".join(f"{name} = {literal(some)}" for name, some in rules.items()) + " }"


def chunk(text: str, literals: Mapping[str, str]) -> str:
    """A file's text under a local table `K`, on its first line, of the constants that it uses.

    Lines of comment and indentation are left out, which a server would keep; each line stays where it is.

    Raises:
        KeyError: it uses a constant that there isn't.
    """
    found = _USED.finditer(text)
    used = sorted({one[1] for one in found if not _WORD.match(text, max(0, one.start() - 1), one.start())})
    table = "local K = { " + ", ".join(f"{name} = {literals[name]}" for name in used) + " } " if used else ""
    return table + _MARGIN.sub("", text)
