"""Every function of the engine: who calls it, its arguments and reply by name. The engine registers what stands here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

_KINDS = {
    **dict.fromkeys(
        (
            *("interval_ms", "first_tick", "first_ms", "from_ms", "tick", "tick_ms", "prev_tick", "prev_count"),
            *("start_tick", "ms", "limit", "stale", "forced", "depth", "roots", "resp", "duration_us"),
        ),
        "n",
    ),
    **dict.fromkeys(("start_ms", "left_ms"), "o"),
    **dict.fromkeys(("origin", "daemon", "epoch", "entry"), "w"),
}
"""Arguments that the engine checks: whole numbers, those that may be empty, and words without blanks."""
Caller: TypeAlias = Literal["applications", "syncs", "daemons", "workers"]


@dataclass(frozen=True, slots=True)
class Function:
    """One function. `name`: behind the library's, as `Keys.function` takes it; `chunk`: the file of the engine that serves it.

    `takes`: its arguments, of which every call has all. `each`: those that follow, as often as wanted, always together.
    `full`: in a full server it serves sprocs with `oom=allow`, if one is live. `always`: it runs there in any case: what it
    writes doesn't grow, and without it daemons would look dead and events be missed.
    `keys`: whether it takes KEYS. `reads`: it writes nothing, so FCALL_RO serves it, on replicas too.
    """

    name: str
    caller: Caller
    chunk: str
    does: str
    replies: str
    takes: tuple[str, ...] = ()
    each: tuple[str, ...] = ()
    keys: bool = False
    reads: bool = False
    full: bool = False
    always: bool = False

    @property
    def rule(self) -> str:
        """What the engine checks its arguments by, see arguments.lua."""
        usage = self.usage
        return "|".join((usage, *("".join(_KINDS.get(name, ".") for name in some) for some in (self.takes, self.each))))

    @property
    def usage(self) -> str:
        """How it is called: `FCALL luasprocs_tick 0 interval_ms forced`."""
        more = [f"[{' '.join(self.each)} ...]"] if self.each else []
        command = "FCALL_RO" if self.reads else "FCALL"
        counted = "numkeys [key ...]" if self.keys else "0"
        return " ".join([command, f"luasprocs_{self.name}", counted, *self.takes, *more])

    def checked(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Arguments of a call.

        Raises:
            TypeError: there are too few or too many.
        """
        more = len(arguments) - len(self.takes)
        if more < 0 or (more % len(self.each) if self.each else more):
            raise TypeError(f"{self.usage}: {len(arguments)} arguments were given")
        return arguments


