"""What is wrong with sprocs, each by itself and among the others: one check, wherever they stand. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import ProblemsError
from luasprocs.language import header
from luasprocs.language.analysis import analyse
from luasprocs.language.files import SUFFIX, case_clashes, name_problem
from luasprocs.language.metadata import says_yes
from luasprocs.language.needs import KEY as FUNCTION
from luasprocs.language.needs import own_of, shared
from luasprocs.language.places import START
from luasprocs.language.problems import problem
from luasprocs.language.references import Reference, required
from luasprocs.language.rules import with_defaults
from luasprocs.language.spelling import nearest
from luasprocs.language.values import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from luasprocs.errors import Problem
    from luasprocs.language.analysis import Analysis
    from luasprocs.language.sproc import Sproc
    from luasprocs.language.workspace import Workspace

    Analyse = Callable[[bytes, str, Mapping[str, str]], Analysis]


class Unit(NamedTuple):
    """What of a sproc concerns the others.

    `broken`: it may be a library, or not. What is wrong with it is told of itself, not of those that require it.
    """

    library: bool
    runasync: bool = False
    requires: tuple[Reference, ...] = ()
    broken: bool = False


_BROKEN = Unit(library=False, broken=True)


def unit_of(sproc: Sproc) -> Unit:
    """What of a sound sproc concerns the others."""
    return Unit(sproc.library, sproc.runasync, tuple(required(sproc.source)))


def check(workspace: Workspace, names: Iterable[str] | None = None, analysed: Analyse = analyse) -> list[Problem]:
    """All that is wrong with some sprocs (None: all of them), sorted. Of others only those are read that they require.

    `analysed`: `analyse`, or the same with a memory of what it was asked before.
    """
    wanted = set(workspace.names if names is None else names)
    path, defaults = workspace.path, workspace.defaults
    found = {name: analysed(source, path(name), defaults) for name, source in workspace.read(sorted(wanted)).items()}
    problems = {one for analysis in found.values() for one in analysis.problems}
    problems |= {problem(path(name), "name.invalid", wrong) for name in wanted if (wrong := name_problem(name))}
    problems |= set(clash_problems(workspace, wanted))
    problems |= set(function_problems(workspace, found))
    problems |= set(call_problems(workspace, found))
    problems |= set(require_problems(workspace, {name: _unit(one) for name, one in found.items()}))
    return sorted(problems)


def clash_problems(workspace: Workspace, names: Collection[str]) -> Iterator[Problem]:
    """Of some names those that are one file with another where case or Unicode form don't count."""
    for name, what in case_clashes(workspace.names):
        if name in names:
            yield problem(workspace.path(name), "name.clash", what)


def function_problems(workspace: Workspace, checked: Mapping[str, Analysis]) -> Iterator[Problem]:
    """Functions of the same name as another sproc's. The others' headers are read if one of these has a function."""
    mine = [own for name, one in checked.items() if (own := own_of(name, one.values))]
    if not mine:
        return
    others = workspace.read(sorted(set(workspace.names) - checked.keys()))
    values = {name: _values(source, workspace.defaults) for name, source in others.items()}
    theirs = [own for name, one in values.items() if (own := own_of(name, one))]
    for one, first in shared([*mine, *theirs]).items():
        told, other = (one, first) if one.sproc in checked else (first, one)
        if told.sproc not in checked:
            continue
        place = next((field.value_range for field in checked[told.sproc].fields if field.key == FUNCTION), START)
        what = f"function {told.function} is {other.sproc}'s already: give one another name"
        yield problem(workspace.path(told.sproc), "function.taken", what, place)


def call_problems(workspace: Workspace, checked: Mapping[str, Analysis]) -> Iterator[Problem]:
    """Sprocs that are called or enqueued by a name that none has."""
    calls = [(name, call) for name, one in checked.items() for call in one.calls]
    names = workspace.names if calls else ()
    for name, call in calls:
        if call.name not in names:
            what = f"there is no sproc {shown(call.name)}{nearest(call.name, names)}"
            yield problem(workspace.path(name), "call.unknown", what, call.range)


