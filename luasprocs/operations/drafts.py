"""Sources that somebody is writing and has not applied: files that only their owner can read, until applied or dropped."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from luasprocs.errors import SettingsError

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

    def drop(self, name: str) -> None:
        """Forgets the draft of a sproc."""
        shutil.rmtree(self._place(name), ignore_errors=True)
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
