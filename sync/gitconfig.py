"""The little that is asked of git before, or without, GitPython.

Importing GitPython costs 90 to 160 ms, one `git config` about 3 ms: commands that only need settings stop here.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from luasprocs.errors import RepositoryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What git hands to its hooks to say which repository they are in; `git rev-parse --local-env-vars` without the
# variables that carry `git -c` settings.
_PLACE = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_CONFIG",
    "GIT_IMPLICIT_WORK_TREE", "GIT_INTERNAL_SUPER_PREFIX",
)  # fmt: skip


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
            raise RepositoryError(f"folder {str(folder)!r} does not exist: name the repository with --repo DIR") from error
        raise RepositoryError("git is not on PATH: install git, or put its folder into PATH") from error
    except OSError as error:
        raise RepositoryError(f"folder {str(folder)!r} can't be entered: {error.strerror}") from error


def environment(environ: Mapping[str, str], *, here: bool) -> dict[str, str]:
    """What git is run with. `here`: a hook's variables say where; else a folder does, and they must not mislead."""
    kept = {name: value for name, value in environ.items() if here or name not in _PLACE}
    return kept | {"LC_ALL": "C", "LANGUAGE": "C"}  # messages are told apart by their English text


def git_config(folder: Path | None = None) -> dict[str, str]:
    """The `luasprocs.*` settings that git knows in `folder`, without that prefix; empty where there is no git.

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


def parse_config(output: bytes) -> dict[str, str]:
    """`git config -z --get-regexp`: each entry a key, a newline, a value; no newline at all means "true"."""
    entries = (entry.partition("\n") for entry in output.decode("utf-8", "surrogateescape").split("\0") if entry)
    return {key.partition(".")[2]: value if newline else "true" for key, newline, value in entries}


def complaint(stderr: bytes | str) -> str:
    """Git's own words as one line that a terminal can show."""
    text = stderr.decode("utf-8", "replace") if isinstance(stderr, bytes) else stderr
    line = " ".join(text.replace("fatal: ", "").split()) or "git gave no reason"
    return "".join(character if character.isprintable() else "?" for character in line)
