"""The fields of what luasprocs writes into hashes, streams and JSON: one list each, for the engine, its readers and docs."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from luasprocs.contract.metadata import KEYS as METADATA


class Field(NamedTuple):
    """`name`: as stored; `holds`: for documentation; `number`: a count, 0 if it is missing."""

    name: str
    holds: str
    number: bool = False


Fields: TypeAlias = tuple[Field, ...]


def names_of(fields: Fields) -> tuple[str, ...]:
    """Their names, in order."""
    return tuple(field.name for field in fields)


SPROC: Fields = (
    Field("source", "the file, byte for byte"),
    Field("sha", "its SHA1, as `SCRIPT LOAD` replies"),
    Field("blob", "git's id of the file"),
    Field("commit", "the commit that last changed it"),
    Field(
        "edit",
        "only of a live edit that git doesn't have yet, JSON: `by`, `at` (unix seconds), `base` (git's blob "
        "before it) and, after further "
        "edits, `past` (the blobs in between, of which git may already have one; the last 50)",
    ),
)

DIGESTED: tuple[str, ...] = (*names_of(SPROC), *METADATA)
"""The fields of a sproc's hash, in the order of its digest."""

REVISION: Fields = (
    Field("commit", "the commit that is live"),
    Field("branch", "its branch"),
    Field("generation", "counts applies", number=True),
    Field("applied_at", "when (ISO 8601, UTC)"),
    Field("applied_by", "who (user@host, or WHO, by push to user@host)"),
    Field("owner", "which repository owns the registry"),
    Field("engine", "the engine's version", number=True),
    Field("pinned", "the commit that a rollback left, or empty"),
    Field(
        "held",
        "what the rollback keeps out, JSON, or empty: `by`, `at`, `why`, and `blobs`: each sproc that was rolled back "
        "to the blobs that git may have of it (an empty one: git has no such file); `left`: each of them to the blob "
        "that the rollback left; `lifted`: sprocs that were unpinned, which the next sync brings",
    ),
    Field("defaults", "the metadata defaults of luasprocs.toml as JSON, if any"),
)

HISTORY: Fields = (
    Field("generation", "the generation that this apply made", number=True),
    Field("action", "`sync`, `heal`, `edit`, `unpin`, or `rollback to N`"),
    Field("commit", "the commit that became live"),
    Field("author", "its author"),
    Field("subject", "its subject"),
    Field("branch", "its branch"),
    Field("applied_at", "when (ISO 8601, UTC)"),
    Field("applied_by", "who (user@host, or WHO, by push to user@host)"),
    Field("created", "JSON: name to blob"),
    Field("updated", "JSON: name to [old blob, new blob]"),
    Field("deleted", "JSON: name to old blob"),
    Field("healed", "JSON: what had been changed by hand and was put right, names and sentences"),
    Field("why", "why, if somebody said so"),
)

EXECUTION: Fields = (
    Field("sproc", "its name; empty for a gap"),
    Field("trigger", "`event`, `call`, `cron` or `async`"),
    Field("key", "the key of the event; the first of KEYS of a call; the event source of a gap"),
    Field("event", "the event"),
    Field("origin", "what began the chain; of a call who asked (user@host); of a gap and of missed times their bounds"),
    Field("depth", "1, and one more for each recorded run that led to this one", number=True),
    Field(
        "status",
        "`ok`; `error`, `timeout`, `denied`: it failed; `skipped`, `missed`: it did not run; `gap`: events "
        "were not seen",
    ),
    Field("duration_us", "microseconds; 0 if nothing ran", number=True),
    Field("reply", "its reply, cut at 1 kB; of an async run that returned nothing or failed, what it printed"),
    Field("error", "the text of its error, cut at 1 kB"),
    Field("commit", "the commit that the sproc came with"),
    Field("daemon", "the daemon that ran it; empty for a call"),
)

STATS: Fields = (
    Field("calls", "direct calls, written every 1,000, by daemons every five seconds, and at each apply", number=True),
    Field("call_errors", "direct calls that failed, written with `calls`", number=True),
    Field(
        "calls_us_total",
        "microseconds of direct calls, about: of those between two flushes four are timed, and stand for all",
        number=True,
    ),
    Field("runs", "recorded runs", number=True),
    Field("errors", "runs that failed, and events that were given up (poison, timeout)", number=True),
    Field("skipped", "events that it was not run for", number=True),
    Field("missed", "scheduled times that were given up", number=True),
    Field("last_run", "unix seconds", number=True),
    Field("last_error", "the text of the last error"),
    Field("last_status", "how the last recorded run ended: a status, see `Executions`"),
    Field("failed_in_a_row", "recorded runs that failed since the last that did not", number=True),
    Field("failing_since", "the first of these (unix milliseconds)", number=True),
    Field("last_missed", "when scheduled times were last given up (unix milliseconds)", number=True),
    Field("duration_us_total", "microseconds of all recorded runs", number=True),
    Field("duration_us_max", "microseconds of the longest", number=True),
)
"""Beside them stand the buckets of the histogram, `le_50` to `le_inf`, and MINUTE."""

