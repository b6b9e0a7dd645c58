"""The app without its screens: contexts, and the connection to the one that is shown.

What needs Redis is imported after the first paint: it takes longer than Textual itself (`python -m bench screen`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from textual import on, work

from luasprocs.errors import LuasprocsError
from luasprocs.operations.contexts import Context
from luasprocs.server.urls import redacted
from luasprocs_tui import actions, messages, signals
from luasprocs_tui.base_app import BaseApp
from luasprocs_tui.remembered import Remembered, read_remembered, remembered_file, write_remembered
from luasprocs_tui.settings import NO_SETTINGS, ScreenSettings
from luasprocs_tui.values import times
from luasprocs_tui.values.snapshots import State

if TYPE_CHECKING:
    from luasprocs_tui.connection import Connection
    from luasprocs_tui.controller.controller import Controller

REFRESH_S = 2.0
POLL_S = 0.25
CLOSE_ROUNDS = 3
CLOSE_PAUSE_S = 0.03


class Shell(BaseApp):
    """What is live in one registry. Losing Redis never ends it.

    `refresh_s`: how often the registry is read; `poll_s`: how often executions are.
    """

    def __init__(
        self,
        context: Context,
        settings: ScreenSettings = NO_SETTINGS,
        *,
        refresh_s: float = REFRESH_S,
        poll_s: float = POLL_S,
        read_only: bool = False,
    ) -> None:
        super().__init__()
        self.settings = settings
        self._remembered_file = remembered_file()
        self.remembered = read_remembered(self._remembered_file)
        times.show_local(local=self.remembered.zone == "local")
        self.refresh_s, self.poll_s = refresh_s, poll_s
        self.visible_names: tuple[str, ...] = ()
        self._never_writes = read_only
        self._keys = {one.name: actions.key_of(one, settings.keys) for one in actions.ACTIONS}
        self._connecting = threading.RLock()
        self._connection: Connection | None = None
        self._left = False
        self._use(context)

    @property
    def why_read_only(self) -> str:
        if self._never_writes:
            return super().why_read_only
        return f"read-only: nothing is changed; the settings say so of the context {self._chosen.name}"

    def _use(self, context: Context) -> None:
        self._chosen, self.visible_names = context, ()
        read_only = self._never_writes or context.read_only
        state = State(redacted(context.url), None, "", context.name, context.production, read_only, self._keys)
        self.set_reactive(BaseApp.state, state)

    def remember(self, remembered: Remembered) -> None:
        """Also for the next start."""
        self.remembered = remembered
        write_remembered(self._remembered_file, remembered)

    @property
    def connection(self) -> Connection:
        """To the registry of the context; for any thread.

        Raises:
            SettingsError: the URL or the namespace can't be used.
        """
        from luasprocs_tui.connection import Connection  # noqa: PLC0415  # 130 ms, after the first paint

        with self._connecting:
            if self._connection is None:
                self._connection = Connection(self, self._chosen)
                if self._left:  # who left meanwhile waits for each thread
                    self._connection.close()
            return self._connection

    @property
    def controller(self) -> Controller:
        """What can be done to that registry."""
        return self.connection.controller

    def on_mount(self) -> None:
        """Connects after the first paint."""
        if not self.is_headless:
            signals.hear(self)
        self.call_after_refresh(self._follow)

    async def on_unmount(self) -> None:
        """Lets the threads go, wherever they are: Python waits for them before it ends."""
        self._left = True
        for _ in range(CLOSE_ROUNDS):  # one may be between its look at `closed` and its connection
            if self._connection is not None:
                self._connection.close()
            await asyncio.sleep(CLOSE_PAUSE_S)

    @work(thread=True, exit_on_error=False, group="snapshots")
    def _follow(self) -> None:
        try:
            connection = self.connection
        except LuasprocsError as error:
            self.post_message(messages.ReadFailed(str(error)))
        else:
            connection.follow(lambda: self.visible_names, self.refresh_s)

    @on(messages.SnapshotRead)
    def _snapshot_read(self, event: messages.SnapshotRead) -> None:
        self.state = self.state._replace(snapshot=event.snapshot, error="", failed_at_s=None)  # screens follow it

    @on(messages.ReadFailed)
    def _read_failed(self, event: messages.ReadFailed) -> None:
        failed_at_s = time.monotonic() if self.state.failed_at_s is None else self.state.failed_at_s
        self.state = self.state._replace(error=event.reason, failed_at_s=failed_at_s)  # what was read before stays

    def switch(self, context: Context) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        with self._connecting:
            old, self._connection = self._connection, None
            self._use(context)
        if old is not None:
            old.leave()
        self.mutate_reactive(BaseApp.state)
        self.refresh_bindings()
        self._follow()

    def refresh_now(self) -> None:
        self.connection.refresh_now()
