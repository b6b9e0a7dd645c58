"""Sources of sprocs, read from the registry and kept as long as its generation is the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.encoding import text
from luasprocs.language.metadata import says_yes
from luasprocs.server.states import passes
from luasprocs.worker.connection import LostError
from luasprocs.worker.lua import is_plain
from luasprocs.worker.replies import ErrorReply

if TYPE_CHECKING:
    from luasprocs.contract.encoding import text
    from luasprocs.contract.keys import Keys
from luasprocs.worker.connection import Connection


class SprocSource:
    """A sproc's text, and whether it can leave nothing behind."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.plain = is_plain(text)


class Sources:
    """The registry as a worker sees it."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._generation = b""
        self._sources: dict[bytes, SprocSource] = {}
        self._libraries: dict[bytes, bytes] = {}

    def serve(self, generation: bytes) -> None:
        """From now on of this generation: what was kept of another goes."""
        if generation != self._generation:
            self._generation = generation
            self._sources.clear()
            self._libraries.clear()

    def sproc(self, name: bytes) -> tuple[SprocSource | None, bytes]:
        """A sproc's source; or None and the reason why there is none."""
        found = self._sources.get(name)
        if found is not None:
            return found, b""
        source, refused = self._fetch(name, library=False)
        if source is None:
            return None, refused
        self._sources[name] = SprocSource(source)
        return self._sources[name], b""

    def library(self, name: bytes) -> tuple[bytes | None, bytes]:
        """The same of one that `require` names. The texts are the engine's."""
        found = self._libraries.get(name)
        if found is not None:
            return found, b""
        source, refused = self._fetch(name, library=True)
        if source is not None:
            self._libraries[name] = source
        return source, refused

    def _fetch(self, name: bytes, *, library: bool) -> tuple[bytes | None, bytes]:
        key = self._keys.name_prefix.encode() + name
        command = ("HMGET", key, "source", "enabled", "library")
        try:
            found = self._connection.call(*command)
        except LostError:  # reading twice does no harm
            found = self._connection.call(*command)
        if isinstance(found, ErrorReply):
            if passes(found.text):
                raise LostError(found.text.decode("utf-8", "replace"))
            return None, found.text
        source, enabled, is_library = found
        quoted = b"'" + name + b"'"
        if source is None:
            return None, b"NOSPROC no sproc named " + quoted
        if not says_yes({"enabled": text(enabled or b"")}, "enabled"):
            return None, b"DISABLED sproc " + quoted + b" has enabled=no"
        if library and not says_yes({"library": text(is_library or b"")}, "library"):
            return None, b"require " + quoted + b": it is not library=yes"
        return source, b""
