"""What can be done to the registry of one context: each method is what an action of a screen ends in."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from luasprocs.contract.codes import FindingCode
from luasprocs.errors import JobError
from luasprocs.operations.drafts import Drafts
from luasprocs.operations.identity import author
from luasprocs.server.urls import redacted
from luasprocs_tui.controller.edits import Edits
from luasprocs_tui.controller.runner import Question, Runner
from luasprocs_tui.controller.runs import Runs
from luasprocs_tui.values.differences import generation_lines, rollback_lines
from luasprocs_tui.values.sync_status import sync_lines
from luasprocs_tui.values.trouble import since_of
from luasprocs_tui.widgets.dialog import Show

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from luasprocs.operations.contexts import Context
    from luasprocs.operations.edit import LastChange
    from luasprocs.operations.pause import Paused
    from luasprocs.operations.rollback import Preview
    from luasprocs.registry.history import Generation
    from luasprocs.state.jobs import JobRecord
    from luasprocs_tui.backend.protocol import Backend, SyncStatus
    from luasprocs_tui.base_app import BaseApp
    from luasprocs_tui.threads import Threads


class Controller:
    """`edits` changes sources and headers, `runs` runs sprocs; the rest is here."""

    def __init__(self, app: BaseApp, context: Context, backend: Backend, threads: Threads) -> None:
        self._app, self._context, self._backend = app, context, backend
        self._runner = Runner(app, context, threads)
        self.edits = Edits(self._runner, backend, Drafts(f"{redacted(context.url)} {context.namespace}"))
        self.runs = Runs(self._runner, backend)

    def _do(self, change: Callable[[], str]) -> None:
        self._runner.change(change, self._app.toast)

    def toggle_pause(self, names: Sequence[str]) -> None:
        """Pauses those that aren't paused; if all are, resumes them."""
        if not names:
            return
        verb = "Resume" if self._app.state.paused >= set(names) else "Pause"
        typed = "" if verb == "Pause" and len(names) == 1 else names[0]  # one that runs wild is stopped quickly
        others = self._paused_by_others(names) if verb == "Resume" else []
        asks = self._runner.sure if others else self._runner.sure_in_production
        asks(
            Question(
                f"{verb} {listed(names)}?", "\n".join(others or (names if names[1:] else [_MEANS[verb]])), verb, typed
            ),
            partial(self._do, lambda: _paused(self._backend.toggle_pause(names))),
        )

    def _paused_by_others(self, names: Sequence[str]) -> list[str]:
        """A line for each sproc that somebody else has paused, who may know why."""
        snapshot = self._app.state.snapshot
        rows = [row for row in (snapshot.rows if snapshot else ()) if row.name in names and row.state == "paused"]
        now_ms, own = self._app.state.now_ms(), author()
        return [f"{row.name}: paused{since_of(row, now_ms)}" for row in rows if row.by not in {"", own}]

    def undo(self, names: Sequence[str]) -> None:
        """Takes live edits back; of one sproc whose last change was committed, offers to revert it."""

        def read(found: LastChange | None) -> None:
            if found is None:
                self._undo(names)
            else:
                self.edits.revert(found)

        if len(names) == 1:
            self._runner.change(lambda: self._backend.last_change(names[0]), read)
        elif names:
            self._undo(names)

    def _undo(self, names: Sequence[str]) -> None:

        def change() -> str:
            self._backend.undo(names)
            return f"{listed(names)} {_are(names, 'is', 'are')} as git has {_are(names, 'it', 'them')} again"

        snapshot = self._app.state.snapshot
        by = {row.name: f", edited live by {row.by}" for row in (snapshot.rows if snapshot else ()) if row.by}
        lines = [*(f"{name}{by.get(name, '')}" for name in names), "", "The history (h) keeps what it was."]
        question = Question(f"Undo the edit of {listed(names)}?", "\n".join(lines), "Undo", names[0])
        self._runner.sure(question, partial(self._do, change))

    def toggle_suspend(self) -> None:

        def change() -> str:
            return "syncs are suspended" if self._backend.toggle_suspend() else "syncs are allowed again"

        snapshot = self._app.state.snapshot
        verb = "Let syncs go on" if snapshot and snapshot.suspended else "Suspend syncs"
        question = Question(f"{verb}?", _MEANS.get(verb, ""), verb, self._context.name)
        self._runner.sure_in_production(question, partial(self._do, change))

    def sync(self) -> None:
        """Asks a daemon to sync, after showing what it would apply."""

        def read(status: SyncStatus) -> None:
            lines = sync_lines(status.state, str(status.suspended) if status.suspended else "")
            question = Question("Sync?", "\n".join([*lines, *self._pin()]), "Sync", self._context.name)
            self._runner.sure(question, partial(self._do, lambda: self._backend.sync(status.generation)))

        self._runner.change(self._backend.sync_status, read)

    def _pin(self) -> list[str]:
        snapshot = self._app.state.snapshot
        if snapshot is None or not snapshot.revision.pinned:
            return []
        return ["", "a rollback has pinned what is live: a sync lifts the pin"]

    def roll_back(self, generation: int) -> None:

        def shown(found: Preview) -> None:
            title = f"Roll back to generation {generation}?"
            text = "\n".join(rollback_lines(generation, found.differences, found.plan.overwritten))
            question = Question(title, text, "Roll back", self._context.name or "rollback")
            act = partial(self._do, lambda: self._backend.roll_back(generation, found.live))
            self._runner.sure(question, act)

        self._runner.change(lambda: self._backend.rollback_preview(generation), shown)

    def show_generation(self, generation: Generation, sproc: str) -> None:
        """Shows what a generation changed."""
        self._runner.read(
            lambda: generation_lines(generation, self._backend.generation_differences(generation, sproc)),
            lambda lines: self._app.push_screen(
                Show(f"Generation {generation.generation}", "\n".join(lines), diff=True)
            ),
        )

    def acknowledge(self, codes: Collection[FindingCode] = (FindingCode.GAP, FindingCode.MISSED)) -> None:
        """Takes note of the gaps and missed times that there are, or of one of both."""
        snapshot = self._app.state.snapshot
        if snapshot is None or not snapshot.to_acknowledge:
            self._app.toast("there are no gaps and no missed times that nobody has taken note of")
            return
        until_ms = {code: ms for code, ms in snapshot.to_acknowledge.items() if code in codes}
        found = "\n".join(one.message for one in snapshot.findings if one.code in until_ms)

        def change() -> str:
            self._backend.acknowledge(until_ms)
            return f"{' and '.join(_NOTED[code] for code in until_ms)} so far are known: findings no more"

        question = Question("Take note of it?", found, "Acknowledge", self._context.name)
        self._runner.sure(question, partial(self._do, change))

    def retry(self, jobs: Sequence[JobRecord]) -> None:
        """Runs jobs again, after asking."""
        question = Question(f"Run {_counted(jobs)} again?", _about(jobs), "Retry", jobs[0].sproc)
        change = partial(_each, jobs, self._backend.retry, "to run again")
        self._runner.sure(question, partial(self._do, change))

    def drop(self, jobs: Sequence[JobRecord]) -> None:
        """Forgets jobs, after asking."""
        question = Question(f"Drop {_counted(jobs)}?", _about(jobs), "Drop", jobs[0].sproc)
        self._runner.sure(question, partial(self._do, partial(_each, jobs, self._backend.drop, "dropped")))