MINUTE: Fields = (
    Field(
        "minute",
        "`minute runs errors`: the minute (since 1970) in which a run was last counted, and all runs and errors before it, "
        "direct calls included",
    ),
)

BUCKET_PREFIX = "le_"
LONGEST_BUCKET = "le_inf"

GAP: Fields = (
    Field("source", "the channel or pattern, as in `Triggers`"),
    Field("from_ms", "its beginning, unix milliseconds by the server's clock", number=True),
    Field("to_ms", "its end", number=True),
    Field("why", "what happened, as a sentence"),
    Field("daemon", "the daemon that noticed"),
    Field("kind", "what this tells, a word of the table below"),
    Field("slots", "of a `repeat`: the slots, like `0-99 120`"),
    Field("events", "of a `repeat`: how many events, at most", number=True),
)

EVENTS: Fields = (
    Field("epoch", "random, and the server's run id: it changes if the server restarts, fails over or loses its data"),
    Field("tick", "the last tick", number=True),
    Field("at", "when that was published (unix milliseconds)", number=True),
    Field(
        "each source, as in `Triggers`",
        "its watermark, `tick count ms`: all wanted events up to there have run; `ms` is the time of that tick",
    ),
    Field("server", "the run id of the server that carries the epoch on, after a failover in order"),
    Field("waits", "since when a promoted server waits for who carries it on (unix milliseconds)", number=True),
    Field("left:<source>", "up to when an older epoch had run it, until the gap is recorded"),
    Field(
        "blind:<source>",
        "the last gap by missing flags: its end, its beginning, its ids in `Gaps` and `Executions`",
    ),
    Field("limit", "about how many executions are kept, as the daemon was told", number=True),
    Field("proof", "what stands before each of the engine's messages: its secret, and a blank"),
)

HEARTBEAT: Fields = (
    Field("epoch", "as in `Events`"),
    Field("covers", "each source to the first tick from which this daemon numbers it without a break"),
    Field("host", "where it runs"),
    Field("pid", "its process", number=True),
    Field("version", "of its luasprocs"),
    Field("started", "since when (unix seconds, by its own clock)", number=True),
    Field("lag", "events read and not yet run", number=True),
    Field("read", "events read since it started", number=True),
    Field("runs", "events run since it started", number=True),
    Field("repeated", "of these, how many may have run twice, as slots migrated to its shard", number=True),
    Field("jobs", "async runs under way here", number=True),
    Field("jobs_done", "async runs that ended here since it started", number=True),
    Field("schedules", "schedules that it knows", number=True),
    Field("ticks", "scheduled runs that were its own", number=True),
    Field("waits", "what can't go on here, to why: `schedules`, `jobs`, `retries`"),
)

JOB: Fields = (
    Field("id", "the same in each attempt"),
    Field("sproc", "its name"),
    Field("trigger", "`event`, `cron` or `enqueue`; of a server-side run what ran it"),
    Field("keys", "KEYS, as enqueued"),
    Field("args", "ARGV, as enqueued"),
    Field("origin", "what began the chain"),
    Field("depth", "as in a record", number=True),
    Field("attempt", "counts from 1", number=True),
    Field("enqueued_ms", "unix milliseconds", number=True),
    Field("server", "true for a server-side run that is tried again"),
)

DESIRED: Fields = (
    Field("source", "the repository or remote that is followed"),
    Field("commit", "the commit that git wants live"),
    Field("branch", "its branch"),
    Field("subject", "its subject"),
    Field("author", "its author, `Name <mail>`"),
    Field("state", "where that daemon stands, a word of the table below"),
    Field("reason", "why it waits or failed, as a sentence"),
    Field("created", "JSON: names that would be created and aren't"),
    Field("updated", "JSON: names that would be updated and aren't"),
    Field("deleted", "JSON: names that would be deleted and aren't"),
    Field(
        "diffs",
        "JSON: the same as unified diffs, `live/NAME` against `git/NAME`: up to 100, 20,000 characters of each "
        "and 200,000 in all",
    ),
    Field("problems", "JSON: `file:line:column: message`"),
    Field("drift", "JSON: sprocs that were changed by hand"),
    Field("edits_waiting", "JSON: live edits that can't be committed, `name: why` each"),
    Field("at", "when this was published (unix seconds)"),
    Field("since", "since when that commit has had this state (unix seconds)"),
    Field("daemon", "the daemon that published it"),
    Field("generation", "the generation that was live then: if another is, this says nothing any more", number=True),
    Field(
        "followed_until_ms",
        "by when a daemon that follows git looks again (unix milliseconds, by the server's clock); none if it stopped in order",
        number=True,
    ),
)
