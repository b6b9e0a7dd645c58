"""What changes something: each deed runs in a thread, says what came of it, and is never repeated by itself.

Of one context: what was asked for is done there, wherever the screen goes meanwhile.
"""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luasprocs.errors import LuasprocsError
from luasprocs.language.header import values_of
from luasprocs.language.metadata import KEYS as METADATA_KEYS
from luasprocs.operations.editor import in_editor
from luasprocs.state.desired import read_sync_state
from luasprocs_tui.backend.registry_backend import Conflict, listed
from luasprocs_tui.backend.snapshot_reader import SnapshotReader
from luasprocs_tui.controller.previews import (
    checks,
    execute_words,
    header_diff,
    pretty,
    preview,
    record_json,
    rollback_preview,
    source_diff,
    wanted,
)
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.widgets.dialog import Ask, Confirm, Show
from luasprocs_tui.widgets.form import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.state.jobs import JobRecord
    from luasprocs_tui.app import TuiApp
    from luasprocs_tui.settings import Context


class Acting:
    """What can be done to the registry of one context, each method an action of the app."""

    def __init__(self, app: TuiApp, context: Context) -> None:
        self.app, self.context = app, context
        self.feed = SnapshotReader(context.url, context.namespace)
        self.deeds = self.feed.deeds()
        self._drafts: dict[str, bytes] = {}
        """Sources that could not be applied: the editor opens what was written, not what is live."""
        self._under_way = False

    def _do(self, deed: Callable[[], str]) -> None:
        self._run(deed, lambda said: self.app.toast(str(said)))

    def _run(self, deed: Callable[[], Any], then: Callable[[Any], object]) -> None:
        if self.app.read_only:
            self.app.toast("read-only: nothing is changed", bad=True)
        elif self._under_way:
            self.app.toast("what was asked for before is still under way: nothing more is done", bad=True)
        else:
            self._under_way = True
            self.read_then(partial(self._alone, deed), then)

    def _alone(self, deed: Callable[[], Any]) -> Any:
        try:
            return deed()
        finally:
            self._under_way = False

    def read_then(self, read: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Reads in a thread, and goes on with what was found, or says why it wasn't."""

        def work() -> None:
            try:
                found = read()
            except LuasprocsError as error:
                self.app.call_from_thread(self.app.toast, str(error), bad=True)
            except Exception as error:  # noqa: BLE001  # it must show, and not end the app
                self.app.call_from_thread(self.app.toast, f"{type(error).__name__}: {error}", bad=True)
            else:
                self.app.call_from_thread(then, found)
            self.app.call_from_thread(self.app.release_keys, hold)
            self.app.call_from_thread(self.app.action_refresh_now)

        hold = self.app.hold_keys()  # what is typed on is meant for what comes
        self.app.run_worker(work, thread=True, exit_on_error=False, group="deeds")

    def _asking(self, question: Confirm, then: Callable[[], None]) -> None:
        def answered(sure: bool | None) -> None:
            if sure:
                then()

        self.app.push_screen(question, answered)

    def _sure(self, title: str, text: str, go: str, typed: str, then: Callable[[], None]) -> None:
        """Asks; in production `typed` must be typed."""
        if self.app.read_only:
            self.app.toast("read-only: nothing is changed", bad=True)
            return
        self._asking(Confirm(title, text, go, typed if self.context.production else ""), then)

    def _sure_in_production(self, title: str, text: str, go: str, typed: str, then: Callable[[], None]) -> None:
        """Asks in production alone."""
        if self.context.production:
            self._sure(title, text, go, typed, then)
        else:
            then()

    @property
    def named(self) -> tuple[str, ...]:
        """The sprocs that are meant: those marked, of the screen, or under its cursor."""
        found: tuple[str, ...] = getattr(self.app.screen, "sprocs", ())
        return found

    def _one(self) -> str | None:
        names = self.named
        if len(names) > 1:
            self.app.toast(f"{len(names)} sprocs are marked: this is done to one (esc takes the marks away)", bad=True)
        return names[0] if len(names) == 1 else None

    def pause(self) -> None:
        """Pauses or resumes."""
        if names := self.named:
            verb = "Resume" if self.app.paused >= set(names) else "Pause"
            act = partial(self._do, partial(self.deeds.toggle_pause, names))
            self._sure_in_production(f"{verb} {listed(names)}?", "\n".join(names), verb, names[0], act)

    def undo(self) -> None:
        """Takes live edits back."""
        if names := self.named:
            act = partial(self._do, partial(self.deeds.undo, names))
            self._sure_in_production(f"Undo the edit of {listed(names)}?", "\n".join(names), "Undo", names[0], act)

    def suspend(self) -> None:
        """Suspends syncs, or not any more."""
        act = partial(self._do, self.deeds.toggle_suspend)
        verb = "Let syncs go on" if self.app.state.snapshot and self.app.state.snapshot.suspended else "Suspend syncs"
        self._sure_in_production(f"{verb}?", "", verb, self.context.name, act)

    def sync(self) -> None:
        """Asks a daemon to sync, after showing what waits if names are to be deleted or this is production."""

        def read(state: Any) -> None:
            act = partial(self._do, partial(self.deeds.ask, "sync"))
            if state.deleted or self.context.production:
                self._sure("Sync?", "\n".join(wanted(state, "")), "Sync", self.context.name, act)
            else:
                act()

        self._run(lambda: self.feed.ask(read_sync_state), read)

    def _job(self) -> JobRecord | None:
        return self.app.screen.selected if isinstance(self.app.screen, JobsScreen) else None

    def retry(self) -> None:
        """Runs a job again."""
        if job := self._job():
            act = partial(self._do, partial(self.deeds.retry, job.id))
            self._sure_in_production(f"Run job {job.id} again?", _said_of(job), "Retry", job.sproc, act)

    def drop(self) -> None:
        """Forgets a job, after asking."""
        if job := self._job():
            act = partial(self._do, partial(self.deeds.drop, job.id))
            self._sure(f"Drop job {job.id}?", _said_of(job), "Drop", job.sproc, act)

    def roll_back(self) -> None:
        """Shows what a rollback would change, and asks."""
        if not (isinstance(self.app.screen, HistoryScreen) and (row := self.app.screen.selected)):
            return

        def shown(text: object) -> None:
            act = partial(self._do, partial(self.deeds.ask, "rollback", generation=str(row.generation)))
            name = self.context.name or "rollback"
            self._sure(f"Roll back to generation {row.generation}?", str(text), "Roll back", name, act)

        self._run(lambda: self.feed.ask(partial(rollback_preview, row.generation)), shown)

    def execute(self, typed: str | None = None) -> None:
        """Runs what was typed behind the command; else asks for keys and arguments, and runs what is meant."""
        if typed:
            try:
                self._execute(*execute_words(typed))
            except LuasprocsError as error:
                self.app.toast(str(error), bad=True)
            return
        if not (name := self._one()):
            return

        record = self.app.screen.record if isinstance(self.app.screen, RecordScreen) else None
        self._ask_words(name, (shlex.quote(record.key) if record and record.key else "", ""))

    def _ask_words(self, name: str, words: Sequence[str]) -> None:
        def given(typed: tuple[str, ...] | None) -> None:
            if typed is None:
                return
            try:
                keys, args = map(shlex.split, typed)
            except ValueError as error:
                self.app.toast(f"the words can't be told apart: {error}", bad=True)
                self._ask_words(name, typed)
                return
            self._execute(name, keys, args)

        self.app.push_screen(Ask(f"Run {name}", ("KEYS, as a shell takes words", "ARGV"), "Run", words), given)

    def _execute(self, name: str, keys: Sequence[str], args: Sequence[str]) -> None:
        act = partial(
            self._run,
            partial(self.deeds.run, name, keys, args),
            lambda reply: self.app.push_screen(Show(f"{name} replied", pretty(reply))),
        )
        said = f"KEYS: {shlex.join(keys)}\nARGV: {shlex.join(args)}"
        self._sure_in_production(f"Run {name}?", said, "Run", name, act)

    def edit(self) -> None:
        """Opens the header as a form."""
        if name := self._one():
            self._run(lambda: self.feed.read_sproc(name), self._edit)

    def _edit(self, sproc: Sproc | None) -> None:
        if sproc is None:
            self.app.toast("it is gone: it was deleted meanwhile", bad=True)
            return
        values = values_of(sproc.source, sproc.name)
        own = [key for key in values if key not in METADATA_KEYS]

        def given(changes: dict[str, str | None] | None) -> None:
            if changes:
                act = partial(self._do_edit, partial(self.deeds.edit, sproc, changes))
                diff = header_diff(sproc, changes)
                self._sure_in_production(f"Edit {sproc.name} live?", diff, "Apply", sproc.name, act)

        look = lambda key, values: self.feed.ask(partial(preview, key, values))  # noqa: E731  # a value, as checks() is
        self.app.push_screen(Form(f"Header of {sproc.name}", values, (*METADATA_KEYS, *own), checks(), look), given)

    def edit_source(self) -> None:
        """Opens the source in an editor."""
        if name := self._one():
            self._run(lambda: self.feed.read_sproc(name), self._edit_source)

    def _edit_source(self, sproc: Sproc | None) -> None:
        if sproc is None:
            self.app.toast("it is gone: it was deleted meanwhile", bad=True)
            return
        problem = ""
        with self.app.suspend():  # which would leave the terminal as it is, were anything raised here
            try:
                source = in_editor(sproc.name, self._drafts.pop(sproc.name, sproc.source))
            except LuasprocsError as error:
                problem = str(error)
        if problem:
            self.app.toast(problem, bad=True)
            return
        if source != sproc.source:
            self._drafts[sproc.name] = source
        act = partial(self._do_edit, partial(self.deeds.edit_source, sproc, source))
        diff = source_diff(sproc.source, source, sproc.name)
        self._sure_in_production(f"Edit {sproc.name} live?", diff, "Apply", sproc.name, act)

    def _do_edit(self, deed: Callable[[], str | Conflict]) -> None:
        """Where it has changed meanwhile, both are shown, and it is asked."""

        def done(found: str | Conflict) -> None:
            if isinstance(found, str):
                self._drafts.clear()
                self.app.toast(found)
                return
            question = Confirm(f"{found.name} has changed since you opened it", found.text, "Apply yours")
            self._asking(question, partial(self._do_edit, found.again))

        self._run(deed, done)

    def export(self) -> None:
        """Writes the record to the folder that the screen was started in; a file that is there already stays."""
        if not isinstance(self.app.screen, RecordScreen):
            return
        record = self.app.screen.record
        file = Path(f"luasprocs-{''.join(one if one.isalnum() else '-' for one in record.id)}.json")
        try:
            with file.open("x", encoding="utf-8") as written:
                written.write(record_json(record))
        except OSError as error:
            self.app.toast(f"{file} can't be written: {error.strerror or error}", bad=True)
        else:
            self.app.toast(f"written to {file.resolve()}")


def _said_of(job: JobRecord) -> str:
    return f"{job.sproc}, {job.state}: {' '.join((*job.keys, *job.args))}\n{job.error}"
