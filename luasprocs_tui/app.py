"""The app: it owns the feed's threads and routes between screens."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.worker import get_current_worker

from luasprocs.errors import LuasprocsError
from luasprocs_tui import actions
from luasprocs_tui.acting import Acting
from luasprocs_tui.feed import Feed, Snapshot, State
from luasprocs_tui.safe import clean
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.screens.live import Live
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.screens.source import SourceScreen
from luasprocs_tui.screens.sprocs import SprocsScreen
from luasprocs_tui.screens.stats import StatsScreen
from luasprocs_tui.screens.wanted import WantedScreen
from luasprocs_tui.settings import NO_SETTINGS, THEMES, Context, ScreenSettings
from luasprocs_tui.texts import generation_diff
from luasprocs_tui.themes import CONTRAST, NAMES
from luasprocs_tui.widgets.command import CommandLine
from luasprocs_tui.widgets.dialog import Choose, Show
from luasprocs_tui.widgets.source import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.screen import Screen

REFRESH_S = 2.0
POLL_S = 0.25
CLOSE_ROUNDS = 3
CLOSE_PAUSE_S = 0.03


class TuiApp(Acting):
    """What is live in one registry. Losing Redis never ends it."""

    TITLE = "luasprocs"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("everywhere")]

    state: reactive[State] = reactive(State(""))

    class Fresh(Message):
        """A feed has read a snapshot."""

        def __init__(self, feed: Feed, snapshot: Snapshot) -> None:
            super().__init__()
            self.feed = feed
            self.snapshot = snapshot

    class Lost(Message):
        """A feed could not read."""

        def __init__(self, feed: Feed, reason: str) -> None:
            super().__init__()
            self.feed = feed
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
        self._refresh_s = refresh_s
        self._poll_s = poll_s
        self._asked = threading.Event()
        self._closing = False
        self._visible: tuple[str, ...] = ()
        self._use(context)
        self.register_theme(CONTRAST)
        self.theme = NAMES[settings.theme]
        self.set_keymap(actions.keymap(settings.keys))

    def _use(self, context: Context) -> None:
        self.context, self.feed = context, Feed(context.url, context.namespace)
        self.read_only = self._never_writes or context.read_only
        state = State(self.feed.server, context=context.name, production=context.production)
        self.set_reactive(TuiApp.state, state)

    def get_default_screen(self) -> SprocsScreen:
        """The list."""
        return SprocsScreen()

    def on_mount(self) -> None:
        """Connects after the first paint."""
        self.call_after_refresh(self._follow)

    async def on_unmount(self) -> None:
        """Lets the threads go, wherever they are: Python waits for them before it ends."""
        self._closing = True
        self._asked.set()
        for _ in range(CLOSE_ROUNDS):  # one may be between its look at `_closing` and its connection
            self.feed.close()
            await asyncio.sleep(CLOSE_PAUSE_S)

    @work(thread=True, exit_on_error=False, group="feed")
    def _follow(self) -> None:
        full, feed = False, self.feed
        while not self._closing and feed is self.feed:
            self._asked.clear()
            try:
                self.post_message(self.Fresh(feed, feed.read(self._visible, full=full)))
            except LuasprocsError as error:
                self.post_message(self.Lost(feed, str(error)))
            except Exception as error:  # noqa: BLE001  # a reply that nobody foresaw must show, and not end the refreshing
                self.post_message(self.Lost(feed, f"can't be read: {type(error).__name__}: {error}"))
            full = self._asked.wait(self._refresh_s)

    @on(Fresh)
    def _fresh(self, event: Fresh) -> None:
        if event.feed is self.feed:
            self.state = replace(self.state, snapshot=event.snapshot, error="")
            self._visible = next((one.visible_names for one in self.screen_stack if isinstance(one, SprocsScreen)), ())

    @on(Lost)
    def _lost(self, event: Lost) -> None:
        if event.feed is self.feed:
            self.state = replace(self.state, error=event.reason)

    def refresh_soon(self) -> None:
        """Everything is read again now."""
        self._asked.set()
        if isinstance(self.screen, Live):
            self.screen.again()

    def action_refresh_now(self) -> None:
        """Reads everything again now."""
        self.refresh_soon()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What writes is greyed out with --read-only."""
        found = actions.of(action)
        if found is not None and found.writes and self.read_only:
            return None
        return super().check_action(action, parameters)

    # Screens, and who reads for them.

    def _reading(self, screen: Screen[None], read: Callable[[], Message], lost: Callable[[str], Message]) -> bool:
        """Posts what was read, or why it wasn't; whether the screen is still that of what is connected."""
        try:
            screen.post_message(read())
        except LuasprocsError as error:
            screen.post_message(lost(str(error)))
        except Exception as error:  # noqa: BLE001  # as in _follow
            screen.post_message(lost(f"can't be read: {type(error).__name__}: {error}"))
        return not (self._closing or get_current_worker().is_cancelled)

    def action_executions(self) -> None:
        """Opens the tail of executions: of one sproc from its own screens."""
        screen = ExecutionsScreen("" if isinstance(self.screen, SprocsScreen) else "".join(self.named[:1]))
        self.push_screen(screen)
        self._tail(screen)

    @work(thread=True, exit_on_error=False, group="executions")
    def _tail(self, screen: ExecutionsScreen) -> None:
        records = self.feed.records(screen.sproc)
        while self._reading(screen, lambda: ExecutionsScreen.Came(records.read()), ExecutionsScreen.Lost):
            if screen.left.wait(self._poll_s):
                return

    @on(SprocsScreen.Opened)
    def _opened(self, event: SprocsScreen.Opened) -> None:
        self._open_source(event.name)

    def _open_source(self, name: str, line: int = 0) -> None:
        screen = SourceScreen(name, line)
        self.push_screen(screen)
        self._load(name, SourceScreen.Loaded, screen)

    @work(thread=True, exit_on_error=False, group="source")
    def _load(self, name: str, loaded: Callable[[Any, str], Message], screen: Screen[None]) -> None:
        def read() -> Message:
            sproc = self.feed.read_sproc(name)
            if sproc is None:
                return SourceScreen.Failed("is gone: it was deleted meanwhile")
            return loaded(lines_of(sproc.source, dark=self.current_theme.dark), sproc.commit)

        self._reading(screen, read, SourceScreen.Failed)

    @on(ExecutionsScreen.Opened)
    def _record_opened(self, event: ExecutionsScreen.Opened) -> None:
        screen = RecordScreen(event.record, event.chain, event.line)
        self.push_screen(screen)
        if event.line:
            self._load(event.record.sproc, lambda lines, _: RecordScreen.Loaded(lines), screen)

    def action_source(self) -> None:
        """Opens the sproc of a record, at the line of its error."""
        if isinstance(self.screen, RecordScreen) and self.screen.record.sproc:
            self._open_source(self.screen.record.sproc, self.screen.line)

    @on(HistoryScreen.Opened)
    def _generation_opened(self, event: HistoryScreen.Opened) -> None:
        self.read_then(
            lambda: self.feed.ask(partial(generation_diff, event.generation, event.name)),
            lambda text: self.push_screen(Show(f"Generation {event.generation.generation}", text)),
        )

    def action_cron(self) -> None:
        """Opens the schedules."""
        self._open_live(CronScreen())

    def action_jobs(self) -> None:
        """Opens the async runs."""
        self._open_live(JobsScreen())

    def action_history(self) -> None:
        """Opens the generations: those of one sproc from its own screens."""
        self._open_live(HistoryScreen("" if isinstance(self.screen, SprocsScreen) else "".join(self.named[:1])))

    def action_stats(self) -> None:
        """Opens what is counted of a sproc."""
        if names := self.named:
            self._open_live(StatsScreen(names[0]))

    def action_wanted(self) -> None:
        """Opens what git wants: of one sproc from its own screens."""
        self._open_live(WantedScreen("" if isinstance(self.screen, SprocsScreen) else "".join(self.named[:1])))

    def _open_live(self, screen: Live[Any]) -> None:
        self.push_screen(screen)
        self._poll(screen)

    @work(thread=True, exit_on_error=False, group="live")
    def _poll(self, screen: Live[Any]) -> None:
        feed = self.feed
        while not screen.left.is_set():
            screen.asked.clear()
            if not self._reading(screen, lambda: Live.Came(screen.read(feed)), Live.Lost):
                return
            screen.asked.wait(screen.EVERY_S)

    # The app itself.

    def action_ctx(self, name: str | None = None) -> None:
        """Goes to another registry; asks for its name where none is given."""
        contexts = self._settings.contexts
        if not contexts:
            self.toast("no contexts are set: see the settings in docs/screen.md", bad=True)
        elif name is None:
            said = [(one.name, f"{one.name}{'  PRODUCTION' if one.production else ''}") for one in contexts.values()]
            self.push_screen(Choose("Go to", said), lambda chosen: self.action_ctx(chosen) if chosen else None)
        elif name not in contexts:
            self.toast(f"there is no context {name}: there are {', '.join(contexts)}", bad=True)
        else:
            self._switch(contexts[name])

    def _switch(self, context: Context) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        old, self._visible = self.feed, ()
        try:
            self._use(context)
        except LuasprocsError as error:
            self.toast(f"{context.name}: {error}", bad=True)
            return
        self._asked.set()
        threading.Thread(target=old.close, daemon=True).start()  # it may hang, and must hold nothing up
        self.mutate_reactive(TuiApp.state)
        self.refresh_bindings()
        self._follow()

    def action_theme(self, name: str | None = None) -> None:
        """Takes other colours: those named, else the next."""
        known = [one for one in THEMES if NAMES[one] == self.theme]
        after = THEMES[(THEMES.index(known[0]) + 1) % len(THEMES)] if known else THEMES[0]
        wanted = name or after
        if wanted not in NAMES:
            self.toast(f"there is no theme {wanted}: there are {', '.join(THEMES)}", bad=True)
            return
        self.theme = NAMES[wanted]

    def _place(self) -> str:
        return type(self.screen).__name__.removesuffix("Screen").lower()

    def action_help(self) -> None:
        """What the keys do."""
        lines = [
            f"{actions.key_of(one, self._settings.keys):10}{f':{one.name}'.replace('_', '-'):16}{one.says}"
            for one in actions.here(self._place())
        ]
        moves = "\n\nj k g G, arrows, pages: move      enter: open      esc: one step back      ctrl+p: palette"
        self.push_screen(Show("Keys and commands here", "\n".join(lines) + moves))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """For the palette: what can be done here."""
        place = type(screen).__name__.removesuffix("Screen").lower()
        for one in actions.here(place):
            if self.check_action(one.name, ()) and one.name not in {"command", "next_match", "previous_match"}:
                run = partial(self.run_action, actions.target(one))
                yield SystemCommand(one.label, one.says, run)

    def action_command(self) -> None:
        """Asks for the name of an action."""
        named = [f"ctx {name}" for name in self._settings.contexts]
        self.push_screen(CommandLine((*actions.names(), *named, *(f"theme {one}" for one in THEMES))), self.command)

    def command(self, text: str | None) -> None:
        """Does what was typed, `NAME [WORDS]`; says so if there is no such command, or not here."""
        name, _, argument = (text or "").strip().partition(" ")
        found = actions.of(name) if name else None
        if found is None:
            if name:
                self.toast(f"there is no command {clean(name, 60)}: ? lists them", bad=True)
            return
        if found.own and self._place() not in found.where:
            self.toast(f"{found.name.replace('_', '-')} is not for this screen", bad=True)
            return
        if found.writes and self.read_only:
            self.toast("read-only: nothing is changed", bad=True)
            return
        self.run_worker(self.run_action(actions.target(found, argument.strip())), exit_on_error=False)
