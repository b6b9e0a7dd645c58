"""What is wrong with the sprocs of a work tree, brought up to date by what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.language.analysis import analyse
from luasprocs.language.check import check
from luasprocs.language.files import size_problem
from sync.reconcile.slots import slot_problems

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from luasprocs.errors import Problem
    from luasprocs.language.analysis import Analysis
    from sync.lsp.tree import Tree

CHUNK = 50
"""How many sprocs are looked at in one go, between which the editor is answered."""


class Diagnosis:
    """Problems by sproc. An analysis is kept as long as its text and the defaults stay."""

    def __init__(self, tree: Tree) -> None:
        self.problems: dict[str, tuple[Problem, ...]] = {}
        self._tree = tree
        self._kept: dict[str, tuple[bytes, Mapping[str, str], Analysis]] = {}
        self._users: dict[str, set[str]] = {}
        """Of each name the paths of those that require or call it, or did so once."""

    def analysis(self, name: str) -> Analysis | None:
        """What a sproc's text says; None if there is none."""
        source = self._tree.source(name)
        return None if source is None else self._analysed(source, self._tree.path(name), self._tree.defaults)

    def update(self, names: Iterable[str]) -> set[str]:
        """Looks at some again. Returns those whose problems are others now."""
        wanted = set(names)
        there = wanted & set(self._tree.names)
        found: dict[str, list[Problem]] = {self._tree.path(name): [] for name in there}
        problems = {*check(self._tree, there, self._analysed)}
        sizes = (size_problem(self._tree.size(name), self._tree.path(name)) for name in there)
        problems |= {*filter(None, sizes)}
        if self._tree.settings.cluster:
            problems |= {*slot_problems(self._tree, there)}
        for one in problems:
            found.setdefault(one.path, []).append(one)
        changed = set()
        for name in wanted:
            now = tuple(sorted(found.get(self._tree.path(name), ()))) if name in there else ()
            if now != self.problems.get(name, ()):
                changed.add(name)
            if now:
                self.problems[name] = now
            else:
                self.problems.pop(name, None)
        return changed

    def concerned(self, name: str) -> Collection[str]:
        """The sprocs that a change of one may concern: itself, and all that require or call it, directly or not."""
        paths = {self._tree.path(one): one for one in self._tree.names} if self._users.get(name) else {}
        found, new = {name}, [name]
        while new:
            users = {paths[path] for one in new for path in self._users.get(one, ()) if path in paths}
            new = sorted(users - found)
            found.update(new)
        return found

    def _analysed(self, source: bytes, path: str, defaults: Mapping[str, str]) -> Analysis:
        kept = self._kept.get(path)
        if kept and kept[0] == source and kept[1] == defaults:
            return kept[2]
        analysis = analyse(source, path, defaults)._replace(text="")
        self._kept[path] = source, defaults, analysis
        for one in analysis.references:
            if one.what in {"require", "call", "enqueue"}:
                self._users.setdefault(one.name, set()).add(path)
        return analysis
