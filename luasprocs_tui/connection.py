"""One registry that the screen is connected to: who reads it, in which threads, and who changes it."""

from __future__ import annotations

import gc
import sys
from functools import partial
from typing import TYPE_CHECKING

from luasprocs_tui import messages
from luasprocs_tui.backend.registry_backend import RegistryBackend
from luasprocs_tui.controller.controller import Controller
from luasprocs_tui.poller import Failure, Poller
from luasprocs_tui.threads import SWITCH_S, Threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.message import Message
    from textual.message_pump import MessagePump

    from luasprocs.operations.contexts import Context
    from luasprocs_tui.backend.protocol import Backend
    from luasprocs_tui.base_app import BaseApp


class Connection:
    """Of one context, until it is closed. What was asked for is done there, wherever the screen goes meanwhile.

    Raises:
        SettingsError: the URL or the namespace can't be used. (Nothing is sent before the first read.)
    """

    def __init__(self, app: BaseApp, context: Context) -> None:
        _tune()
        self.backend: Backend = RegistryBackend(context.url, context.namespace)
        self.threads = Threads(app)
        self.controller = Controller(app, context, self.backend, self.threads)
        self._app = app
        self._snapshots: Poller[Message] | None = None

    def follow(self, visible: Callable[[], Sequence[str]], every_s: float) -> None:
        """In a thread: reads snapshots for the app until it is closed. `visible`: names whose counters matter most."""

        def read(asked: bool) -> Message:  # as a poller calls it
            return messages.SnapshotRead(self.backend.snapshot(visible(), full=asked))

        self._snapshots = Poller(read, partial(_post, self._app), every_s)
        self.threads.poll_here(self._snapshots)

    def poll(self, to: MessagePump, read: Callable[[], Message], every_s: float, group: str) -> Poller[Message]:
        """Reads for a screen until it closes the poller: it gets each message, or `ReadFailed`."""
        poller = Poller(lambda _: read(), partial(_post, to), every_s)
        self.threads.poll(poller, group)
        return poller

    def read_once(self, to: MessagePump, read: Callable[[], Message], group: str) -> None:
        """Reads for a screen: it gets the message, or `ReadFailed`."""
        self.threads.do(read, partial(_post, to), group)

    def refresh_now(self) -> None:
        if self._snapshots is not None:
            self._snapshots.ask()

    def leave(self) -> None:
        """Reads no more. Returns at once, also if the server hangs."""
        self.threads.close()
        self.threads.aside(self.backend.close)

    def close(self) -> None:
        """Reads no more, and ends what threads are reading."""
        self.threads.close()
        self.backend.close()


def _post(to: MessagePump, found: Message | Failure) -> None:
    to.post_message(messages.ReadFailed(found.reason) if isinstance(found, Failure) else found)


def _tune() -> None:
    # What was imported stays: looking through it again and again would hold a key up by 100 ms.
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)  # records come and go by the thousand, without cycles
    gc.enable()
    sys.setswitchinterval(SWITCH_S)
