"""The app: contexts, commands, colours; and the way from an action to who does it.

What needs Redis is imported after the first paint: it takes longer than Textual itself (`python -m bench screen`).
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive

from luasprocs.errors import LuasprocsError
from luasprocs.server.urls import redacted
from luasprocs_tui import actions
from luasprocs_tui.keys_in_order import KeysInOrder
from luasprocs_tui.screens.sprocs import SprocsScreen
from luasprocs_tui.settings import NO_SETTINGS, THEMES, Context, ScreenSettings
from luasprocs_tui.themes import CONTRAST, NAMES
from luasprocs_tui.values.safe import clean
from luasprocs_tui.values.snapshots import Snapshot, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.screen import Screen

    from luasprocs_tui.connection import Connection
    from luasprocs_tui.screens.executions import ExecutionsScreen
    from luasprocs_tui.screens.history import HistoryScreen

REFRESH_S = 2.0
POLL_S = 0.25
CLOSE_ROUNDS = 3
CLOSE_PAUSE_S = 0.03


class TuiApp(KeysInOrder):
    """What is live in one registry. Losing Redis never ends it."""

    TITLE = "luasprocs"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("everywhere")]

    state: reactive[State] = reactive(State(""))

    class Fresh(Message):
        """A snapshot was read."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

    class Lost(Message):
        """None could be read."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

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
        self._settings = settings
        self._never_writes = read_only
        self._rhythm = refresh_s, poll_s
        self._connecting = threading.RLock()
        self._connection: Connection | None = None
        self.visible_names: tuple[str, ...] = ()
        self._use(context)
        self.register_theme(CONTRAST)
        self.theme = NAMES[settings.theme]
        self.set_keymap(actions.keymap(settings.keys))

    def _use(self, context: Context) -> None:
        self._chosen, self.visible_names = context, ()
        self.read_only = self._never_writes or context.read_only
        named = (context.name, context.production, self.read_only)
        state = State(redacted(context.url), None, "", *named)
        self.set_reactive(TuiApp.state, state)

    @property
    def connection(self) -> Connection:
        """To the registry of the context; for any thread."""
        from luasprocs_tui.connection import Connection  # noqa: PLC0415  # 130 ms, after the first paint

        with self._connecting:
            if self._connection is None:
                self._connection = Connection(self, self._chosen, *self._rhythm)
            return self._connection

    @property
    def paused(self) -> set[str]:
        """Names of what is paused, as far as is known."""
        return {row.name for row in self.state.snapshot.rows if row.state == "paused"} if self.state.snapshot else set()

    def get_default_screen(self) -> SprocsScreen:
        """The list."""
        return SprocsScreen()

    def on_mount(self) -> None:
        """Connects after the first paint."""
        self.call_after_refresh(self._follow)

    async def on_unmount(self) -> None:
        """Lets the threads go, wherever they are: Python waits for them before it ends."""
        for _ in range(CLOSE_ROUNDS):  # one may be between its look at `closed` and its connection
            if self._connection is not None:
                self._connection.close()
            await asyncio.sleep(CLOSE_PAUSE_S)

    @work(thread=True, exit_on_error=False, group="feed")
    def _follow(self) -> None:
        try:
            connection = self.connection
        except LuasprocsError as error:
            self.post_message(self.Lost(str(error)))
        else:
            connection.follow(self.Fresh, self.Lost)

    def on_tui_app_fresh(self, event: Fresh) -> None:
        """Screens follow `state`."""
        self.state = replace(self.state, snapshot=event.snapshot, error="")
        lists = (one for one in self.screen_stack if isinstance(one, SprocsScreen))
        self.visible_names = next((one.visible_names for one in lists), ())

    def on_tui_app_lost(self, event: Lost) -> None:
        """What was read before stays."""
        self.state = replace(self.state, error=event.reason)

    def action_refresh_now(self) -> None:
        """Reads everything again now."""
        self.connection.ask()
        if (again := getattr(self.screen, "again", None)) is not None:
            again()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What writes is greyed out with --read-only."""
        found = actions.of(action)
        if found is not None and found.writes and self.read_only:
            return None
        return super().check_action(action, parameters)

    def toast(self, text: str, *, bad: bool = False) -> None:
        """Says it for some seconds."""
        self.notify(clean(text, 600), severity="error" if bad else "information", markup=False, timeout=8 if bad else 4)

    # Rows that were opened.

    def on_sprocs_screen_opened(self, event: SprocsScreen.Opened) -> None:
        """A sproc."""
        self.connection.open(event.name)

    def on_executions_screen_opened(self, event: ExecutionsScreen.Opened) -> None:
        """A record."""
        self.connection.open_record(event)

    def on_history_screen_opened(self, event: HistoryScreen.Opened) -> None:
        """A generation."""
        self.connection.open_generation(event.generation, event.name)

    # The app itself.

    def action_ctx(self, name: str | None = None) -> None:
        """Goes to another registry; asks for its name where none is given."""
        contexts = self._settings.contexts
        if not contexts:
            self.toast("no contexts are set: see the settings in docs/screen.md", bad=True)
        elif name is None:
            from luasprocs_tui.widgets.dialog import Choose  # noqa: PLC0415  # as in `connection`

            said = [(one.name, f"{one.name}{'  PRODUCTION' if one.production else ''}") for one in contexts.values()]
            self.push_screen(Choose("Go to", said), lambda chosen: self.action_ctx(chosen) if chosen else None)
        elif name not in contexts:
            self.toast(f"there is no context {name}: there are {', '.join(contexts)}", bad=True)
        else:
            self._switch(contexts[name])

    def _switch(self, context: Context) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        with self._connecting:
            old, self._connection = self._connection, None
            self._use(context)
        if old is not None:
            old.closed = True
            threading.Thread(target=old.close, daemon=True).start()  # a server that hangs must hold nothing up
        self.mutate_reactive(TuiApp.state)
        self.refresh_bindings()
        self._follow()

    def action_theme(self, name: str | None = None) -> None:
        """Takes other colours: those named, else the next."""
        known = [one for one in THEMES if NAMES[one] == self.theme]
        wanted = name or (THEMES[(THEMES.index(known[0]) + 1) % len(THEMES)] if known else THEMES[0])
        if wanted in NAMES:
            self.theme = NAMES[wanted]
        else:
            self.toast(f"there is no theme {wanted}: there are {', '.join(THEMES)}", bad=True)

    def action_help(self) -> None:
        """What the keys do."""
        from luasprocs_tui.widgets.dialog import Show  # noqa: PLC0415  # as in `connection`

        lines = [
            f"{actions.key_of(one, self._settings.keys):10}{f':{one.name}'.replace('_', '-'):16}{one.says}"
            for one in actions.here(_place(self.screen))
        ]
        moves = "\n\nj k g G, arrows, pages: move      enter: open      esc: one step back      ctrl+p: palette"
        self.push_screen(Show("Keys and commands here", "\n".join(lines) + moves))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """For the palette: what can be done here."""
        for one in actions.here(_place(screen)):
            if self.check_action(one.name, ()) and one.name != "command":
                key = actions.key_of(one, self._settings.keys)
                said = f":{one.name.replace('_', '-')}{f', key {key}' if key else ''}"
                # The palette searches titles alone.
                yield SystemCommand(f"{one.label}: {one.says}", said, partial(self.run_action, actions.target(one)))

    def action_command(self) -> None:
        """Asks for the name of an action."""
        from luasprocs_tui.widgets.command import CommandLine  # noqa: PLC0415  # as in `connection`

        known = [f"ctx {name}" for name in self._settings.contexts] + [f"theme {name}" for name in THEMES]
        self.push_screen(CommandLine((*actions.names(), *known)), self.command)

    def command(self, text: str | None) -> None:
        """Does what was typed, `NAME [WORDS]`; says so if there is no such command, or not here."""
        name, _, argument = (text or "").strip().partition(" ")
        found = actions.of(name) if name else None
        if not name:
            return
        if found is None:
            self.toast(f"there is no command {clean(name, 60)}: ? lists them", bad=True)
        elif argument.strip() and not found.takes:
            self.toast(f"{name} takes nothing behind it: it is done to what is selected", bad=True)
        elif found.name not in actions.ANYWHERE and not {_place(self.screen), "everywhere"} & set(found.where):
            self.toast(f"{name} is not for this screen", bad=True)
        elif found.writes and self.read_only:
            self.toast("read-only: nothing is changed", bad=True)
        else:
            self.run_worker(self.run_action(actions.target(found, argument.strip())), exit_on_error=False)


def _place(screen: Screen[Any]) -> str:
    return type(screen).__name__.removesuffix("Screen").lower()


def _routed(name: str) -> Callable[..., None]:
    def action(app: TuiApp, *given: str) -> None:
        getattr(app.connection, name)(*given)

    return action


# What neither a screen nor the app does itself is done by the connection.
for _one in actions.ACTIONS:
    if not _one.own and not hasattr(TuiApp, f"action_{_one.name}"):
        setattr(TuiApp, f"action_{_one.name}", _routed(_one.name))
