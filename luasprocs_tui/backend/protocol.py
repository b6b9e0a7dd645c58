"""What the screen asks of a registry, and does to it. Nothing else here knows Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.contract.codes import FindingCode
    from luasprocs.language.sproc import Sproc
    from luasprocs.operations.diff import Difference, GitDifference
    from luasprocs.operations.edit import LastChange
    from luasprocs.operations.pause import Paused
    from luasprocs.operations.rollback import Preview
    from luasprocs.operations.run import Enqueued, Ran
    from luasprocs.registry.history import Generation
    from luasprocs.state.desired import Suspended, SyncState
    from luasprocs.state.executions import Execution
    from luasprocs.state.jobs import JobRecord
    from luasprocs.state.minutes import ByMinute
    from luasprocs.state.schedules import Schedules
    from luasprocs.state.stats import Stats
    from luasprocs_tui.values.about import About
    from luasprocs_tui.values.replays import Compared
    from luasprocs_tui.values.reruns import ValueNow
    from luasprocs_tui.values.snapshots import Batch, Snapshot


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """What git wants, and who suspended syncs; None: nobody has. `generation`: what is live."""

    state: SyncState
    suspended: Suspended | None = None
    generation: int | None = None


class Tail(Protocol):
    """Executions as they come; for one thread."""

    def read(self) -> Batch:
        """What came since the last time; first the last ones that there are."""


class Backend(Protocol):
    """One registry. Every method blocks, and may be called in any thread; `snapshot`, and `about`, always in the same one.

    Raises:
        LuasprocsError: it could not be done. OutcomeUnknownError: a change may have been done or not.
    """

    # What there is.

    def snapshot(self, visible: Sequence[str], *, full: bool) -> Snapshot:
        """The registry now. `visible`: names whose counters matter most; `full`: look at every sproc."""

    def tail(self, sproc: str) -> Tail:
        """The executions, of one sproc if it is named."""

    def sproc(self, name: str) -> Sproc | None:
        """A sproc with its source; None if it is gone."""

    def about(self, name: str, generation: int) -> About:
        """What the panels show of a sproc, while `generation` is live."""

    def schedules(self) -> Schedules:
        """All of them."""

    def jobs(self) -> Sequence[JobRecord]:
        """Async runs, up to a thousand of each state."""

    def stats(self, name: str) -> Stats:
        """What is counted of a sproc."""

    def minutes(self, names: Sequence[str]) -> Mapping[str, ByMinute]:
        """What ran in each minute of the last day; "" names all of them."""

    def history(self) -> Sequence[Generation]:
        """Generations, the newest first."""

    def sync_status(self) -> SyncStatus:
        """What git wants."""

    # What differs, and what a change would do.

    def git_difference(self, name: str) -> GitDifference:
        """How a live sproc differs from git."""

    def generation_differences(self, generation: Generation, sproc: str) -> Sequence[Difference]:
        """What a generation changed, of one sproc if it is named."""

    def rollback_preview(self, generation: int) -> Preview:
        """What a rollback would change."""

    def last_change(self, name: str) -> LastChange | None:
        """What a live sproc was before its last change; None: that is a live edit."""

    def now_ms(self) -> int:
        """The server's clock."""

    def value_now(self, key: str) -> ValueNow:
        """The value of a key."""

    def count_keys(self, glob: str, limit: int) -> tuple[int, bool]:
        """How many keys match, of `limit` that are looked at; and whether those were all."""

    def replay(self, record: Execution, draft: bytes | None = None) -> Compared:
        """Runs what a record tells of on a throw-away server, with the source of a draft, too, if there is one; takes seconds."""

    # Changes.

    def toggle_pause(self, names: Sequence[str]) -> Paused:
        """Pauses those that aren't paused; if all are, resumes them."""

    def run(self, name: str, keys: Sequence[str], args: Sequence[str]) -> Ran | Enqueued:
        """Runs a sproc, recorded; an async one is enqueued."""

    def edit_header(self, base: Sproc, changes: Mapping[str, str | None]) -> Sproc | None:
        """Edits keys of a header live. The sproc as it is now if that isn't `base`: nothing was done then."""

    def edit_source(self, base: Sproc, source: bytes) -> Sproc | None:
        """Edits all of it live. Gives what `edit_header` gives."""

    def undo(self, names: Sequence[str]) -> None:
        """Takes live edits back, one by one: the first that can't be ends it."""

    def retry(self, job_id: str) -> str:
        """Runs a job again. The state that it had."""

    def drop(self, job_id: str) -> str:
        """Forgets a job. The state that it had."""

    def sync(self, on: int | None = None) -> str:
        """Asks the daemons to sync, if the generation `on` is still live. Their answer."""

    def roll_back(self, generation: int, on: int) -> str:
        """Asks the daemons to roll back, if the generation `on` is still live. Their answer."""

    def toggle_suspend(self) -> bool:
        """Suspends syncs, or allows them again. Whether they are suspended now."""

    def acknowledge(self, until_ms: Mapping[FindingCode, int]) -> None:
        """Takes note of gaps and missed times, up to when they are known."""

    def close(self) -> None:
        """Ends what other threads are reading: a hung server must keep nobody from quitting."""
