"""The app: it owns the feed's thread and routes between screens. `main` is the console script."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click
from textual import on, work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.worker import get_current_worker

from luasprocs.errors import LuasprocsError
from luasprocs_tui.feed import Feed, Snapshot, State
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.screens.source import SourceScreen
from luasprocs_tui.screens.sprocs import SprocsScreen
from luasprocs_tui.settings import default_url
from luasprocs_tui.widgets.source import lines_of

if TYPE_CHECKING:
    from collections.abc import Sequence

REFRESH_S = 2.0
POLL_S = 0.25
CLOSE_ROUNDS = 3
CLOSE_PAUSE_S = 0.03


class TuiApp(App[None]):
    """What is live in one registry. Losing Redis never ends it."""

    TITLE = "luasprocs"
    CSS_PATH = "app.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "refresh_now", "Refresh", id="app.refresh"),
        Binding("q", "quit", "Quit", id="app.quit"),
    ]

    state: reactive[State] = reactive(State(""))

    class Fresh(Message):
        """The feed has read a snapshot."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

    class Lost(Message):
        """The feed could not read."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self, feed: Feed, refresh_s: float = REFRESH_S, poll_s: float = POLL_S) -> None:
        super().__init__()
        self._feed = feed
        self._refresh_s = refresh_s
        self._poll_s = poll_s
        self._asked = threading.Event()
        self._closing = False
        self._visible: tuple[str, ...] = ()
        self.set_reactive(TuiApp.state, State(feed.server))

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
            self._feed.close()
            await asyncio.sleep(CLOSE_PAUSE_S)

    @work(thread=True, exit_on_error=False, group="feed")
    def _follow(self) -> None:
        full = False
        while not self._closing:
            self._asked.clear()
            try:
                self.post_message(self.Fresh(self._feed.read(self._visible, full=full)))
            except LuasprocsError as error:
                self.post_message(self.Lost(str(error)))
            except Exception as error:  # noqa: BLE001  # a reply that nobody foresaw must show, and not end the refreshing
                self.post_message(self.Lost(f"can't be read: {type(error).__name__}: {error}"))
            full = self._asked.wait(self._refresh_s)

    @on(Fresh)
    def _fresh(self, event: Fresh) -> None:
        self.state = State(self._feed.server, event.snapshot)
        self._visible = next((one.visible_names for one in self.screen_stack if isinstance(one, SprocsScreen)), ())

    @on(Lost)
    def _lost(self, event: Lost) -> None:
        self.state = State(self._feed.server, self.state.snapshot, event.reason)

    @on(SprocsScreen.ExecutionsAsked)
    def _executions_asked(self) -> None:
        screen = ExecutionsScreen()
        self.push_screen(screen)
        self._tail(screen)

    @work(thread=True, exit_on_error=False, group="executions")
    def _tail(self, screen: ExecutionsScreen) -> None:
        records, worker = self._feed.records(), get_current_worker()
        while not (self._closing or worker.is_cancelled):
            try:
                screen.post_message(ExecutionsScreen.Came(records.read()))
            except LuasprocsError as error:
                screen.post_message(ExecutionsScreen.Lost(str(error)))
            except Exception as error:  # noqa: BLE001  # as in _follow
                screen.post_message(ExecutionsScreen.Lost(f"can't be read: {type(error).__name__}: {error}"))
            if screen.left.wait(self._poll_s):
                return

    @on(ExecutionsScreen.Opened)
    @on(SprocsScreen.Opened)
    def _opened(self, event: SprocsScreen.Opened | ExecutionsScreen.Opened) -> None:
        screen = SourceScreen(event.name)
        self.push_screen(screen)
        self._load(screen)

    @work(thread=True, exit_on_error=False, group="source")
    def _load(self, screen: SourceScreen) -> None:
        try:
            sproc = self._feed.read_sproc(screen.sproc)
        except LuasprocsError as error:
            screen.post_message(SourceScreen.Failed(str(error)))
            return
        if sproc is None:
            screen.post_message(SourceScreen.Failed("is gone: it was deleted meanwhile"))
            return
        screen.post_message(SourceScreen.Loaded(lines_of(sproc.source, dark=self.current_theme.dark), sproc.commit))

    def action_refresh_now(self) -> None:
        """Reads everything again now."""
        self._asked.set()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--redis",
    "url",
    metavar="URL",
    envvar="LUASPROCS_REDIS",
    help="redis://, rediss:// or unix:// (LUASPROCS_REDIS).",
)
@click.option(
    "--namespace",
    metavar="NS",
    envvar="LUASPROCS_NAMESPACE",
    default="",
    help="The registry's namespace (LUASPROCS_NAMESPACE).",
)
@click.version_option(package_name="luasprocs", prog_name="luasprocs-tui")
def cli(url: str | None, namespace: str) -> None:
    """Show the Lua sprocs that are live in Redis or Valkey.

    Without --redis: the server that `luasprocs up` left running for this folder, else redis://127.0.0.1:6379/0.
    """
    feed = Feed(url or default_url(Path.cwd()), namespace)
    if not (sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()):
        raise click.ClickException("needs a terminal; in a pipe use: luasprocs list")
    TuiApp(feed).run()


def run(args: Sequence[str]) -> int:
    """Runs a command line. Returns the exit code: 0, or 2 when it could not."""
    try:
        cli.main(list(args), prog_name="luasprocs-tui", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.ClickException, LuasprocsError) as error:
        said = error.format_message() if isinstance(error, click.ClickException) else str(error)
        click.echo(f"luasprocs-tui: {said}", err=True)
        return 2
    except (click.Abort, KeyboardInterrupt):
        return 130
    return 0


def main(args: Sequence[str] | None = None) -> None:
    """The console script; ends the process."""
    sys.exit(run(sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
