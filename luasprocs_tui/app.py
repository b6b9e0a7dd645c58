"""The app: what it opens, commands, contexts, colours, help.

A key goes from its binding (`actions.py`) to `action_NAME` of a screen, or of the app for what is the same everywhere.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.reactive import Reactive

from luasprocs.operations.contexts import Context
from luasprocs.operations.terminal import encodable
from luasprocs.server.urls import redacted
from luasprocs_tui import actions, messages, signals
from luasprocs_tui.remembered import ZONES
from luasprocs_tui.screens.base import BaseScreen
from luasprocs_tui.screens.sprocs import SprocsScreen
from luasprocs_tui.settings import NO_SETTINGS, THEMES, ScreenSettings
from luasprocs_tui.shell import POLL_S, REFRESH_S, Shell
from luasprocs_tui.themes import CONTRAST, LIGHT, NAMES, ON_DARK, ON_LIGHT, named_colours
from luasprocs_tui.values import times
from luasprocs_tui.values.safe import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.terminal_theme import TerminalTheme
    from textual.screen import Screen

    from luasprocs_tui.actions import Action
    from luasprocs_tui.values.contexts import ContextFacts


class TuiApp(Shell):
    """The shell with its screens. All but the first, and dialogs, are imported when they are opened: after the first paint."""

    TITLE = "luasprocs"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("everywhere")]

    # As defaults: to set them once it runs has all style sheets parsed twice, 10 ms of the first paint.
    ansi_theme_dark: Reactive[TerminalTheme] = Reactive(partial(named_colours, ON_DARK), init=False)
    ansi_theme_light: Reactive[TerminalTheme] = Reactive(partial(named_colours, ON_LIGHT), init=False)

    def __init__(
        self,
        context: Context,
        settings: ScreenSettings = NO_SETTINGS,
        *,
        refresh_s: float = REFRESH_S,
        poll_s: float = POLL_S,
        read_only: bool = False,
    ) -> None:
        super().__init__(context, settings, refresh_s=refresh_s, poll_s=poll_s, read_only=read_only)
        for theme in (LIGHT, CONTRAST):
            self.register_theme(theme)
        self.theme = NAMES[settings.theme]
        self.set_keymap(actions.keymap(settings.keys))

    def get_default_screen(self) -> SprocsScreen:
        return SprocsScreen()

    @on(messages.Open)
    def _open(self, event: messages.Open) -> None:
        from luasprocs_tui.screens.opening import screen_for  # noqa: PLC0415  # it needs Redis

        screen = screen_for(event)
        if isinstance(self.screen, BaseScreen) and self.screen.shows_the_same(screen):
            return
        self.push_screen(screen)
        screen.start(self.connection)

    @on(messages.OpenList)
    def _open_list(self, event: messages.OpenList) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        if isinstance(self.screen, SprocsScreen):
            self.screen.action_filter(event.wanted)
            self.screen.goes_back_to(event.row)

    def refresh_now(self) -> None:
        super().refresh_now()
        if isinstance(self.screen, BaseScreen):
            self.screen.read_again()

    # Actions that are the same everywhere.

    def action_refresh_now(self) -> None:
        self.refresh_now()

    def action_ctx(self, name: str | None = None) -> None:
        """Goes to another registry; asks for its name where none is given."""
        contexts = self.settings.contexts
        if not contexts:
            self.toast("no contexts are set: see the settings in docs/screen.md", bad=True)
        elif name is None:
            from luasprocs_tui.widgets.contexts import Contexts  # noqa: PLC0415  # after the first paint

            said = [
                (one.name, f"{'PRODUCTION  ' if one.production else ''}{redacted(one.url)}")
                for one in contexts.values()
            ]
            self.push_screen(Contexts(said, self._look), lambda chosen: self.action_ctx(chosen) if chosen else None)
        elif name not in contexts:
            self.toast(f"there is no context {name}: there are {', '.join(contexts)}", bad=True)
        else:
            self.switch(contexts[name])

    def _look(self, name: str, then: Callable[[ContextFacts], object]) -> None:
        """How another registry is. Nobody waits for the thread, not even when the app ends."""
        from luasprocs_tui.backend.looks import look  # noqa: PLC0415  # it needs Redis

        def read() -> None:
            found = look(self.settings.contexts[name])
            if self.is_running:
                self.call_later(then, found)

        threading.Thread(target=read, daemon=True).start()

    def action_copy(self) -> None:
        screen = self.screen
        text = screen.copied() if isinstance(screen, BaseScreen) else ""
        if not text:
            self.toast("there is nothing to copy here", bad=True)
            return
        self.copy_to_clipboard(encodable(text))
        lines = text.count("\n") + 1
        self.toast(f"copied: {text}" if lines == 1 else f"copied {lines} lines")

    def action_export(self) -> None:
        """Writes to the folder that the screen was started in; a file that is there already stays."""
        name, text = self.screen.exported() if isinstance(self.screen, BaseScreen) else ("", "")
        if not text:
            self.toast("there is nothing to export here", bad=True)
            return
        file = Path(f"luasprocs-{name}" if name[:1].isdigit() else f"luasprocs-{time.strftime('%Y%m%dT%H%M%S')}-{name}")
        try:
            with file.open("x", encoding="utf-8") as written:
                written.write(encodable(text))
        except OSError as error:
            self.toast(f"{file} can't be written: {error.strerror or error}", bad=True)
        else:
            self.toast(f"written to {file.resolve()}")

    def action_background(self) -> None:
        signals.stop(self)

    async def action_quit(self) -> None:
        self.exit()

    def action_theme(self, name: str | None = None) -> None:
        """Takes other colours: those named, else the next."""
        known = [one for one in THEMES if NAMES[one] == self.theme]
        wanted = name or (THEMES[(THEMES.index(known[0]) + 1) % len(THEMES)] if known else THEMES[0])
        if wanted in NAMES:
            self.theme = NAMES[wanted]
        else:
            self.toast(f"there is no theme {wanted}: there are {', '.join(THEMES)}", bad=True)

    def action_zone(self, name: str | None = None) -> None:
        """Shows times in another zone: the one named, else the other."""
        wanted = name or next(one for one in ZONES if one != self.remembered.zone)
        if wanted not in ZONES:
            self.toast(f"there is no zone {wanted}: there are {', '.join(ZONES)}", bad=True)
            return
        self.remember(self.remembered._replace(zone=wanted))
        times.show_local(local=wanted == "local")
        for screen in self.screen_stack:
            if isinstance(screen, BaseScreen):
                screen.show_again()
        self.toast(f"times are shown in {times.zone_name()}")

    def action_help(self) -> None:
        from luasprocs_tui.widgets.help import Help  # noqa: PLC0415  # as above

        self.push_screen(Help(_place(self.screen), self.settings.keys, read_only=self.read_only))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """For the palette: what can be done here."""
        for one in actions.here(_place(screen)):
            if (self if one.app else screen).check_action(one.name, ()) and one.name != "command":
                key = actions.key_of(one, self.settings.keys)
                said = f":{one.command}"
                # The palette searches titles alone.
                title = f"{one.label}: {one.says} {said}"
                yield SystemCommand(title, f"key {key}" if key else said, partial(self._do, one))

    def action_command(self) -> None:
        from luasprocs_tui.widgets.command import CommandLine  # noqa: PLC0415  # as above

        snapshot = self.state.snapshot
        words = {
            "ctx": [*self.settings.contexts],
            "theme": THEMES,
            "zone": ZONES,
            "execute": [row.name for row in snapshot.rows] if snapshot else [],
        }
        self.push_screen(CommandLine(actions.commands(_place(self.screen)), words), self.command)

    def command(self, text: str | None) -> None:
        """Does what was typed, `NAME [WORDS]`; says so if there is no such command, or not here."""
        name, _, argument = (text or "").strip().partition(" ")
        found = actions.of(name) if name else None
        if not name:
            return
        if found is None:
            self.toast(f"there is no command {clean(name, 60)}: ? lists them", bad=True)
        elif argument.strip() and not found.takes:
            self.toast(f"{name} takes no argument: it applies to the selection", bad=True)
        elif found.name not in actions.ANYWHERE and found not in actions.here(_place(self.screen)):
            self.toast(f"{name} is not for this screen", bad=True)
        elif found.writes and self.read_only:
            self.toast(self.why_read_only, bad=True)
        else:
            given = (argument.strip(),) if argument.strip() else ()
            self.run_worker(self._do(found, *given), exit_on_error=False)

    async def _do(self, action: Action, *given: str) -> None:
        await self.run_action(("", action.name, given), self if action.app else self.screen)


def _place(screen: Screen[Any]) -> str:
    return screen.PLACE if isinstance(screen, BaseScreen) else ""
