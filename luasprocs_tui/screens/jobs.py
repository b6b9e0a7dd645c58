"""Async runs: running, queued, waiting, delayed, dead."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from textual import on

from luasprocs.contract.codes import JobState
from luasprocs.state.jobs import LIMIT, JobRecord
from luasprocs_tui import actions, messages
from luasprocs_tui.screens.lists import TableScreen
from luasprocs_tui.values.alike import without_numbers
from luasprocs_tui.values.columns import Column, Line
from luasprocs_tui.values.error_lines import without_name
from luasprocs_tui.values.numbers import age
from luasprocs_tui.values.times import whole
from luasprocs_tui.widgets.dialog import Show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from luasprocs_tui.backend.protocol import Backend


def facts(job: JobRecord) -> str:
    """All that is known of a job, a line each."""
    fields = {
        "sproc": job.sproc,
        "state": job.shown_state,
        "by": job.trigger,
        "try": str(job.attempt),
        "since": whole(job.enqueued_ms),
        "due": whole(job.due_ms) if job.due_ms else "",
        "daemon": job.daemon,
        "keys": " ".join(job.keys),
        "args": " ".join(job.args),
        "error": job.error,
    }
    return "\n".join(f"{name:<8}{value}" for name, value in fields.items() if value)


_TONES = {"dead": "bad", "stalled": "bad", "delayed": "off", "waiting": "off"}


_SPROC, _STATE, _TRY = Column("SPROC", 26, 40), Column("STATE", 7, 8), Column("TRY", 3, 5, right=True)
_AGE, _DUE = Column("AGE", 4, 6, right=True), Column("DUE", 4, 6, right=True, rank=2)
_SAID = Column("KEYS, ARGV, OR ERROR", 22, 400, grow=True)


class JobsScreen(TableScreen[JobRecord]):
    """By state, the oldest first. Those of a sproc and state with the same error, but for numbers, are one line: the oldest's."""

    PLACE = "jobs"
    NONE = "no jobs: each run of a sproc with runasync=yes is one"
    WRAPS = GROWS = True
    UNSORTED = "by state, the oldest first"
    COLUMNS = (_SPROC, _STATE, Column("JOBS", 4, 6, right=True), _TRY, _AGE, _DUE, _SAID)
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("jobs")]

    def __init__(self) -> None:
        super().__init__()
        self._together: dict[str, list[JobRecord]] = {}

    def key_of(self, job: JobRecord) -> str:
        """The same for those that stand in one line; what has not failed has keys and arguments of its own to tell."""
        return "\0".join((job.shown_state, job.sproc, without_numbers(job.error) or job.id))

    def cells(self, jobs: Sequence[JobRecord]) -> tuple[str, ...]:
        """What stands in a line."""
        first = jobs[0]
        due_s = min((job.due_ms for job in jobs if job.state == JobState.DELAYED and job.due_ms), default=0) / 1000
        said = without_name(first.sproc, first.error) or " ".join((*first.keys, *first.args))
        return (
            first.sproc,
            first.shown_state,
            str(len(jobs)),
            str(max(job.attempt for job in jobs)),
            age(max(0.0, time.time() - min(job.enqueued_ms for job in jobs) / 1000)),
            age(max(0.0, due_s - time.time())) if due_s else "",
            said[:400],
        )

    def read(self, backend: Backend) -> Sequence[JobRecord]:
        """All, up to a thousand of each state."""
        return backend.jobs()

    def show(self, found: Sequence[JobRecord]) -> None:
        self._together = {}
        for job in found:
            self._together.setdefault(self.key_of(job), []).append(job)
        super().show([jobs[0] for jobs in self._together.values()])

    def show_again(self) -> None:
        self.show([job for jobs in self._together.values() for job in jobs])
        self.say()

    def line(self, row: JobRecord) -> Line:
        key = self.key_of(row)
        return Line(key, self.cells(self._together[key]), _TONES.get(row.shown_state, "ok"))

    @property
    def meant(self) -> tuple[JobRecord, ...]:
        """All of each line that is marked, else of the one under the cursor."""
        return tuple(job for row in super().meant for job in self._together[self.key_of(row)])

    def fresh(self) -> str:
        """How many of each state (`+`: more than are read), and what is said of other lists."""
        jobs = [job for jobs in self._together.values() for job in jobs]
        counted = Counter(job.shown_state for job in jobs).items()
        states = ", ".join(f"{count:,}{'+' * (count >= LIMIT)} {state}" for state, count in counted)
        lines = (
            f" in {len(self._rows)} line{'s' * (len(self._rows) != 1)} (a: each)" if len(self._rows) < len(jobs) else ""
        )
        said = super().fresh()
        return f"{states}{lines}" + (f"; {said}" if said != str(len(self._rows)) else "") if jobs else said

    @on(messages.RowOpened)
    def _opened(self) -> None:
        if (job := self.selected) is None:
            return
        if len(self._together[self.key_of(job)]) > 1:
            self.post_message(messages.OpenEachJob(job))
        else:
            self.app.push_screen(Show(f"Job {job.id}", facts(job)))

    def action_each(self) -> None:
        """Shows each job, a line each."""
        self.post_message(messages.OpenEachJob())

    def action_retry(self) -> None:
        if jobs := self.meant:
            self.controller.retry(jobs)

    def action_drop(self) -> None:
        if jobs := self.meant:
            self.controller.drop(jobs)

    def about(self, row: JobRecord) -> str:
        where = f"on {row.daemon}" if row.daemon else ""
        where += ", which sends no heartbeats" if row.stalled else ""
        words = " ".join((*row.keys, *row.args))
        count = len(self._together[self.key_of(row)])
        which = f"the oldest of {count}: {row.id}" if count > 1 else row.id
        return "  ".join(part for part in (row.error, which, f"by {row.trigger}", where, words) if part)


class EachJobScreen(JobsScreen):
    """One line for each. `alike`: only of those that stand in one line with this one."""

    NONE = "none is left: esc goes back"
    UNSORTED = "the oldest first"
    COLUMNS = (Column("ID", 20, 24, rank=2), _SPROC, _STATE, _TRY, _AGE, _DUE, _SAID)

    def __init__(self, alike: JobRecord | None = None) -> None:
        super().__init__()
        self._alike = alike

    @property
    def heading(self) -> str:
        return f"{self._alike.sproc}, {self._alike.shown_state}" if self._alike else "Each job"

    def key_of(self, job: JobRecord) -> str:
        return f"{job.state} {job.id}"

    def cells(self, jobs: Sequence[JobRecord]) -> tuple[str, ...]:
        sproc, state, _, *rest = super().cells(jobs)
        return jobs[0].id, sproc, state, *rest

    def show(self, found: Sequence[JobRecord]) -> None:
        kind = super().key_of
        super().show([job for job in found if self._alike is None or kind(job) == kind(self._alike)])

    def action_each(self) -> None:
        """Back to those that say the same together."""
        self.app.pop_screen()
