"""Git hooks: small shell scripts that call this installation, and run first what was there before them.

What else an installation has changed stands in a comment of the first script, so that taking it away leaves nothing.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sync.git.repository import Repository

KINDS = {
    "receive": ("pre-receive", "post-receive"),
    # `git commit`, a clean merge, `git am`; then cherry-pick and revert, and rebase, which no hook can refuse.
    "pre-commit": ("pre-commit", "pre-merge-commit", "pre-applypatch", "post-commit", "post-rewrite"),
}
"""What can be installed, and git's hooks that it takes."""
LOCAL = ".local"
"""Behind the name of a hook that was there before; it runs first."""
_MARK = "# Written by luasprocs hook install, which may write it anew; luasprocs hook uninstall takes it away."
_MADE = "# It has set: "
FOLDER = "hooks"
"""The folder of the hooks was made."""
_SHARED = {"global", "system", "command"}

# Nothing but the shell's own words: there may be no PATH. `exit` alone ends with what failed.
_HEAD = """\
#!/bin/sh
{mark}
{made}PATH=${{PATH:+$PATH:}}{git}
export PATH
case $0 in */*) here=${{0%/*}} ;; *) here=. ;; esac
if [ ! -x {python} ]; then
  echo "luasprocs: "{python}" is gone: luasprocs hook install {kind}, with the one that is there" >&2
  exit 1
fi
"""
_CHECK = """\
if [ -x "$here/{hook}.local" ]; then "$here/{hook}.local" "$@" || exit; fi
exec {python} -P -m sync.cli check --staged
"""
# `git rebase --apply` is an am, too, of commits that are there already.
_PRE_APPLYPATCH = """\
if [ -x "$here/{hook}.local" ]; then "$here/{hook}.local" "$@" || exit; fi
if [ -e "${{GIT_DIR:-.git}}/rebase-apply/rebasing" ]; then exit 0; fi
exec {python} -P -m sync.cli check --staged
"""
_TOO_LATE = """\
{python} -P -m sync.cli check --staged >/dev/null ||
  echo "luasprocs: git has made the commit all the same: mend this before you push" >&2
exit 0
"""
_POST_COMMIT = (
    """\
if [ -x "$here/{hook}.local" ]; then "$here/{hook}.local" "$@" || exit; fi
case $(git reflog -1 --format=%gs HEAD 2>/dev/null) in cherry-pick*|revert*|"") ;; *) exit 0 ;; esac
"""
    + _TOO_LATE
)
_READ = """\
given=
while IFS= read -r line || [ -n "$line" ]; do
  given="$given$line
"
done
"""
_POST_REWRITE = (
    _READ
    + """\
if [ -x "$here/{hook}.local" ]; then printf %s "$given" 2>/dev/null | "$here/{hook}.local" "$@" || exit; fi
if [ "$1" != rebase ]; then exit 0; fi
"""
    + _TOO_LATE
)
_PRE_RECEIVE = """\
if [ -x "$here/{hook}.local" ]; then printf %s "$given" 2>/dev/null | "$here/{hook}.local" "$@" || exit; fi
printf %s "$given" | {python} -P -m sync.cli hook run {hook} --git "$PPID"
"""
# The process of pre-receive may be waiting (sync/git/handover.py), which is faster than another one. To open the pipe of one that
# has died would never end: it may be there as a zombie, if nobody waits for it.
_POST_RECEIVE = """\
status=0
if [ -x "$here/{hook}.local" ]; then printf %s "$given" 2>/dev/null | "$here/{hook}.local" "$@" || status=$?; fi
place=${{GIT_DIR:-.}}/luasprocs-push-$PPID ended=
if [ -p "$place/said" ] && read -r waits <"$place/pid" && read -r state <"/proc/$waits/stat"; then
  case $state in *") "[ZX]" "*) false ;; esac
else
  false
fi 2>/dev/null && printf %s "$given" 2>/dev/null >"$place/given" &&
  {{
    echo >"$place/asked"
    while IFS= read -r line; do
      case $line in done) ended=1 ;; *) printf '%s\\n' "${{line# }}" ;; esac
    done
  }} 2>/dev/null <"$place/said"
if [ ! "$ended" ]; then printf %s "$given" | {python} -P -m sync.cli hook run {hook}; fi
exit $status
"""
_BODIES = {
    "pre-commit": _CHECK,
    "pre-merge-commit": _CHECK,
    "pre-applypatch": _PRE_APPLYPATCH,
    "post-commit": _POST_COMMIT,
    "post-rewrite": _POST_REWRITE,
    "pre-receive": _READ + _PRE_RECEIVE,
    "post-receive": _READ + _POST_RECEIVE,
}


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

    @property
    def made(self) -> tuple[str, ...]:
        """What its installation has set beside the hooks."""
        lines = (self.text or "").splitlines() if self.ours else []
        return tuple(word for line in lines if line.startswith(_MADE) for word in line.removeprefix(_MADE).split())