def require_problems(workspace: Workspace, checked: Mapping[str, Unit]) -> Iterator[Problem]:
    """`require` of what is no library, and libraries in a circle. Others are read as far as these require them.

    Only literals are checked. In a runasync sproc a name without `.lua` means an installed Lua library.
    """
    if not any(unit.requires for unit in checked.values()):
        return
    units = _with_required(workspace, checked)
    sound = {name for name, unit in units.items() if unit.library and not unit.broken}
    libraries = sound | {name for name, unit in units.items() if unit.broken}
    for name, unit in checked.items():
        for one in unit.requires:
            if one.name in libraries or (unit.runasync and not one.name.endswith(SUFFIX)):
                continue
            if one.name in units:
                what = f"{shown(one.name)} is required but has no library=yes in its header"
                yield problem(workspace.path(name), "require.not-library", what, one.range)
                continue
            right = nearest(one.name, sound) or nearest(one.name, workspace.names)
            what = f"required library {shown(one.name)} does not exist{right}"
            yield problem(workspace.path(name), "require.unknown", what, one.range)
    needs = {name: [one for one in units[name].requires if one.name in libraries] for name in sorted(libraries)}
    for name, at, circle in _circles(needs, checked):
        what = f"circular require: {' -> '.join(circle)}"
        yield problem(workspace.path(name), "require.circle", what, at.range)


def _unit(analysis: Analysis) -> Unit:
    broken = any(one.kind == "error" and one.code != "lua.syntax" for one in analysis.problems)
    return Unit(says_yes(analysis.values, "library"), analysis.runasync, analysis.requires, broken)


def _with_required(workspace: Workspace, checked: Mapping[str, Unit]) -> dict[str, Unit]:
    """These, and all that they require, directly or not."""
    units = dict(checked)
    new: Iterable[Unit] = checked.values()
    while missing := {one.name for unit in new for one in unit.requires} - units.keys():
        missing &= set(workspace.names)
        sources = workspace.read(sorted(missing))
        found = {name: _read(sources[name], workspace.defaults) if name in sources else _BROKEN for name in missing}
        units |= found
        new = found.values()
    return units


def _values(source: bytes, defaults: Mapping[str, str]) -> Mapping[str, str]:
    """A header's values; none of one that is broken."""
    try:
        return with_defaults(header.values_of(source, ""), defaults)
    except ProblemsError:
        return {}


def _read(source: bytes, defaults: Mapping[str, str]) -> Unit:
    try:
        values = with_defaults(header.values_of(source, ""), defaults)
    except ProblemsError:
        return _BROKEN
    return Unit(says_yes(values, "library"), says_yes(values, "runasync"), tuple(required(source)))


def _circles(
    needs: Mapping[str, Sequence[Reference]], checked: Collection[str]
) -> Iterator[tuple[str, Reference, list[str]]]:
    """Circles of libraries, until each one checked that is in a circle was in one of them.

    Of each: one that is checked, its `require`, and the way from there back to it.
    """
    endless = _endless({name: {one.name for one in found} for name, found in needs.items()})
    told: set[str] = set()
    for name in sorted(endless & set(checked), reverse=True):
        if name not in told and (way := _way_back(name, needs, endless)):
            told.update(way)
            yield name, next(one for one in needs[name] if one.name == way[0]), [*way, way[0]]


def _endless(needs: Mapping[str, set[str]]) -> set[str]:
    """Those whose requires lead into a circle."""
    needed_by: dict[str, list[str]] = {}
    for name, needed in needs.items():
        for one in needed:
            needed_by.setdefault(one, []).append(name)
    open_needs = {name: len(needed) for name, needed in needs.items()}
    ended = [name for name, count in open_needs.items() if not count]
    for name in ended:  # which grows meanwhile
        for caller in needed_by.get(name, ()):
            open_needs[caller] -= 1
            if not open_needs[caller]:
                ended.append(caller)
    return needs.keys() - set(ended)


def _way_back(start: str, needs: Mapping[str, Sequence[Reference]], endless: set[str]) -> list[str]:
    """The shortest way from what a library requires to itself; empty if there is none."""
    after: dict[str, str] = {}
    ways = [start]
    for name in ways:  # which grows meanwhile
        for one in needs[name]:
            if one.name == start:
                way = [name]
                while way[-1] != start:
                    way.append(after[way[-1]])
                return [*reversed(way[:-1]), start]
            if one.name in endless and one.name not in after:
                after[one.name] = name
                ways.append(one.name)
    return []
