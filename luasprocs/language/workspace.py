"""Where sprocs stand, as far as `luasprocs.language.check` needs to know. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class Workspace(Protocol):
    """Sprocs by name: a commit's, the index's, a disk's, an editor's."""

    @property
    def names(self) -> Collection[str]:
        """All of them, broken ones too."""

    @property
    def defaults(self) -> Mapping[str, str]:
        """Metadata as written, for what a header doesn't say."""

    def read(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """The sources of some, without those that have none: a symlink, a file that is too large, one that is gone."""

    def path(self, name: str) -> str:
        """What problems call its file."""


class Overlay:
    """A workspace with other sources for some names: an editor's buffers over what is saved. None: deleted there."""

    def __init__(self, base: Workspace, buffers: Mapping[str, bytes | None]) -> None:
        self._base = base
        self._buffers = buffers

    @property
    def names(self) -> Collection[str]:
        """All of them."""
        gone = {name for name, source in self._buffers.items() if source is None}
        return {*self._base.names, *self._buffers} - gone

    @property
    def defaults(self) -> Mapping[str, str]:
        """The saved ones."""
        return self._base.defaults

    def read(self, names: Iterable[str]) -> Mapping[str, bytes]:
        """The buffers' sources first."""
        wanted = set(names)
        found = {name: self._buffers[name] for name in wanted & self._buffers.keys()}
        saved = self._base.read(wanted - self._buffers.keys())
        return {**saved, **{name: source for name, source in found.items() if source is not None}}

    def path(self, name: str) -> str:
        """As the saved one's."""
        return self._base.path(name)
