"""One registry that the screen is connected to: who reads, in which thread, for which screen. Comes after the first paint."""

from __future__ import annotations

import gc
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from luasprocs.errors import LuasprocsError
from luasprocs_tui.controller.controller import Acting
from luasprocs_tui.controller.previews import generation_diff
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.screens.polled import PolledScreen
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.screens.source import SourceScreen
from luasprocs_tui.screens.sprocs import SprocsScreen
from luasprocs_tui.screens.stats import StatsScreen
from luasprocs_tui.screens.wanted import WantedScreen
from luasprocs_tui.widgets.dialog import Show
from luasprocs_tui.widgets.source import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.text import Text
    from textual.message import Message
    from textual.screen import Screen

    from luasprocs.registry.history import Generation
    from luasprocs_tui.app import TuiApp
    from luasprocs_tui.settings import Context


class Connection(Acting):
    """Until it is closed. Each method without arguments is an action of the app.

    Raises:
        SettingsError: the URL or the namespace can't be used. (Nothing is sent before the first read.)
    """

    def __init__(self, app: TuiApp, context: Context, refresh_s: float, poll_s: float) -> None:
        super().__init__(app, context)
        self.closed = False
        # What was imported stays: looking through it again and again would hold a key up by 100 ms.
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)  # records come and go by the thousand, without cycles
        gc.enable()
        # So long may a thread that parses them keep the one that draws waiting, each time.
        sys.setswitchinterval(0.001)
        self._refresh_s, self._poll_s = refresh_s, poll_s
        self._asked = threading.Event()

    def close(self) -> None:
        """Ends what threads are reading, however long the server would take."""
        self.closed = True
        self._asked.set()
        self.feed.close()

    def ask(self) -> None:
        """Reads everything again now."""
        self._asked.set()

    def follow(self, fresh: Callable[[Any], Message], lost: Callable[[str], Message]) -> None:
        """In a thread: reads snapshots until it is closed."""
        asked = False

        def read() -> Message:
            return fresh(self.feed.read(self.app.visible_names, full=asked))

        while not self.closed:
            self._asked.clear()
            self._post(self.app, read, lost)
            asked = self._asked.wait(self._refresh_s)

    def _post(self, to: Screen[Any] | TuiApp, read: Callable[[], Message], lost: Callable[[str], Message]) -> None:
        """Posts what was read, or why it wasn't."""
        try:
            message = read()
        except LuasprocsError as error:
            message = lost(str(error))
        except Exception as error:  # noqa: BLE001  # a reply that nobody foresaw must show, and not end the reading
            message = lost(f"can't be read: {type(error).__name__}: {error}")
        if not self.closed:
            to.post_message(message)

    def _in_thread(self, work: Callable[[], None], group: str) -> None:
        self.app.run_worker(work, thread=True, exit_on_error=False, group=group)

    def _of_one(self) -> str:
        """The sproc whose own screen this is, "" in the list."""
        return "" if isinstance(self.app.screen, SprocsScreen) else "".join(self.named[:1])

    def executions(self) -> None:
        """Opens the tail of executions: of one sproc from its own screens."""
        screen = ExecutionsScreen(self._of_one())
        self.app.push_screen(screen)

        def work() -> None:
            records = self.feed.records(screen.sproc)
            while not (self.closed or screen.left.is_set()):
                self._post(screen, lambda: ExecutionsScreen.Came(records.read()), ExecutionsScreen.Lost)
                screen.left.wait(self._poll_s)

        self._in_thread(work, "executions")

    def open(self, name: str, line: int = 0) -> None:
        """Opens a sproc's source, at a line if one is given."""
        screen = SourceScreen(name, line)
        self.app.push_screen(screen)

        def work() -> None:
            while not (self.closed or screen.left.is_set()):
                screen.asked.clear()
                self._post(screen, lambda: self._source(name, SourceScreen.Loaded), SourceScreen.Failed)
                screen.asked.wait(self._refresh_s)

        self._in_thread(work, "source")

    def _source(self, name: str, loaded: Callable[[Sequence[Text], str], Message]) -> Message:
        sproc = self.feed.read_sproc(name)
        if sproc is None:
            return SourceScreen.Failed("is gone: it was deleted meanwhile")
        return loaded(lines_of(sproc.source, dark=self.app.current_theme.dark), sproc.commit)

    def open_record(self, event: ExecutionsScreen.Opened) -> None:
        """Opens one record, with the lines around that of its error."""
        screen = RecordScreen(event.record, event.chain, event.line)
        self.app.push_screen(screen)
        if event.line:
            loaded = partial(self._source, event.record.sproc, lambda lines, _: RecordScreen.Loaded(lines))
            self._in_thread(partial(self._post, screen, loaded, SourceScreen.Failed), "source")

    def source(self) -> None:
        """Opens the sproc of a record, at the line of its error."""
        if isinstance(self.app.screen, RecordScreen) and self.app.screen.record.sproc:
            self.open(self.app.screen.record.sproc, self.app.screen.line)

    def open_generation(self, generation: Generation, name: str) -> None:
        """Opens what a generation changed."""
        self.read_then(
            lambda: self.feed.ask(partial(generation_diff, generation, name)),
            lambda text: self.app.push_screen(Show(f"Generation {generation.generation}", text)),
        )

    def cron(self) -> None:
        """Opens the schedules."""
        self._open_live(CronScreen())

    def jobs(self) -> None:
        """Opens the async runs."""
        self._open_live(JobsScreen())

    def history(self) -> None:
        """Opens the generations: those of one sproc from its own screens."""
        self._open_live(HistoryScreen(self._of_one()))

    def stats(self) -> None:
        """Opens what is counted of a sproc."""
        if names := self.named:
            self._open_live(StatsScreen(names[0]))

    def wanted(self) -> None:
        """Opens what git wants: of one sproc from its own screens."""
        self._open_live(WantedScreen(self._of_one()))

    def _open_live(self, screen: PolledScreen[Any]) -> None:
        self.app.push_screen(screen)

        def work() -> None:
            while not (self.closed or screen.left.is_set()):
                screen.asked.clear()
                self._post(screen, lambda: PolledScreen.Came(screen.read(self.feed)), PolledScreen.Lost)
                screen.asked.wait(screen.EVERY_S)

        self._in_thread(work, "live")
