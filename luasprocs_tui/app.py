"""The app: it owns the feed's thread and routes between screens. `main` is the console script."""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click
from textual import on, work
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.worker import get_current_worker

from luasprocs.editor import in_editor
from luasprocs.errors import LuasprocsError
from luasprocs.header import values_of
from luasprocs.metadata import KEYS as METADATA_KEYS
from luasprocs_tui import actions
from luasprocs_tui.deeds import Conflict
from luasprocs_tui.feed import Feed, Snapshot, State
from luasprocs_tui.keys_in_order import KeysInOrder
from luasprocs_tui.safe import clean
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.screens.live import LiveScreen
from luasprocs_tui.screens.source import SourceScreen
from luasprocs_tui.screens.sprocs import SprocsScreen
from luasprocs_tui.settings import default_url
from luasprocs_tui.texts import checks, pretty, rollback_preview
from luasprocs_tui.widgets.command import CommandLine
from luasprocs_tui.widgets.dialog import Ask, Confirm, Form, Show
from luasprocs_tui.widgets.source import lines_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.sproc import Sproc

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
        """The feed has read a snapshot."""

        def __init__(self, snapshot: Snapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

    class Lost(Message):
        """The feed could not read."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(
        self, feed: Feed, refresh_s: float = REFRESH_S, poll_s: float = POLL_S, *, read_only: bool = False
    ) -> None:
        super().__init__()
        self._feed = feed
        self._deeds = feed.deeds()
        self._read_only = read_only
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

    def action_executions(self) -> None:
        """Opens the tail of executions."""
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
        screen = SourceScreen(event.name, event.line if isinstance(event, ExecutionsScreen.Opened) else 0)
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
        if isinstance(self.screen, LiveScreen):
            self.screen.again()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What writes is greyed out with --read-only."""
        found = actions.of(action)
        if found is not None and found.writes and self._read_only:
            return None
        return super().check_action(action, parameters)

    def action_cron(self) -> None:
        """Opens the schedules."""
        self._open_live(CronScreen())

    def action_jobs(self) -> None:
        """Opens the async runs."""
        self._open_live(JobsScreen())

    def action_history(self) -> None:
        """Opens the generations."""
        self._open_live(HistoryScreen())

    def _open_live(self, screen: LiveScreen[Any]) -> None:
        self.push_screen(screen)
        self._poll(screen)

    @work(thread=True, exit_on_error=False, group="live")
    def _poll(self, screen: LiveScreen[Any]) -> None:
        while not (self._closing or screen.left.is_set()):
            screen.asked.clear()
            try:
                screen.post_message(LiveScreen.Came(screen.read(self._feed)))
            except LuasprocsError as error:
                screen.post_message(LiveScreen.Lost(str(error)))
            except Exception as error:  # noqa: BLE001  # as in _follow
                screen.post_message(LiveScreen.Lost(f"can't be read: {type(error).__name__}: {error}"))
            screen.asked.wait(screen.EVERY_S)

    # What changes something. Each deed runs in a thread, says what came of it, and is never repeated.

    def _do(self, deed: Callable[[], str]) -> None:
        if self._read_only:
            self._toast("read-only: nothing is changed", bad=True)
            return
        self._run_deed(deed, lambda said: self._toast(str(said)))

    @work(thread=True, exit_on_error=False, group="deeds")
    def _run_deed(self, deed: Callable[[], Any], then: Callable[[Any], None]) -> None:
        try:
            found = deed()
        except LuasprocsError as error:
            self.call_from_thread(self._toast, str(error), bad=True)
        except Exception as error:  # noqa: BLE001  # it must show, and not end the app
            self.call_from_thread(self._toast, f"{type(error).__name__}: {error}", bad=True)
        else:
            self.call_from_thread(then, found)
        self._asked.set()
        if isinstance(self.screen, LiveScreen):
            self.screen.again()

    def _toast(self, text: str, *, bad: bool = False) -> None:
        self.notify(clean(text, 600), severity="error" if bad else "information", markup=False, timeout=8 if bad else 4)

    def _named(self) -> str | None:
        """The sproc that is meant: of the screen, or under its cursor."""
        screen = self.screen
        if isinstance(screen, SourceScreen | SprocsScreen):
            return screen.sproc
        if isinstance(screen, CronScreen) and screen.selected:
            return screen.selected[0].name
        return None

    def action_pause(self) -> None:
        """Pauses or resumes."""
        if name := self._named():
            self._do(lambda: self._deeds.toggle_pause(name))

    def action_undo(self) -> None:
        """Takes a live edit back."""
        if name := self._named():
            self._do(lambda: self._deeds.undo(name))

    def action_suspend(self) -> None:
        """Suspends syncs, or not any more."""
        self._do(self._deeds.toggle_suspend)

    def action_sync(self) -> None:
        """Asks a daemon to sync."""
        self._do(lambda: self._deeds.ask("sync"))

    def action_retry(self) -> None:
        """Runs a job again."""
        if isinstance(self.screen, JobsScreen) and (job := self.screen.selected):
            self._do(lambda: self._deeds.retry(job.id))

    def action_drop(self) -> None:
        """Forgets a job, after asking."""
        if isinstance(self.screen, JobsScreen) and (job := self.screen.selected):
            said = f"{job.sproc}, {job.state}: {' '.join((*job.keys, *job.args))}\n{job.error}"

            def answered(sure: bool | None) -> None:
                if sure:
                    self._do(lambda: self._deeds.drop(job.id))

            self.push_screen(Confirm(f"Drop job {job.id}?", said, "Drop"), answered)

    def action_roll_back(self) -> None:
        """Shows what a rollback would change, and asks."""
        if not (isinstance(self.screen, HistoryScreen) and (row := self.screen.selected)):
            return

        def shown(text: object) -> None:
            def answered(sure: bool | None) -> None:
                if sure:
                    self._do(lambda: self._deeds.ask("rollback", generation=str(row.generation)))

            self.push_screen(Confirm(f"Roll back to generation {row.generation}?", str(text), "Roll back"), answered)

        self._run_deed(lambda: self._feed.ask(partial(rollback_preview, row.generation)), shown)

    def action_run_sproc(self) -> None:
        """Asks for keys and arguments, runs it, shows the reply."""
        if not (name := self._named()):
            return

        def given(words: tuple[str, ...] | None) -> None:
            if words is not None:
                self._run_deed(
                    lambda: self._deeds.run(name, *words),
                    lambda reply: self.push_screen(Show(f"{name} replied", pretty(reply))),
                )

        self.push_screen(Ask(f"Run {name}", ("KEYS, as a shell takes words", "ARGV"), "Run"), given)

    def action_edit(self) -> None:
        """Opens the header as a form."""
        if name := self._named():
            self._run_deed(lambda: self._feed.read_sproc(name), self._edit)

    def _edit(self, sproc: Sproc | None) -> None:
        if sproc is None:
            self._toast("it is gone: it was deleted meanwhile", bad=True)
            return
        values = values_of(sproc.source, sproc.name)
        own = [key for key in values if key not in METADATA_KEYS]

        def given(changes: dict[str, str | None] | None) -> None:
            if changes:
                self._do_edit(lambda: self._deeds.edit(sproc, changes))

        self.push_screen(Form(f"Header of {sproc.name}", values, (*METADATA_KEYS, *own), checks()), given)

    def action_edit_source(self) -> None:
        """Opens the source in an editor."""
        if name := self._named():
            self._run_deed(lambda: self._feed.read_sproc(name), self._edit_source)

    def _edit_source(self, sproc: Sproc | None) -> None:
        if sproc is None:
            self._toast("it is gone: it was deleted meanwhile", bad=True)
            return
        try:
            with self.suspend():
                source = in_editor(sproc.name, sproc.source)
        except LuasprocsError as error:
            self._toast(str(error), bad=True)
            return
        self._do_edit(lambda: self._deeds.edit_source(sproc, source))

    def _do_edit(self, deed: Callable[[], str | Conflict]) -> None:
        """Where it has changed meanwhile, both are shown, and it is asked."""

        def done(found: str | Conflict) -> None:
            if isinstance(found, str):
                self._toast(found)
                return

            def answered(sure: bool | None) -> None:
                if sure:
                    self._do_edit(found.again)

            self.push_screen(
                Confirm(f"{found.name} has changed since you opened it", found.text, "Apply yours"), answered
            )

        self._run_deed(deed, done)

    def action_help(self) -> None:
        """What the keys do."""
        wanted = {type(self.screen).__name__.removesuffix("Screen").lower(), "everywhere"}
        here = [one for one in actions.ACTIONS if wanted & set(one.where)]
        lines = [f"{actions.key_of(one):6}{one.name.replace('_', '-'):14}{one.says}" for one in here]
        moves = "\n\nj k  g G  pages  arrows   move      enter  open      esc  one step back"
        self.push_screen(Show("Keys and commands here", "\n".join(lines) + moves))

    def action_command(self) -> None:
        """Asks for the name of an action."""
        self.push_screen(CommandLine(tuple(actions.names())), self._commanded)

    def _commanded(self, text: str | None) -> None:
        found = actions.of(text) if text else None
        if found is not None:
            self.run_worker(self.run_action(actions.target(found)), exit_on_error=False)
        elif text:
            self._toast(f"there is no command {text}: ? lists them", bad=True)


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
@click.option("--read-only", is_flag=True, help="Change nothing, whatever is pressed.")
@click.option("--command", "command", metavar="NAME", default="", help="Start with a command: cron, jobs, history, …")
@click.version_option(package_name="luasprocs", prog_name="luasprocs-tui")
def cli(url: str | None, namespace: str, read_only: bool, command: str) -> None:
    """Show the Lua sprocs that are live in Redis or Valkey.

    Without --redis: the server that `luasprocs up` left running for this folder, else redis://127.0.0.1:6379/0.
    """
    feed = Feed(url or default_url(Path.cwd()), namespace)
    if not (sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()):
        raise click.ClickException("needs a terminal; in a pipe use: luasprocs list")
    found = actions.of(command) if command else None
    if command and found is None:
        raise click.ClickException(f"there is no command {command!r}: take one of {', '.join(actions.names())}")
    app = TuiApp(feed, read_only=read_only)
    if found is not None:
        app.call_later(app.run_action, actions.target(found))
    app.run()


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
