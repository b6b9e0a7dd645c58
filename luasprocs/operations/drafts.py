"""Sources that somebody is writing and has not applied: files that only their owner can read, until applied or dropped."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from luasprocs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Draft:
    """`base`: the blob that was live when the editor opened it, which alone it may replace; `path`: the file with its text."""

    name: str
    base: str
    path: Path

    @property
    def source(self) -> bytes:
        """What is written so far. Raises OSError."""
        return self.path.read_bytes()


class Drafts:
    """The drafts of one registry. `registry`: what tells it from others, like its URL without secrets and its namespace."""

    def __init__(self, registry: str, folder: Path | None = None) -> None:
        self._folder = (folder or state_folder()) / _key(registry)

    def of(self, name: str) -> Draft | None:
        """The draft of a sproc, if there is one."""
        found = sorted(self._place(name).glob(f"*/{_file_name(name)}"))
        return Draft(name, found[-1].parent.name, found[-1]) if found else None

    def begin(self, name: str, base: str, source: bytes) -> Draft:
        """A new draft, in place of another one.

        Raises:
            SettingsError: it can't be written.
        """
        self.drop(name)
        path = self._place(name) / base / _file_name(name)
        try:
            self._write(path, source)
        except OSError as error:
            folder = self._folder.parent
            raise SettingsError(f"drafts can't be kept in {folder} ({error.strerror}): set XDG_STATE_HOME") from error
        return Draft(name, base, path)

    def _write(self, path: Path, source: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in (path.parent, *path.parent.parents):
            folder.chmod(PRIVATE_FOLDER)
            if folder == self._folder.parent:
                break
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb") as file:
            file.write(source)

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Inside, no other process has the draft of a sproc in an editor: the first to apply it would take it from the other.

        Raises:
            SettingsError: another one has.
        """
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # said where it is written
                self._folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
                stack.callback(self._leave)
                path = self._folder / f"{_key(name)}.lock"
                lock = stack.enter_context(path.open("w"))
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    ours = os.path.samestat(os.fstat(lock.fileno()), path.stat())
                except (BlockingIOError, FileNotFoundError):
                    ours = False
                if not ours:  # or another one has just taken it away, and made a new one
                    raise SettingsError(f"{name} is open in another editor of yours: end that one first")
                stack.callback(path.unlink, missing_ok=True)
            yield

    def drop(self, name: str) -> None:
        """Forgets the draft of a sproc."""
        shutil.rmtree(self._place(name), ignore_errors=True)
        self._leave()

    def _leave(self) -> None:
        with contextlib.suppress(OSError):
            self._folder.rmdir()  # if that was the last

    def _place(self, name: str) -> Path:
        return self._folder / _key(name)


def state_folder() -> Path:
    """Where drafts of this user are: XDG_STATE_HOME, else ~/.local/state."""
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "luasprocs" / "drafts"


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGITS]


def _file_name(name: str) -> str:
    """As an editor shows it; what a file system might not take is left out."""
    plain = "".join(character for character in Path(name).name if character.isprintable() and character not in "\\/")
    return plain[-100:].lstrip(".") or "draft.lua"
