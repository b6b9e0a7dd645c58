"""The little that is asked of git before, or without, GitPython.

GitPython takes 90 to 160 ms to import, one `git config` about 3: commands that need only settings stop here.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Mapping

# What git tells its hooks about the repository they are in: `git rev-parse --local-env-vars` without what
# carries the settings of `git -c`.
_PLACE = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_CONFIG",
    "GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX",
)  # fmt: skip

_SECRET = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def run_git(folder: Path | None, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Git's answer, whatever its exit code; in `folder`, or (None) where git's own environment says.

    Raises:
        RepositoryError: git is not on PATH, or the folder can't be entered.
    """
    environ = environment(os.environ, here=folder is None)
    try:
        return subprocess.run(["git", *arguments], cwd=folder, env=environ, capture_output=True, check=False)
    except FileNotFoundError as error:
        if folder is not None and not folder.exists():
            raise RepositoryError(
                f"folder {str(folder)!r} does not exist: name the repository with --repo DIR"
            ) from error
        raise RepositoryError("git is not on PATH: install git, or put its folder into PATH") from error
    except OSError as error:
        raise RepositoryError(f"folder {str(folder)!r} can't be entered: {error.strerror}") from error


def environment(environ: Mapping[str, str], *, here: bool) -> dict[str, str]:
    """What git is run with. `here`: a hook's variables say where; else a folder does, without them."""
    kept = {name: value for name, value in environ.items() if here or name not in _PLACE}
    return kept | {"LC_ALL": "C", "LANGUAGE": "C"}  # messages are told apart by their English text


def pinned(path: Path, git_folder: Path, environ: Mapping[str, str], *, bare: bool, here: bool) -> dict[str, str]:
    """Variables that hold git to one repository whatever `environ` says, for a runner that can only add some.

    A hook's own index (`git commit -a`) and quarantine (a push being judged) are its own: they stay.
    """
    link = git_folder / "commondir"
    common = (git_folder / os.fsdecode(link.read_bytes().rstrip(b"\n"))).resolve() if link.exists() else git_folder
    fixed = {
        "GIT_DIR": str(git_folder),
        "GIT_NO_REPLACE_OBJECTS": "1",  # a blob is what its id says, not what refs/replace puts in its place
        "GIT_LITERAL_PATHSPECS": "1",
        **dict.fromkeys(("GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"), "0"),
    }
    places = {
        "GIT_WORK_TREE": path,
        "GIT_COMMON_DIR": common,
        "GIT_INDEX_FILE": git_folder / "index",
        "GIT_OBJECT_DIRECTORY": common / "objects",
        "GIT_SHALLOW_FILE": common / "shallow",
        "GIT_GRAFT_FILE": common / "info" / "grafts",
    }
    for name, own in places.items():
        if name in environ:
            given = Path(environ[name]).absolute()
            fixed[name] = str(given if here or given.resolve().is_relative_to(common.resolve()) else own)
    if not bare:
        fixed["GIT_WORK_TREE"] = str(path)
    if fixed.get("GIT_OBJECT_DIRECTORY") == str(common / "objects"):
        fixed["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = ""
    return fixed | ({} if here else {name: "" for name in ("GIT_NAMESPACE", "GIT_PREFIX") if name in environ})


def git_config(folder: Path | None = None) -> dict[str, str]:
    """The `luasprocs.*` settings of git in `folder` (None: here), without that prefix; empty without git.

    Raises:
        RepositoryError: a git configuration file is broken.
    """
    try:
        answer = run_git(folder, "config", "-z", "--get-regexp", r"^luasprocs\.")
    except RepositoryError:
        return {}
    if answer.returncode > 1:
        raise RepositoryError(f"git can't read its configuration: {complaint(answer.stderr)}")
    return parse_config(answer.stdout)


def git_user(folder: Path | None, what: str) -> str:
    """The `name` or `email` that commits in `folder` would have; "" for none."""
    return run_git(folder, "config", f"user.{what}").stdout.decode("utf-8", "replace").strip()


def git_origins(folder: Path | None = None) -> dict[str, Path]:
    """The files that the same settings come from, by key; those of the environment and the command line are in none."""
    answer = run_git(folder, "config", "-z", "--show-origin", "--get-regexp", r"^luasprocs\.")
    parts = answer.stdout.decode("utf-8", "surrogateescape").split("\0")
    top = run_git(folder, "rev-parse", "--show-toplevel").stdout.decode("utf-8", "surrogateescape").rstrip("\n")
    found = {}
    for origin, entry in zip(parts[::2], parts[1::2], strict=False):
        kind, _, path = origin.partition(":")
        if kind == "file":
            places = [Path(place) / path for place in (top or ".", folder or ".")]
            found[entry.partition("\n")[0].partition(".")[2]] = next(
                (one for one in places if one.is_file()), places[0]
            )
    return found


def parse_config(output: bytes) -> dict[str, str]:
    """`git config -z --get-regexp`: each entry a key, a newline, a value; no newline at all means "true"."""
    entries = (entry.partition("\n") for entry in output.decode("utf-8", "surrogateescape").split("\0") if entry)
    return {key.partition(".")[2]: value if newline else "true" for key, newline, value in entries}


def complaint(stderr: bytes | str) -> str:
    """Git's own words as one line that a terminal can show, without the secrets of URLs."""
    text = stderr.decode("utf-8", "replace") if isinstance(stderr, bytes) else stderr
    line = " ".join(text.replace("fatal: ", "").split()) or "git gave no reason"
    return without_secrets("".join(character if character.isprintable() else "?" for character in line))


def without_secrets(said: str) -> str:
    """A text without the users and passwords of its URLs."""
    return _SECRET.sub("…", said)
