"""What `git add` would store of files on disk: line ends, filters and encodings as attributes and `core.autocrlf` say.

Git's own commands do it, in an index and an object folder apart: nothing of the repository changes.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sync.git.entries import read_batch, read_staged, records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import BinaryIO

_LINE_ENDS = frozenset({"text", "eol", "crlf"})
_CONTENT = frozenset({"filter", "ident", "working-tree-encoding"})
_UNSET = frozenset({"unset", "unspecified"})


class MustGit(Protocol):
    """Runs git in the repository; raises RepositoryError if it fails."""

    def __call__(
        self, *arguments: str, stdin: BinaryIO | None = None, environment: Mapping[str, str] | None = None
    ) -> bytes: ...


class CleanRules(NamedTuple):
    """What git does to one file. `attributes`: those that are set, each with its value; `auto`: `core.autocrlf`."""

    attributes: tuple[tuple[str, str], ...] = ()
    auto: bool = False

    def change(self, source: bytes) -> bool:
        """Whether they may change these bytes: of line ends only CRLF ones do."""
        content, line_ends = _reach(self)
        return content or (line_ends and b"\r\n" in source)


@cache
def _reach(rules: CleanRules) -> tuple[bool, bool]:
    """Whether they reach any content, and line ends. Thousands of files have the same few rules."""
    named = {name for name, value in rules.attributes if value not in _UNSET}
    return bool(named & _CONTENT), rules.auto or bool(named & _LINE_ENDS)


class Cleaned:
    """The same files again and again: git is asked once for each version of a file.

    `top`: of the work tree; `index`, `objects`: where git has them.
    """

    def __init__(self, git: MustGit, top: Path, index: Path, objects: Path) -> None:
        self._git = git
        self._top = top
        self._index = index
        self._objects = objects
        self._known: dict[tuple[str, CleanRules, bytes], tuple[str, bytes]] = {}

    def of(self, sources: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
        """Blob id and bytes of what git would store, by path from the top; those that it takes as they are are left out.

        Raises:
            RepositoryError: git would refuse them.
        """
        plain, special = self._rules(sources)
        ruled = ((path, special.get(path, plain)) for path in (sources if plain.auto else special))
        wanted = {path: (path, rules, sources[path]) for path, rules in ruled if rules.change(sources[path])}
        self._known = {key: self._known[key] for key in wanted.values() if key in self._known}
        new = {path: sources[path] for path, key in wanted.items() if key not in self._known}
        if new:
            self._known |= {wanted[path]: stored for path, stored in self._added(new).items()}
        return {path: self._known[key] for path, key in wanted.items()}

    def _rules(self, paths: Iterable[str]) -> tuple[CleanRules, dict[str, CleanRules]]:
        """Those of a file without attributes, and by path those of the others."""
        said = self._git("config", "--default", "false", "--get", "core.autocrlf").strip().lower()
        auto = said not in {b"false", b"no", b"off", b"0"}
        with _questions(paths) as stdin:
            found = records(self._git("check-attr", "-z", "--stdin", "--all", stdin=stdin))
        named: dict[str, list[tuple[str, str]]] = {}
        for path, name, value in zip(found[::3], found[1::3], found[2::3], strict=True):
            if name in _LINE_ENDS | _CONTENT:
                named.setdefault(path, []).append((name, value))
        special = {path: CleanRules(tuple(sorted(attributes)), auto) for path, attributes in named.items()}
        return CleanRules((), auto), special

    def _added(self, sources: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
        """What `git add` makes of these bytes, whatever the files hold by now."""
        with tempfile.TemporaryDirectory(prefix="luasprocs-") as name:
            apart = Path(name)
            tree, objects, index = apart / "tree", apart / "objects", apart / "index"
            (objects / "info").mkdir(parents=True)
            (objects / "info" / "alternates").write_text(f"{self._objects}\n", "utf-8", "surrogateescape")
            if self._index.exists():  # a file whose CRLF were committed keeps them: git looks there
                shutil.copyfile(self._index, index)
            self._lay_out(tree, sources)
            environment = {
                "GIT_WORK_TREE": str(tree),
                "GIT_INDEX_FILE": str(index),
                "GIT_OBJECT_DIRECTORY": str(objects),
            }
            plain = ("-c", "core.fsmonitor=false", "-c", "core.safecrlf=false")
            with _questions(sources) as stdin:
                self._git(*plain, "update-index", "--add", "-z", "--stdin", stdin=stdin, environment=environment)
            listed = records(self._git("ls-files", "-s", "-z", "--full-name", environment=environment))
            staged = {path: blob for path, (_, blob) in map(read_staged, listed) if path in sources}
            with _questions(sorted(set(staged.values())), "\n") as stdin:
                blobs = dict(read_batch(self._git("cat-file", "--batch", stdin=stdin, environment=environment), name))
        return {path: (blob, blobs[blob]) for path, blob in staged.items()}

    def _lay_out(self, tree: Path, sources: Mapping[str, bytes]) -> None:
        """The files, and the attributes of their folders."""
        for path, source in sources.items():
            file = tree / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(source)
        for folder in {parent for path in sources for parent in Path(path).parents}:
            attributes = self._top / folder / ".gitattributes"
            if attributes.is_file() and not attributes.is_symlink():
                shutil.copyfile(attributes, tree / folder / ".gitattributes")


def _questions(lines: Iterable[str], end: str = "\0") -> BinaryIO:
    """A file to ask from: two full pipes would wait for each other."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    file.write("".join(f"{line}{end}" for line in lines).encode("utf-8", "surrogateescape"))
    file.seek(0)
    return file
