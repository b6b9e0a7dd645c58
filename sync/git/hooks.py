"""Git hooks: small shell scripts that call this installation, and run first what was there before them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError

if TYPE_CHECKING:
    from sync.git.repository import Repository

KINDS = {"receive": ("pre-receive", "post-receive"), "pre-commit": ("pre-commit",)}
"""What can be installed, and git's hooks that it takes."""
LOCAL = ".local"
"""Behind the name of a hook that was there before; it runs first."""
_MARK = "# Written by luasprocs hook install, which may write it anew; luasprocs hook uninstall takes it away."
_SHARED = {"global", "system", "command"}

# Nothing but the shell's own words: there may be no PATH. `exit` alone ends with what failed.
_HEAD = """\
#!/bin/sh
{mark}
PATH=${{PATH:+$PATH:}}{git}
export PATH
case $0 in */*) here=${{0%/*}} ;; *) here=. ;; esac
if [ ! -x {python} ]; then
  echo "luasprocs: "{python}" is gone: luasprocs hook install {kind}, with the one that is there" >&2
  exit 1
fi
"""
_PRE_COMMIT = """\
if [ -x "$here/{hook}.local" ]; then "$here/{hook}.local" "$@" || exit; fi
exec {python} -P -m sync.cli check --staged
"""
_READ = """\
given=
while IFS= read -r line || [ -n "$line" ]; do
  given="$given$line
"
done
"""
_PRE_RECEIVE = """\
if [ -x "$here/{hook}.local" ]; then printf %s "$given" 2>/dev/null | "$here/{hook}.local" "$@" || exit; fi
printf %s "$given" | {python} -P -m sync.cli hook run {hook}
"""
_POST_RECEIVE = """\
status=0
if [ -x "$here/{hook}.local" ]; then printf %s "$given" 2>/dev/null | "$here/{hook}.local" "$@" || status=$?; fi
printf %s "$given" | {python} -P -m sync.cli hook run {hook}
exit $status
"""
_BODIES = {"pre-commit": _PRE_COMMIT, "pre-receive": _READ + _PRE_RECEIVE, "post-receive": _READ + _POST_RECEIVE}


@dataclass(frozen=True, slots=True)
class Place:
    """One hook's file and the one before it. Both may be missing."""

    hook: str
    path: Path

    @property
    def local(self) -> Path:
        return self.path.with_name(self.path.name + LOCAL)

    @property
    def text(self) -> str | None:
        if not os.path.lexists(self.path):
            return None
        return self.path.read_text("utf-8", "replace") if self.path.is_file() else ""

    @property
    def ours(self) -> bool:
        return _MARK in (self.text or "")


def script(kind: str, hook: str, python: str = sys.executable) -> str:
    """The hook's text: it calls this interpreter, by its whole path, whatever the environment is."""
    git = str(Path(shutil.which("git") or "/usr/bin/git").absolute().parent)
    return (_HEAD + _BODIES[hook]).format(
        mark=_MARK, git=shlex.quote(git), python=shlex.quote(python), kind=kind, hook=hook
    )


def install(repository: Repository, kind: str) -> list[str]:
    """Puts a kind's hooks where git looks for them. Returns what was done, in sentences.

    Raises:
        RepositoryError: what is there can't be kept, or all of this user's repositories share the folder. Nothing was changed.
    """
    places = _places(repository, kind)
    for place in places:
        _require_keepable(place)
    return [_install(kind, place) for place in places]


def uninstall(repository: Repository, kind: str) -> list[str]:
    """Takes them away, and puts back what was there before. Returns what was done, in sentences."""
    return [_uninstall(place) for place in _places(repository, kind)]


def _places(repository: Repository, kind: str) -> list[Place]:
    scope = repository.config_scope("core.hooksPath")
    folder = repository.hooks_folder()
    if scope in _SHARED:
        raise RepositoryError(
            f"core.hooksPath is set for more than this repository ({scope}), so a hook in {str(folder)!r} would run in all of "
            f"them: git config core.hooksPath {shlex.quote(str(repository.own_hooks_folder()))} gives this one its own"
        )
    return [Place(hook, folder / hook) for hook in KINDS[kind]]


def _require_keepable(place: Place) -> None:
    if place.text is None or place.ours:
        return
    if not place.path.is_file():
        raise RepositoryError(f"{str(place.path)!r} is not a regular file: remove it first")
    if os.path.lexists(place.local):
        raise RepositoryError(
            f"{str(place.path)!r} is another program's hook, and {place.local.name!r} is taken: make one of the two"
        )


def _install(kind: str, place: Place) -> str:
    wanted, there = script(kind, place.hook), place.text
    if there == wanted and os.access(place.path, os.X_OK):
        return f"{place.hook} is installed already"
    kept = ""
    if there is not None and not place.ours:
        place.path.rename(place.local)
        kept = f"; what was there is now {place.local.name} and runs first"
    place.path.parent.mkdir(parents=True, exist_ok=True)
    new = place.path.with_name(place.path.name + ".new")
    new.write_text(wanted, encoding="utf-8")
    new.chmod(0o755)
    new.replace(place.path)
    return f"{place.hook} installed as {place.path}{kept}"


def _uninstall(place: Place) -> str:
    if not place.ours:
        return f"{place.hook} is none of luasprocs: left as it is"
    if not os.path.lexists(place.local):
        place.path.unlink()
        return f"{place.hook} taken away"
    place.local.replace(place.path)
    return f"{place.hook} taken away; {place.local.name} is {place.hook} again"