_MEANS = {
    "Pause": "Its triggers stop until it is resumed; calls still run it.",
    "Resume": "Its triggers run it again.",
    "Suspend syncs": "Nothing that git has goes live until syncs are allowed again.",
    "Let syncs go on": "What git has goes live with the next sync.",
}
_NOTED = {FindingCode.GAP: "gaps", FindingCode.MISSED: "missed times"}


def listed(names: Sequence[str]) -> str:
    """Some names in a sentence."""
    return names[0] if len(names) == 1 else f"{len(names)} sprocs"


def _are(names: Sequence[str], one: str, several: str) -> str:
    return one if len(names) == 1 else several


def _paused(done: Paused) -> str:
    names = (*done.changed, *done.unchanged)
    said = ("is paused", "are paused") if done.paused else ("goes on", "go on")
    return f"{listed(names)} {_are(names, *said)}"


def _counted(jobs: Sequence[JobRecord]) -> str:
    return f"job {jobs[0].id}" if len(jobs) == 1 else f"{len(jobs)} jobs"


def _about(jobs: Sequence[JobRecord]) -> str:
    return "\n".join(f"{job.sproc}, {job.state}: {' '.join((*job.keys, *job.args))}\n{job.error}" for job in jobs)


def _each(jobs: Sequence[JobRecord], act: Callable[[str], str], done: str) -> str:
    """Acts on one after the other; where nothing can be done to one, the others are done all the same.

    Raises:
        JobError: nothing could be done on some.
    """
    refused = list[JobError]()
    was = ""
    for job in jobs:
        try:
            was = act(job.id)
        except JobError as error:
            refused.append(error)
    went = len(jobs) - len(refused)
    if refused:
        raise JobError(f"{went} of {len(jobs)} jobs are {done}; {refused[0]}" if len(jobs) > 1 else str(refused[0]))
    return f"{jobs[0].id} was {was} and is {done}" if len(jobs) == 1 else f"{len(jobs)} jobs are {done}"
