"""Words that code looks at, where people read sentences: triggers, statuses, states of jobs, findings."""

from __future__ import annotations

from typing import Literal, TypeAlias

from luasprocs.contract.refusals import Code

Level: TypeAlias = Literal["error", "warning", "info"]


class Trigger(Code):
    """What ran a sproc, in a record."""

    EVENT = "event", "a keyspace event"
    CALL = "call", "a recorded direct call"
    CRON = "cron", "a schedule"
    ASYNC = "async", "a job in a worker"


class Status(Code):
    """How a run ended, in a record."""

    OK = "ok", "it succeeded"
    ERROR = "error", "it failed"
    SKIPPED = "skipped", "it did not run"
    TIMEOUT = "timeout", "it ran past its timeout and was stopped"
    DENIED = "denied", "its worker refused something that it may not do"
    GAP = "gap", "events were not seen"
    MISSED = "missed", "scheduled times were given up"


class GapKind(Code):
    """What an entry of Gaps tells."""

    MISSED = "", "events were missed"
    REPEAT = "repeat", "in a cluster, events may have run twice: slots migrated to this shard"


FAILED = frozenset({Status.ERROR, Status.TIMEOUT, Status.DENIED, Status.GAP})
"""What did not do what it should have done."""


class JobState(Code):
    """Where a job is. The order is that of lists."""

    RUNNING = "running", "a worker runs it"
    QUEUED = "queued", "it waits for a worker"
    WAITING = "waiting", "it waits for its sproc's turn"
    DELAYED = "delayed", "it is tried again later"
    DEAD = "dead", "it used up its retries"


class Work(Code):
    """What daemons do beside syncs; in a heartbeat, what one can't go on with."""

    EVENTS = "events", "events"
    SCHEDULES = "schedules", "schedules"
    JOBS = "jobs", "async runs"
    RETRIES = "retries", "retries"


class Action(Code):
    """The first word of what made a generation, in the history."""

    SYNC = "sync", "a sync"
    HEAL = "heal", "a daemon's repair of what was changed by hand"
    EDIT = "edit", "a live edit, or its undo"
    ROLLBACK = "rollback", "a rollback"


class Allow(Code):
    """What the host's setting `allow` lets async sprocs do."""

    EXEC = "exec", "start programs"
    CLIBS = "clibs", "load C libraries"
    UNCONFINED = "unconfined", "run on kernels that can't confine files"


class DesiredState(Code):
    """Where a daemon that syncs stands, in what it last saw of git."""

    SYNCED = "synced", "what git wants is live"
    APPLYING = "applying", "it makes what git wants live"
    DRIFT = "drift", "something was changed by hand, and heal is warn"
    FLAPPING = "flapping", "what was repaired three times within a minute was changed again, and is left"
    ENGINE_DIFFERS = "engine_differs", "daemons of several builds repair each other's engine"
    BEHIND = "behind", "what is live descends from what git wants"
    DIVERGED = "diverged", "what is live is not in git's branch"
    UNKNOWN = "unknown", "git doesn't know the live commit"
    PINNED = "pinned", "a rollback keeps something out"
    SUSPENDED = "suspended", "syncs are suspended"
    REFUSED = "refused", "the commit is broken, or forbidden"
    DEGRADED = "degraded", "git can't be asked"
    UNREACHABLE = "unreachable", "the server can't be reached"


class RequestRefusal(Code):
    """Why a daemon answers a request without doing what it asks for."""

    EXPIRED = "expired", "its deadline had passed"
    OVERTAKEN = "overtaken", "another generation was made since it was asked for"


class FindingCode(Code):
    """What is wrong with a registry, as `luasprocs status` and the screen show it; the worst first."""

    level: Level

    def __new__(cls, value: str, meaning: str, level: Level = "error") -> FindingCode:
        """A member is its word; its level is how bad it is."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.meaning, code.level = meaning, level
        return code

    UNREACHABLE = (
        "unreachable",
        "the server or the daemon that syncs can't be reached, or the server takes no writes",
        "error",
    )
    REFUSED = "refused", "the commit is refused, and nothing of it is live", "error"
    DIVERGED = "diverged", "what is live comes from a commit that git's branch doesn't contain", "error"
    UNKNOWN = "unknown", "git doesn't know the commit that is live", "error"
    ENGINE_DIFFERS = "engine_differs", "the loaded engine is not the one that the registry needs", "error"
    NO_DAEMON = "no_daemon", "triggers, schedules or jobs exist, and no daemon is alive or can go on with them", "error"
    DAEMON_SILENT = "daemon_silent", "a daemon has stopped sending heartbeats", "error"
    FAILING = "failing", "the last runs of a sproc failed", "error"
    DEAD_JOBS = "dead_jobs", "jobs used up their retries", "error"
    EVICTING = "evicting", "the server may evict the registry's keys", "error"
    GAP = "gap", "events were missed", "warning"
    MISSED = "missed", "scheduled times were missed", "warning"
    BEHIND = "behind", "what git wants is not live: the repository is behind, or nothing has applied it", "warning"
    DEGRADED = "degraded", "git can't be asked", "warning"
    DRIFT = "drift", "sprocs or keys were changed by hand", "warning"
    SHARD_DIFFERS = "shard_differs", "a shard doesn't hold what the others hold", "warning"
    SUSPENDED = "suspended", "the sync is suspended", "warning"
    UNSAVED_EDIT = "unsaved_edit", "a live edit is not committed to git", "warning"
    PINNED = "pinned", "a rollback holds the registry at a commit", "warning"
    PAUSED = "paused", "sprocs are paused", "warning"