FUNCTIONS: dict[str, Function] = {
    one.name: one
    for one in (
        Function(
            "execute",
            "applications",
            "core",
            "runs a sproc",
            "the sproc's",
            ("name",),
            ("arg",),
            keys=True,
            full=True,
        ),
        Function(
            "execute_ro",
            "applications",
            "guard",
            "runs a sproc that is `readonly=yes`, on replicas too",
            "the sproc's",
            ("name",),
            ("arg",),
            keys=True,
            reads=True,
        ),
        Function(
            "run",
            "applications",
            "recorded",
            "runs a sproc and records the run; `by` says who asks",
            "the sproc's",
            ("name", "by"),
            ("arg",),
            keys=True,
            full=True,
        ),
        Function(
            "enqueue",
            "applications",
            "workers",
            "enqueues an async run; `origin`: who asks, `-` for nobody in particular; `depth`: of the run that "
            "asks, 1 for a client",
            "the job's id; nil if `overlap=skip` leaves it out",
            ("name", "origin", "depth"),
            ("arg",),
            keys=True,
        ),
        Function("flush", "syncs", "flush", "writes the counted calls to the stats", "how many calls it wrote"),
        Function(
            "about",
            "syncs",
            "inspect",
            "describes the loaded engine",
            "version, owner, db, namespace, id of its text, and the generation that it compiles from",
            reads=True,
        ),
        Function(
            "compile",
            "syncs",
            "inspect",
            "compiles sources, keeps nothing and runs nothing",
            "name and message of each source that does not compile",
            (),
            ("name", "source"),
            reads=True,
        ),
        Function(
            "inspect",
            "syncs",
            "inspect",
            "compares sprocs with what was applied: a stretch of the list, as LRANGE takes it",
            "for each sproc its name, its blob, and 1 if its hash is as applied, else 0; of a live edit its "
            "`edit` field instead of 1",
            ("start", "stop"),
            reads=True,
        ),
        Function(
            "verify",
            "syncs",
            "inspect",
            "compares the named sprocs with what was applied",
            "as `inspect`",
            (),
            ("name",),
            reads=True,
        ),
        Function(
            "bound",
            "daemons",
            "triggers",
            "reads all that binds events to sprocs, at one moment",
            "the generation; each source and its sprocs' names, one per line; an empty string; then for each "
            "sproc its name, event, "
            "key, reentrant, catchup and timeout as written, or empty (of sprocs without a trigger those that "
            "state a timeout)",
            reads=True,
        ),
        Function(
            "schedules",
            "daemons",
            "triggers",
            "reads all schedules, at one moment",
            "the generation, the time in ms; then for each sproc its name, cron, every (as written, or empty), "
            "timezone, misfire (or their "
            "defaults), 1 if it is paused, and its field of `Scheduled`",
            reads=True,
        ),
        Function(
            "deadlines",
            "daemons",
            "triggers",
            "expires the keys that are due, and reads when the others are",
            "for each key its deadline in ms, -1 if it has none, -2 if it is gone; or why it can't be read",
            (),
            ("key",),
            reads=True,
        ),
        Function(
            "tick",
            "daemons",
            "ticks",
            "publishes the next tick, unless the last one is newer than `interval_ms` and `forced` isn't 1",
            "epoch, tick",
            ("interval_ms", "forced"),
            always=True,
        ),
        Function(
            "cover",
            "daemons",
            "ticks",
            "starts each source without a watermark at the tick from which the daemon numbers it; `left_ms`: "
            "up to when an older epoch had "
            "run it, as far as the daemon knows, or empty",
            "OK; EPOCH if the epoch is another",
            ("daemon", "epoch"),
            ("source", "first_tick", "first_ms", "left_ms"),
            always=True,
        ),
        Function(
            "beat",
            "daemons",
            "ticks",
            "writes a heartbeat; `info`: JSON. Each source listed has nothing pending between prev and the "
            "start of `tick`: its watermark "
            "moves there if it has reached prev. `start_ms`, if prev is where the daemon's numbering starts: a "
            "hole before it that no "
            "daemon covers is stepped over and recorded",
            "EPOCH, or two lists: sprocs whose catch-up scan no daemon works on, and sources without a watermark",
            ("daemon", "epoch", "info"),
            ("source", "prev_tick", "prev_count", "tick", "ms", "start_ms"),
            always=True,
        ),
        Function(
            "leave",
            "daemons",
            "ticks",
            "removes the heartbeat of a daemon that stops",
            "OK",
            ("daemon",),
            always=True,
        ),
        Function(
            "blind",
            "daemons",
            "ticks",
            "records a gap from then until now for sources whose events were not published; daemons that find "
            "the same record it once",
            "how many gaps it recorded",
            ("daemon", "from_ms", "why"),
            ("source",),
            always=True,
        ),
        Function(
            "dispatch",
            "daemons",
            "dispatch",
            "runs the sprocs bound to a source for events of one tick, in order. `prev`: the wanted event "
            "before them, as the sender knows; "
            "`start`: where the sender's numbering of the source begins; what follows is described in batch.lua",
            "`ran`, tick and count of the watermark, runs, microseconds; or, with nothing done, `behind` tick "
            "count, `stale` generation, "
            "`epoch`, `unregistered`",
            (
                "source",
                "epoch",
                "generation",
                "daemon",
                "tick",
                "tick_ms",
                "prev_tick",
                "prev_count",
                "start_tick",
                "start_ms",
            ),
            ("word",),
            full=True,
        ),
        Function(
            "catchup",
            "daemons",
            "dispatch",
            "runs a sproc for keys that a scan found, with the event `catchup`, and keeps the cursor; an empty "
            "one ends the scan. "
            "`before`: the scan's state as its last step left it",
            "how many ran, and the scan's state; -1 if the scan ended or began anew meanwhile",
            ("name", "daemon", "before", "cursor"),
            ("key",),
            full=True,
        ),
        Function(
            "cron",
            "daemons",
            "cron",
            "claims and runs scheduled times; `mode`: `start`, `show`, `run` or `record`, described in cron.lua",
            "depends on the mode",
            ("mode",),
            ("word",),
            full=True,
        ),
        Function(
            "take",
            "daemons",
            "workers",
            "hands at most `limit` jobs to a daemon; `stale` 1: those of dead daemons first",
            "the generation; then a list for each job: entry, id, sproc, trigger, depth, origin, attempt, "
            "what its header says of timeout and the other keys that jobs are told, number of keys, the "
            "keys, number of arguments, the arguments",
            ("daemon", "limit", "stale"),
        ),
        Function(
            "held",
            "daemons",
            "workers",
            "reads the jobs that a daemon was handed and doesn't know: the reply of a `take` was lost with its connection",
            "as `take`",
            ("daemon",),
            ("known",),
        ),
        Function(
            "begun",
            "daemons",
            "workers",
            "counts a try of jobs whose runs begin; daemons that die before that count for nothing",
            "OK",
            ("daemon",),
            ("entry",),
        ),
        Function(
            "back",
            "daemons",
            "workers",
            "puts jobs that have not begun back among those that any daemon may take",
            "how many",
            ("daemon",),
            ("entry",),
        ),
        Function(
            "finish",
            "daemons",
            "workers",
            "ends jobs: record, retry, and the sproc's next job in one step",
            "for each OK, or LOST if another daemon claimed the job meanwhile",
            ("daemon",),
            ("entry", "status", "duration_us", "reply", "error"),
        ),
        Function(
            "due",
            "daemons",
            "retries",
            "puts retries that are due among the jobs, and resumes sprocs that are not paused any more",
            "milliseconds until the next retry, or empty; then the server-side runs that are due, for `retry`",
            full=True,
        ),
        Function(
            "retry",
            "daemons",
            "retries",
            "runs a failed server-side run again; `verdict`: empty, or the status to record in place of a run",
            "OK, or GONE if another daemon has done it",
            ("daemon", "job", "verdict"),
            full=True,
        ),
        Function(
            "job",
            "daemons",
            "retries",
            "acts on jobs: `retry` starts dead ones anew and delayed ones now, `drop` forgets jobs that don't "
            "run. `state`: only jobs that are "
            "still in it, empty for any",
            "for each id the state in which its job was found; `running` if nothing can be done; nil if there is none",
            ("action", "state"),
            ("id",),
        ),
        Function(
            "effect",
            "workers",
            "workers",
            "runs a command of an async sproc between markers; `resp`: 2 or 3",
            "the command's",
            ("depth", "roots", "origin", "name", "mode", "resp"),
            ("word",),
        ),
        Function(
            "call",
            "workers",
            "workers",
            "runs a sproc for `sproc.call` in an async sproc",
            "the sproc's",
            ("name", "origin", "depth"),
            ("arg",),
            keys=True,
            full=True,
        ),
    )
}
"""By name, in the order of documentation."""
