"""Async runs: running, queued, waiting, delayed, dead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual import on

from luasprocs.contract.codes import JobState
from luasprocs.state.jobs import JobRecord
from luasprocs_tui import actions, messages
from luasprocs_tui.screens.lists import TableScreen
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


class JobsScreen(TableScreen[JobRecord]):
    """By state, the oldest first."""

    PLACE = "jobs"
    heading = "Jobs"
    NONE = "no jobs: each run of a sproc with runasync=yes is one"
    WRAPS = GROWS = True
    UNSORTED = "by state, the oldest first"
    COLUMNS = (
        Column("ID", 20, 24, rank=2),
        Column("SPROC", 10, 40),
        Column("STATE", 7, 8),
        Column("TRY", 3, 5, right=True),
        Column("AGE", 4, 6, right=True),
        Column("DUE", 4, 6, right=True, rank=1),
        Column("KEYS, ARGV, OR ERROR", 20, 400, grow=True),
    )
    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings("jobs")]

    def read(self, backend: Backend) -> Sequence[JobRecord]:
        """All, up to a thousand of each state."""
        return backend.jobs()

    def line(self, row: JobRecord) -> Line:
        since = age(max(0.0, time.time() - row.enqueued_ms / 1000))
        said = without_name(row.sproc, row.error) or " ".join((*row.keys, *row.args))
        due = age(max(0.0, row.due_ms / 1000 - time.time())) if row.state == JobState.DELAYED and row.due_ms else ""
        cells = (row.id, row.sproc, row.shown_state, str(row.attempt), since, due, said[:400])
        return Line(f"{row.state} {row.id}", cells, _TONES.get(row.shown_state, "ok"))

    @on(messages.RowOpened)
    def _opened(self) -> None:
        if job := self.selected:
            self.app.push_screen(Show(f"Job {job.id}", facts(job)))

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
        return "  ".join(part for part in (row.error, row.id, f"by {row.trigger}", where, words) if part)
