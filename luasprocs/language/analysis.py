"""Everything that a sproc's text says by itself: its header, what its body names, and what is wrong with both. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.language.compiler import syntax_problems
from luasprocs.language.decoding import decoded, without_halves
from luasprocs.language.files import size_problem
from luasprocs.language.header import HeaderField, fields_of, line_problems, problems_of, value_problem
from luasprocs.language.metadata import says_yes
from luasprocs.language.places import Lines
from luasprocs.language.problems import problem
from luasprocs.language.references import Reference, only_in_sprocs, references
from luasprocs.language.rules import with_defaults
from luasprocs.language.sandbox import misuses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from luasprocs.errors import Problem

_NO_DEFAULTS: Mapping[str, str] = MappingProxyType({})
_NO_TEXT = frozenset({"encoding.utf-16", "encoding.not-utf-8", "encoding.nul"})
"""What Lua says to such a file is not what is wrong with it."""


class Analysis(NamedTuple):
    """What a text says. All ranges are of `text`: without a BOM, bytes that are no UTF-8 as surrogates, "" for UTF-16.

    `fields`: the header's, wrong ones too; `references`: what the body names, if it compiles; `problems`: sorted.
    `values`: of the keys that can be used, as written, with the repository's defaults. `runasync`: whether it runs in a worker,
    or its header can't tell.
    """

    text: str
    fields: tuple[HeaderField, ...] = ()
    values: Mapping[str, str] = _NO_DEFAULTS
    runasync: bool = False
    references: tuple[Reference, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether it can be applied, as far as it tells by itself."""
        return all(one.kind != "error" for one in self.problems)

    @property
    def requires(self) -> tuple[Reference, ...]:
        """The libraries that it names."""
        return tuple(one for one in self.references if one.what == "require")

    @property
    def calls(self) -> tuple[Reference, ...]:
        """The sprocs that it calls or enqueues by name."""
        return tuple(one for one in self.references if one.what in {"call", "enqueue"})


def analyse(source: bytes | str, path: str = "", defaults: Mapping[str, str] = _NO_DEFAULTS) -> Analysis:
    """Analyses a sproc, whatever its bytes are: raises nothing. `path` is for problems, `defaults` are luasprocs.toml's.

    Header and body are both looked at even if one of them is broken.
    """
    raw = source if isinstance(source, bytes) else without_halves(source).encode("utf-8", "surrogateescape")
    if large := size_problem(len(raw), path):
        return Analysis("", problems=(large,))
    text, problems = decoded(raw, path)
    lines = Lines(text)
    fields = fields_of(text, lines)
    problems += problems_of(fields, path)
    problems += line_problems(text, path, lines)
    body = text.encode("utf-8", "surrogateescape")
    if all(one.code not in _NO_TEXT for one in problems):
        problems += syntax_problems(path, body)
    found = references(body)
    values, unusable = _values_of(fields)
    if says_yes(values, "evalsha"):
        problems += (
            problem(path, "lua.only-in-sprocs", _only_in_sprocs(one), one.range) for one in only_in_sprocs(body)
        )
    values = with_defaults(values, defaults)
    # If the header doesn't tell where it runs, only what fails in both places is a problem.
    runasync = "runasync" in unusable or says_yes(values, "runasync")
    problems += (problem(path, code, why, one.range) for one, code, why in misuses(found, runasync=runasync))
    return Analysis(text, fields, values, runasync, found, tuple(sorted(set(problems))))


def _only_in_sprocs(found: Reference) -> str:
    return f"a script has no {found.name}, so EVALSHA fails here: drop evalsha=yes, or do without {found.name}"


def _values_of(fields: Iterable[HeaderField]) -> tuple[Mapping[str, str], set[str]]:
    """The first value of each key that can be used; and the keys whose values can't."""
    values: dict[str, str] = {}
    unusable: set[str] = set()
    for one in fields:
        if value_problem(one.key, one.value):
            unusable.add(one.key)
        else:
            values.setdefault(one.key, one.value)
    return values, unusable
