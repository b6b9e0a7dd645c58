"""What is wrong with sprocs, each by itself and among the others, wherever they stand: one check for all. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from luasprocs.errors import ProblemsError
from luasprocs.language import header
from luasprocs.language.analysis import analyse
from luasprocs.language.files import SUFFIX, case_clashes, name_problem
from luasprocs.language.metadata import says_yes
from luasprocs.language.problems import problem
from luasprocs.language.references import Reference, required
from luasprocs.language.rules import with_defaults
from luasprocs.language.values import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from luasprocs.errors import Problem
    from luasprocs.language.analysis import Analysis
    from luasprocs.language.sproc import Sproc

    Analyse = Callable[[bytes, str, Mapping[str, str]], Analysis]


class Workspace(Protocol):
    """Sprocs by name: a commit's, the index's, a disk's, an editor's."""

    @property
    def names(self) -> Collection[str]:
        """All of them, broken ones too."""

    @property
    def defaults(self) -> Mapping[str, str]:
        """Metadata as written, for what a header doesn't say."""

    def read(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """The sources of some, without those that have none: a symlink, a file that is too large, one that is gone."""

    def path(self, name: str) -> str:
        """What problems call its file."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """A workspace with other sources for some names: an editor's buffers over what is saved. None: deleted there."""

    base: Workspace
    buffers: Mapping[str, bytes | None]

    @property
    def names(self) -> Collection[str]:
        """All of them."""
        gone = {name for name, source in self.buffers.items() if source is None}
        return {*self.base.names, *self.buffers} - gone

    @property
    def defaults(self) -> Mapping[str, str]:
        """The saved ones."""
        return self.base.defaults

    def read(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """The buffers' sources first."""
        wanted = set(names)
        found = {name: self.buffers[name] for name in wanted & self.buffers.keys()}
        saved = self.base.read(wanted - self.buffers.keys())
        return {**saved, **{name: source for name, source in found.items() if source is not None}}

    def path(self, name: str) -> str:
        """As the saved one's."""
        return self.base.path(name)


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
    problems |= set(require_problems(workspace, {name: _unit(one) for name, one in found.items()}))
    return sorted(problems)


def clash_problems(workspace: Workspace, names: Collection[str]) -> Iterator[Problem]:
    """Of some names those that are one file with another where case or Unicode form don't count."""
    for name, what in case_clashes(workspace.names):
        if name in names:
            yield problem(workspace.path(name), "name.clash", what)


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
                what = f"require of {shown(one.name)}, which is not library=yes: say so in its header"
                yield problem(workspace.path(name), "require.not-library", what, one.range)
                continue
            right = nearest(one.name, sound) or nearest(one.name, workspace.names)
            what = f"require of {shown(one.name)}, but there is no such library sproc{right}"
            yield problem(workspace.path(name), "require.unknown", what, one.range)
    needs = {name: [one for one in units[name].requires if one.name in libraries] for name in sorted(libraries)}
    for name, at, circle in _circles(needs, checked):
        what = f"require in a circle, which no run gets out of: {' -> '.join(circle)}"
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


def _read(source: bytes, defaults: Mapping[str, str]) -> Unit:
    try:
        values = with_defaults(header.values_of(source, ""), defaults)
    except ProblemsError:
        return _BROKEN
    return Unit(says_yes(values, "library"), says_yes(values, "runasync"), tuple(required(source)))


def _circles(
    needs: Mapping[str, list[Reference]], checked: Collection[str]
) -> Iterator[tuple[str, Reference, list[str]]]:
    """Circles of which a library is checked: it, its `require`, and the way from there back to it."""
    done: set[str] = set()
    for start in needs:
        way, left = ([start], [iter(needs[start])]) if start not in done else ([], [])
        while left:
            for one in left[-1]:
                if one.name in way:
                    yield from _told(way[way.index(one.name) :], one, needs, checked)
                elif one.name not in done:
                    way.append(one.name)
                    left.append(iter(needs[one.name]))
                    break
            else:
                left.pop()
                done.add(way.pop())


def _told(
    circle: list[str], closing: Reference, needs: Mapping[str, list[Reference]], checked: Collection[str]
) -> Iterator[tuple[str, Reference, list[str]]]:
    """A circle, told of the last of its libraries that is checked."""
    for at in reversed([at for at, name in enumerate(circle) if name in checked]):
        turned = circle[at + 1 :] + circle[: at + 1]
        last = at == len(circle) - 1
        yield circle[at], closing if last else _first(needs[circle[at]], turned[0]), [*turned, turned[0]]
        return


def _first(needed: Iterable[Reference], name: str) -> Reference:
    return next(one for one in needed if one.name == name)
