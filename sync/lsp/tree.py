"""The work tree as an editor has it: the files on disk, and over them the buffers that are open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pygls.uris import from_fs_path, to_fs_path

from luasprocs.contract.encoding import raw
from luasprocs.errors import RepositoryError, SettingsError
from luasprocs.language.files import SOURCE_LIMIT_BYTES, SUFFIX
from sync.git.checkout import find_top, settings_of
from sync.reconcile.workspaces import lua_files, sproc_name
from sync.repository_settings import RepositorySettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class Buffer(NamedTuple):
    """A file that is open: its text there, the client's number of that, and the URI by which the client knows the file."""

    text: str
    version: int | None
    uri: str


class Tree:
    """The sprocs around one folder. It is a `Workspace`: buffers count before files.

    Files are read once and again when they look different; which there are is listed anew after `moved`.
    """

    def __init__(self, start: Path) -> None:
        self.top = find_top(start) or start
        self.problem = ""
        self.settings = self._settings()
        self.folder = self.top / self.settings.folder
        self.buffers: dict[str, Buffer] = {}
        self._names: dict[str, Path] | None = None
        self._kept: dict[str, tuple[tuple[int, int], bytes]] = {}

    def _settings(self) -> RepositorySettings:
        try:
            return settings_of(self.top)
        except (SettingsError, RepositoryError) as error:
            self.problem = str(error)
            return RepositorySettings()

    def moved(self) -> None:
        """Files may have come or gone, or luasprocs.toml says something else."""
        self.problem = ""
        self.settings = self._settings()
        self.folder = self.top / self.settings.folder
        self._names = None

    @property
    def names(self) -> Collection[str]:
        """All sprocs, on disk or open."""
        return self._listed().keys() | self.buffers.keys()

    @property
    def defaults(self) -> Mapping[str, str]:
        """Those of luasprocs.toml."""
        return self.settings.defaults

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """The sources of some; without those that are gone, or no regular files."""
        found = {}
        for name in names:
            source = self.source(name)
            if source is not None:
                found[name] = source
        return found

    def source(self, name: str) -> bytes | None:
        """What a sproc's buffer or file has."""
        if name in self.buffers:
            return raw(self.buffers[name].text)
        path = self._listed().get(name)
        if path is None:
            return None
        try:
            looks = path.lstat()
            stamp = (looks.st_mtime_ns, looks.st_size)
            if name in self._kept and self._kept[name][0] == stamp:
                return self._kept[name][1]
            if path.is_symlink() or not path.is_file() or looks.st_size > SOURCE_LIMIT_BYTES:
                return None
            self._kept[name] = stamp, path.read_bytes()
        except OSError:
            return None
        return self._kept[name][1]

    def size(self, name: str) -> int:
        """The bytes of a file that is not open: one too large is not read."""
        path = None if name in self.buffers else self._listed().get(name)
        try:
            return path.lstat().st_size if path else 0
        except OSError:
            return 0

    def unreadable(self, name: str) -> bool:
        """Whether a sproc's file has bytes that are no UTF-8: an editor may have put something else in their place."""
        path = self._listed().get(name)
        try:
            if path is not None:
                path.read_bytes().decode()
        except UnicodeDecodeError:
            return True
        except OSError:
            pass
        return False

    def text(self, name: str) -> str | None:
        """The same as text; bytes that are no UTF-8 as surrogates."""
        if name in self.buffers:
            return self.buffers[name].text
        source = self.source(name)
        return None if source is None else source.decode("utf-8", "surrogateescape")

    def texts(self) -> dict[str, str]:
        """Of all sprocs."""
        return {name: text for name in sorted(self.names) if (text := self.text(name)) is not None}

    def path(self, name: str) -> str:
        """What problems call a file."""
        return self.file(name).as_posix()

    def file(self, name: str) -> Path:
        """Where a sproc is, or would be."""
        return self._listed().get(name) or self.folder / name

    def uri(self, name: str) -> str:
        """A sproc's file as a URI: the client's own, if it is open."""
        if name in self.buffers:
            return self.buffers[name].uri
        return from_fs_path(str(self.file(name))) or ""

    def name_of(self, uri: str) -> str | None:
        """The sproc of a URI; None for what is none: another suffix, outside the folder, no file."""
        path = to_fs_path(uri)
        if path is None or not uri.startswith("file:") or not path.endswith(SUFFIX):
            return None
        name = sproc_name(Path(path), self.folder)
        inside = Path(path).is_relative_to(self.folder) or "/" in name
        return name if inside else None

    def _listed(self) -> dict[str, Path]:
        if self._names is None:
            files = lua_files(self.folder)[0] if self.folder.is_dir() else []
            self._names = {sproc_name(path, self.folder): path for path in files}
        return self._names