def script(kind: str, hook: str, made: Iterable[str] = (), python: str = sys.executable) -> str:
    """The hook's text: it calls this interpreter, by its whole path, whatever the environment is."""
    git = str(Path(shutil.which("git") or "/usr/bin/git").absolute().parent)
    words = " ".join(made)
    return (_HEAD + _BODIES[hook]).format(
        mark=_MARK, made=f"{_MADE}{words}\n" if words else "", git=shlex.quote(git), python=shlex.quote(python), kind=kind,
        hook=hook,
    )  # fmt: skip


def install(repository: Repository, kind: str) -> list[str]:
    """Puts a kind's hooks where git looks for them. Returns what was done, in sentences.

    Raises:
        RepositoryError: what is there can't be kept, or all of this user's repositories share the folder. Nothing was changed.
    """
    places = _places(repository, kind)
    for place in places:
        _require_keepable(place)
    folder = places[0].path.parent
    made = [] if folder.exists() else [FOLDER]
    done = [_install(kind, place) for place in places]
    note(repository, kind, made)
    return done


def made_before(repository: Repository, kind: str) -> tuple[str, ...]:
    """What `note` was told."""
    return _places(repository, kind)[0].made


def note(repository: Repository, kind: str, made: Iterable[str]) -> None:
    """Remembers what else the installation has set: words without blanks, for `uninstall`."""
    place = _places(repository, kind)[0]
    wanted = script(kind, place.hook, dict.fromkeys((*place.made, *made)))
    if wanted != place.text:
        _write(place, wanted)


def uninstall(repository: Repository, kind: str) -> tuple[list[str], tuple[str, ...]]:
    """Takes them away, and puts back what was there before. Returns what was done, in sentences, and what `note` was told."""
    places = _places(repository, kind)
    made = places[0].made
    done = [_uninstall(place) for place in places]
    if FOLDER in made:
        with contextlib.suppress(OSError):  # another hook came into it
            places[0].path.parent.rmdir()
    return done, made


def _places(repository: Repository, kind: str) -> list[Place]:
    scope = repository.setting("core.hooksPath")[0]
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
    wanted, there = script(kind, place.hook, place.made), place.text
    if there == wanted and os.access(place.path, os.X_OK):
        return f"{place.hook} is installed already"
    kept = ""
    if there is not None and not place.ours:
        place.path.rename(place.local)
        kept = f"; what was there is now {place.local.name} and runs first"
    _write(place, wanted)
    return f"{place.hook} installed as {place.path}{kept}"


def _write(place: Place, text: str) -> None:
    place.path.parent.mkdir(parents=True, exist_ok=True)
    new = place.path.with_name(place.path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.chmod(0o755)
    new.replace(place.path)


def _uninstall(place: Place) -> str:
    if place.text is None:
        return f"{place.hook} is not installed"
    if not place.ours:
        return f"{place.hook} was not installed by luasprocs: not changed"
    if not os.path.lexists(place.local):
        place.path.unlink()
        return f"{place.hook} removed"
    place.local.replace(place.path)
    return f"{place.hook} removed; {place.local.name} is {place.hook} again"
