"""What changes something: each deed runs in a thread, says what came of it, and is never repeated by itself."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual import work

from luasprocs.editor import in_editor
from luasprocs.errors import LuasprocsError
from luasprocs.header import values_of
from luasprocs.metadata import KEYS as METADATA_KEYS
from luasprocs.sync_state import read_sync_state
from luasprocs_tui.deeds import Conflict, Deeds, listed
from luasprocs_tui.keys_in_order import KeysInOrder
from luasprocs_tui.safe import clean
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.texts import (
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
from luasprocs_tui.widgets.dialog import Ask, Confirm, Show
from luasprocs_tui.widgets.form import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.jobs import JobRecord
    from luasprocs.sproc import Sproc
    from luasprocs_tui.feed import Feed
    from luasprocs_tui.settings import Context


class Acting(KeysInOrder):
    """An app that does things to the registry of its `context`."""

    feed: Feed
    context: Context
    read_only: bool

    def refresh_soon(self) -> None:
        """Something was done: what is shown is read again."""
        raise NotImplementedError

    @property
    def _deeds(self) -> Deeds:
        """On what is connected now: taken when something is asked for, so that it is done there, wherever one goes meanwhile."""
        return self.feed.deeds()

    def toast(self, text: str, *, bad: bool = False) -> None:
        """Says it for some seconds."""
        self.notify(clean(text, 600), severity="error" if bad else "information", markup=False, timeout=8 if bad else 4)

    def _do(self, deed: Callable[[], str]) -> None:
        self._run_deed(deed, lambda said: self.toast(str(said)))

    def _run_deed(self, deed: Callable[[], Any], then: Callable[[Any], object], *, writes: bool = True) -> None:
        if writes and self.read_only:
            self.toast("read-only: nothing is changed", bad=True)
            return
        self._in_thread(deed, then)

    def read_then(self, read: Callable[[], Any], then: Callable[[Any], object]) -> None:
        """Reads in a thread, and goes on with what was found."""
        self._run_deed(read, then, writes=False)

    @work(thread=True, exit_on_error=False, group="deeds")
    def _in_thread(self, deed: Callable[[], Any], then: Callable[[Any], object]) -> None:
        try:
            found = deed()
        except LuasprocsError as error:
            self.call_from_thread(self.toast, str(error), bad=True)
        except Exception as error:  # noqa: BLE001  # it must show, and not end the app
            self.call_from_thread(self.toast, f"{type(error).__name__}: {error}", bad=True)
        else:
            self.call_from_thread(then, found)
        self.call_from_thread(self.refresh_soon)

    def _asking(self, question: Confirm, then: Callable[[], None]) -> None:
        def answered(sure: bool | None) -> None:
            if sure:
                then()

        self.push_screen(question, answered)

    def _sure(self, title: str, text: str, go: str, typed: str, then: Callable[[], None]) -> None:
        """Asks; in production `typed` must be typed."""
        if self.read_only:
            self.toast("read-only: nothing is changed", bad=True)
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
        found: tuple[str, ...] = getattr(self.screen, "sprocs", ())
        return found

    def _one(self) -> str | None:
        names = self.named
        if len(names) > 1:
            self.toast(f"{len(names)} sprocs are marked: this is done to one", bad=True)
        return names[0] if len(names) == 1 else None

    def action_pause(self) -> None:
        """Pauses or resumes."""
        if names := self.named:
            word = listed(names)
            act = partial(self._do, partial(self._deeds.toggle_pause, names))
            self._sure_in_production(f"Pause or resume {word}?", "\n".join(names), "Go on", names[0], act)

    def action_undo(self) -> None:
        """Takes live edits back."""
        if names := self.named:
            act = partial(self._do, partial(self._deeds.undo, names))
            self._sure_in_production(f"Undo the edit of {listed(names)}?", "\n".join(names), "Undo", names[0], act)

    def action_suspend(self) -> None:
        """Suspends syncs, or not any more."""
        act = partial(self._do, self._deeds.toggle_suspend)
        self._sure_in_production("Suspend syncs, or let them go on?", "", "Go on", self.context.name, act)

    def action_sync(self) -> None:
        """Asks a daemon to sync, after showing what waits if names are to be deleted or this is production."""

        def read(state: Any) -> None:
            act = partial(self._do, partial(self._deeds.ask, "sync"))
            if state.deleted or self.context.production:
                self._sure("Sync?", "\n".join(wanted(state, "")), "Sync", self.context.name, act)
            else:
                act()

        self._run_deed(lambda: self.feed.ask(read_sync_state), read)

    def _job(self) -> JobRecord | None:
        return self.screen.selected if isinstance(self.screen, JobsScreen) else None

    def action_retry(self) -> None:
        """Runs a job again."""
        if job := self._job():
            act = partial(self._do, partial(self._deeds.retry, job.id))
            self._sure_in_production(f"Run job {job.id} again?", _said_of(job), "Retry", job.sproc, act)

    def action_drop(self) -> None:
        """Forgets a job, after asking."""
        if job := self._job():
            act = partial(self._do, partial(self._deeds.drop, job.id))
            self._sure(f"Drop job {job.id}?", _said_of(job), "Drop", job.sproc, act)

    def action_roll_back(self) -> None:
        """Shows what a rollback would change, and asks."""
        if not (isinstance(self.screen, HistoryScreen) and (row := self.screen.selected)):
            return

        def shown(text: object) -> None:
            act = partial(self._do, partial(self._deeds.ask, "rollback", generation=str(row.generation)))
            name = self.context.name or "rollback"
            self._sure(f"Roll back to generation {row.generation}?", str(text), "Roll back", name, act)

        self._run_deed(lambda: self.feed.ask(partial(rollback_preview, row.generation)), shown)

    def action_execute(self, typed: str | None = None) -> None:
        """Runs what was typed behind the command; else asks for keys and arguments, and runs what is meant."""
        if typed:
            try:
                self._execute(*execute_words(typed))
            except LuasprocsError as error:
                self.toast(str(error), bad=True)
            return
        if not (name := self._one()):
            return

        def given(words: tuple[str, ...] | None) -> None:
            if words is None:
                return
            try:
                keys, args = map(shlex.split, words)
            except ValueError as error:
                self.toast(f"the words can't be told apart: {error}", bad=True)
                return
            self._execute(name, keys, args)

        record = self.screen.record if isinstance(self.screen, RecordScreen) else None
        keys = shlex.quote(record.key) if record and record.key else ""
        self.push_screen(Ask(f"Run {name}", ("KEYS, as a shell takes words", "ARGV"), "Run", (keys,)), given)

    def _execute(self, name: str, keys: Sequence[str], args: Sequence[str]) -> None:
        act = partial(
            self._run_deed,
            partial(self._deeds.run, name, keys, args),
            lambda reply: self.push_screen(Show(f"{name} replied", pretty(reply))),
        )
        said = f"KEYS: {shlex.join(keys)}\nARGV: {shlex.join(args)}"
        self._sure_in_production(f"Run {name}?", said, "Run", name, act)

    def action_edit(self) -> None:
        """Opens the header as a form."""
        if name := self._one():
            self._run_deed(lambda: self.feed.read_sproc(name), self._edit)

    def _edit(self, sproc: Sproc | None) -> None:
        if sproc is None:
            self.toast("it is gone: it was deleted meanwhile", bad=True)
            return
        values = values_of(sproc.source, sproc.name)
        own = [key for key in values if key not in METADATA_KEYS]

        def given(changes: dict[str, str | None] | None) -> None:
            if changes:
                act = partial(self._do_edit, partial(self._deeds.edit, sproc, changes))
                diff = header_diff(sproc, changes)
                self._sure_in_production(f"Edit {sproc.name} live?", diff, "Apply", sproc.name, act)

        look = lambda key, values: self.feed.ask(partial(preview, key, values))  # noqa: E731  # a value, as checks() is
        self.push_screen(Form(f"Header of {sproc.name}", values, (*METADATA_KEYS, *own), checks(), look), given)

    def action_edit_source(self) -> None:
        """Opens the source in an editor."""
        if name := self._one():
            self._run_deed(lambda: self.feed.read_sproc(name), self._edit_source)

    def _edit_source(self, sproc: Sproc | None) -> None:
        if sproc is None:
            self.toast("it is gone: it was deleted meanwhile", bad=True)
            return
        try:
            with self.suspend():
                source = in_editor(sproc.name, sproc.source)
        except LuasprocsError as error:
            self.toast(str(error), bad=True)
            return
        act = partial(self._do_edit, partial(self._deeds.edit_source, sproc, source))
        diff = source_diff(sproc.source, source, sproc.name)
        self._sure_in_production(f"Edit {sproc.name} live?", diff, "Apply", sproc.name, act)

    def _do_edit(self, deed: Callable[[], str | Conflict]) -> None:
        """Where it has changed meanwhile, both are shown, and it is asked."""

        def done(found: str | Conflict) -> None:
            if isinstance(found, str):
                self.toast(found)
                return
            question = Confirm(f"{found.name} has changed since you opened it", found.text, "Apply yours")
            self._asking(question, partial(self._do_edit, found.again))

        self._run_deed(deed, done)

    def action_export(self) -> None:
        """Writes the record to the folder that the screen was started in; a file that is there already stays."""
        if not isinstance(self.screen, RecordScreen):
            return
        record = self.screen.record
        file = Path(f"luasprocs-{''.join(one if one.isalnum() else '-' for one in record.id)}.json")
        try:
            with file.open("x", encoding="utf-8") as written:
                written.write(record_json(record))
        except OSError as error:
            self.toast(f"{file} can't be written: {error.strerror or error}", bad=True)
        else:
            self.toast(f"written to {file.resolve()}")


def _said_of(job: JobRecord) -> str:
    return f"{job.sproc}, {job.state}: {' '.join((*job.keys, *job.args))}\n{job.error}"
