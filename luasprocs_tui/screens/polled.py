"""A screen that is read again and again, as long as somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from luasprocs_tui.screens.base import BaseScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.message import Message

    from luasprocs_tui.backend.protocol import Backend
    from luasprocs_tui.connection import Connection
    from luasprocs_tui.poller import Poller


class PolledScreen(BaseScreen):
    """What is read in a thread comes as messages, or as `ReadFailed`."""

    GROUP: ClassVar[str]
    """Of the worker."""

    _poller: Poller[Any] | None = None

    @property
    def every_s(self) -> float:
        """The pace of reading."""
        raise NotImplementedError

    def reader(self, backend: Backend) -> Callable[[], Message]:
        """What is called in the thread, each time."""
        raise NotImplementedError

    def start(self, connection: Connection) -> None:
        """Until nobody looks any more."""
        self._poller = connection.poll(self, self.reader(connection.backend), self.every_s, self.GROUP)

    def read_again(self) -> None:
        if self._poller is not None:
            self._poller.ask()

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        if self._poller is not None:
            self._poller.close()
