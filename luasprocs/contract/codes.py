"""Codes: what code looks at where people read a sentence."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """The first word of an error with which the engine refuses to run a sproc: it did not run."""

    NOSPROC = "NOSPROC"
    """No sproc of that name is live."""
    DISABLED = "DISABLED"
    """Its header says `enabled=no`."""
    ASYNC = "ASYNC"
    """Its header says `runasync=yes`: it is enqueued, not called."""
    NORECORD = "NORECORD"
    """The user's ACL forbids the record of a run."""


class Level(StrEnum):
    """How bad a finding is, the worst first. `luasprocs status` ends with 1 for an error or a warning."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class FindingCode(StrEnum):
    """What can be wrong with a registry and what runs it, the worst first."""

    UNREACHABLE = "unreachable"
    """The server does not answer."""
    ENGINE_DIFFERS = "engine_differs"
    """The engine is missing, or is not the one that the registry needs."""
    REFUSED = "refused"
    """What git wants can't be made live."""
    DIVERGED = "diverged"
    """What is live and what git wants have no common line."""
    UNKNOWN = "unknown"
    """The repository does not have the live commit."""
    NO_DAEMON = "no_daemon"
    """There is something to run, and no daemon is alive."""
    FAILING = "failing"
    """The last run of a sproc failed."""
    DEGRADED = "degraded"
    """A daemon can't read git."""
    SHARD_DIFFERS = "shard_differs"
    """A shard has another generation than the others."""
    DRIFT = "drift"
    """The registry was changed by hand."""
    BEHIND = "behind"
    """The live commit is newer than the repository's."""
    DAEMON_SILENT = "daemon_silent"
    """A daemon sends no heartbeats and has not ended in order."""
    DEAD_JOBS = "dead_jobs"
    """Jobs have used up their retries."""
    GAP = "gap"
    """Events were missed."""
    MISSED = "missed"
    """Times of a schedule were missed."""
    UNSAVED_EDIT = "unsaved_edit"
    """A live edit is not in git."""
    SUSPENDED = "suspended"
    """Syncs are suspended."""
    PINNED = "pinned"
    """A rollback holds syncs back."""
    PAUSED = "paused"
    """The triggers of a sproc are paused."""
    EVICTING = "evicting"
    """The server may evict sprocs."""

    @property
    def level(self) -> Level:
        """The level of most findings with this code."""
        return Level.ERROR if self in _ERRORS else Level.WARNING


_ERRORS = frozenset(
    {
        FindingCode.UNREACHABLE,
        FindingCode.ENGINE_DIFFERS,
        FindingCode.REFUSED,
        FindingCode.DIVERGED,
        FindingCode.UNKNOWN,
        FindingCode.NO_DAEMON,
        FindingCode.FAILING,
        FindingCode.DEGRADED,
        FindingCode.SHARD_DIFFERS,
    }
)
