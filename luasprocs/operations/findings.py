"""What is wrong with a registry and what runs it, the worst first. Pure: everything comes from one snapshot."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.codes import DesiredState, FindingCode, Level, Work
from luasprocs.language.values import some_of
from luasprocs.operations.acknowledgeable import gaps_of, unknown_after_ms
from luasprocs.operations.waiting_edits import hint_of, waiting_edits
from luasprocs.registry.pins import pin_of
from luasprocs.server.info import warnings, way_out
from luasprocs.server.readable_errors import readable_error
from luasprocs.state.executions import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from luasprocs.operations.snapshot import Snapshot
    from luasprocs.state.paused import Pause

LEVELS: tuple[Level, ...] = ("error", "warning", "info")
BAD: tuple[Level, ...] = ("error", "warning")
"""Levels by which a registry is not well."""
SHA_SHOWN = 12


class Finding(NamedTuple):
    """One thing that is wrong. `message`: a sentence; `hint`: what to do; `level`: "" for the code's own.

    `names`: the sprocs, daemons or sources that it is about; `by`: who did it; `since_ms`: since when, unix milliseconds, 0 if
    nobody knows.
    """

    code: FindingCode
    message: str
    hint: str = ""
    level: Level | None = None
    names: tuple[str, ...] = ()
    by: str = ""
    since_ms: int = 0

    @property
    def severity(self) -> Level:
        """How bad it is."""
        return self.level or self.code.level

    @property
    def bad(self) -> bool:
        """Whether it is an error or a warning."""
        return self.severity in BAD

    def as_json(self) -> dict[str, Any]:
        """As `luasprocs status --json` shows it: `level`, `code`, `message`, `hint`, and what else is known."""
        known: dict[str, Any] = {"names": list(self.names), "by": self.by}
        if self.since_ms:
            known["since"] = time_text(self.since_ms)
        head = {"level": self.severity, "code": str(self.code), "message": self.message, "hint": self.hint}
        return head | {name: value for name, value in known.items() if value}


def worst_first(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in order: by level, then as the contract lists their codes."""
    codes = list(FindingCode)
    return tuple(sorted(found, key=lambda one: (LEVELS.index(one.severity), codes.index(one.code))))


def findings(snapshot: Snapshot) -> tuple[Finding, ...]:
    """What is wrong, the worst first; nothing if all is well. At most one finding of a code."""
    if snapshot.unreachable:
        return (Finding(FindingCode.UNREACHABLE, snapshot.unreachable, "see its log, or name another with --redis"),)
    found: dict[FindingCode, Finding] = {}
    for find in _ALL:
        for one in find(snapshot):
            found.setdefault(one.code, one)
    return worst_first(found.values())


def _registry(snapshot: Snapshot) -> Iterator[Finding]:
    sprocs, live = snapshot.sprocs, snapshot.live
    if sprocs is None or live is None:
        return
    if live.empty:
        yield _empty(sprocs.emptied)
    if refuses := snapshot.refuses:
        message = f"the server takes no writes, so what would run waits: {refuses}"
        yield Finding(FindingCode.UNREACHABLE, message, way_out(refuses))
    if sprocs.engine:
        yield Finding(FindingCode.ENGINE_DIFFERS, sprocs.engine, "luasprocs sync loads the one it needs")
    if changed := (*sprocs.drift, *map(str, live.faults)):
        said = [f"changed by hand: {some_of(sprocs.drift)}"] if sprocs.drift else []
        message = "; ".join((*said, *map(str, live.faults)))
        yield Finding(FindingCode.DRIFT, message, "luasprocs sync repairs it", names=changed)
    if differs := [one for one in sprocs.shards if one.problem]:
        message = "; ".join(f"shard {one.tag} {one.problem}" for one in differs)
        away = any(one.away for one in differs)
        hint = "see its server; the next sync brings it in line" if away else "luasprocs sync brings it in line"
        names = tuple(one.tag for one in differs)
        yield Finding(FindingCode.SHARD_DIFFERS, message, hint, "error" if away else None, names=names)
    for info in (one.info for one in (live, *live.siblings)):
        for what in warnings(info):
            # Without a limit the server evicts nothing.
            level: Level | None = None if info.maxmemory_bytes else "info"
            yield Finding(FindingCode.EVICTING, what, "set maxmemory-policy noeviction", level)
    if edits := sprocs.edits:
        names, first = tuple(one.name for one in edits), min(edits, key=lambda one: one.edit.at).edit
        since_ms = int(first.at * 1000)
        message = f"live edits that are not committed: {some_of(names)}{_by(first.by, since_ms)}"
        hint = hint_of(waiting_edits(snapshot))
        yield Finding(FindingCode.UNSAVED_EDIT, message, hint, names=names, by=first.by, since_ms=since_ms)


def _empty(generation: int) -> Finding:
    """Of a registry without a key. `generation`: what was live before, 0 if nobody knows."""
    if generation:
        message = f"the registry is empty: generation {generation} was live until its keys were deleted"
        return Finding(FindingCode.DRIFT, message, "luasprocs sync makes live again what git has", "error")
    hint = "in a git repository of sprocs, run luasprocs sync; or name another server, db or namespace"
    return Finding(FindingCode.BEHIND, "no sprocs here yet: the registry is empty", hint)


_FIX = "fix the commit, or push one that undoes it; what was live before still runs"
_ALLOW = "fix the commit, or run luasprocs sync with the option that the reason names"
_STATES: Mapping[str, tuple[FindingCode, str]] = {
    DesiredState.REFUSED: (FindingCode.REFUSED, _FIX),
    DesiredState.DIVERGED: (FindingCode.DIVERGED, "run luasprocs sync to apply what git has"),
    DesiredState.UNKNOWN: (FindingCode.UNKNOWN, "fetch the live commit, or run luasprocs sync to apply what git has"),
    DesiredState.BEHIND: (FindingCode.BEHIND, "pull, or run luasprocs sync to apply what git has"),
    DesiredState.DEGRADED: (FindingCode.DEGRADED, "see the daemon's log"),
    DesiredState.FLAPPING: (
        FindingCode.DRIFT,
        "find what writes there (ACL LOG, CLIENT LIST, MONITOR), then luasprocs sync",
    ),
    DesiredState.ENGINE_DIFFERS: (
        FindingCode.ENGINE_DIFFERS,
        "run one build of luasprocs everywhere, then luasprocs sync",
    ),
}
"""What a daemon that waits is a finding of, and what to do."""


def _wanted(snapshot: Snapshot) -> Iterator[Finding]:
    """What the repository at hand wants."""
    if (wanted := snapshot.wanted) is None:
        return
    if wanted.unreadable:
        yield Finding(FindingCode.DEGRADED, wanted.unreadable, "look at the repository with git")
    if wanted.refused:
        yield Finding(FindingCode.REFUSED, wanted.refused, _ALLOW if " --" in wanted.refused else _FIX)
    sync = snapshot.sync
    refused = sync.state == DesiredState.REFUSED and sync.commit == wanted.commit and not _overtaken(snapshot)
    if wanted.differs and not refused:  # which says so, and why
        message = f"git wants {wanted.commit[:SHA_SHOWN]}, which is not live"
        yield Finding(FindingCode.BEHIND, message, "luasprocs plan shows the difference, luasprocs sync makes it live")


def _git(snapshot: Snapshot) -> Iterator[Finding]:
    """What the daemon that follows git saw, unless something was applied since: it will look again, if it is there."""
    sync = snapshot.sync
    if 0 < sync.followed_until_ms < snapshot.now_ms:
        since_ms = sync.followed_until_ms
        message = f"no daemon looks at git any more; {sync.daemon} was the last to say what it wants"
        yield Finding(FindingCode.DEGRADED, message, "luasprocs daemon", by=sync.daemon, since_ms=since_ms)
    code, hint = _STATES.get(sync.state, (None, ""))
    if code is FindingCode.ENGINE_DIFFERS and snapshot.sprocs and snapshot.sprocs.engine:
        return  # the registry says so itself
    if code is None or _overtaken(snapshot):
        return
    reason = sync.reason or f"git wants {sync.commit[:SHA_SHOWN]}, which is not live"
    if code is FindingCode.REFUSED and sync.commit:
        by, hint = f" by {sync.author}" if sync.author else "", _ALLOW if " --" in reason else _FIX
        reason += f" (commit {sync.commit[:SHA_SHOWN]}{by})"
    names = tuple(sorted({*sync.created, *sync.updated, *sync.deleted}))
    yield Finding(code, reason, hint, names=names, by=sync.daemon, since_ms=int((sync.since or sync.at) * 1000))


def _overtaken(snapshot: Snapshot) -> bool:
    live, seen = snapshot.live, snapshot.sync.generation
    return bool(live and seen and live.revision.generation > seen)


def _held(snapshot: Snapshot) -> Iterator[Finding]:
    """What somebody has stopped on purpose."""
    if held := snapshot.suspended:
        since_ms = int(held.since * 1000)
        why = f": {held.reason}" if held.reason else ""
        message = f"syncs are suspended{_by(held.by or 'somebody', since_ms)}{why}"
        yield Finding(FindingCode.SUSPENDED, message, "luasprocs unsuspend", by=held.by, since_ms=since_ms)
    live = snapshot.live
    if live and live.revision.pinned:
        pin = pin_of(live.revision)
        since_ms, names = _ms(pin.at), tuple(sorted(pin.blobs))
        out = f", which keeps out what git has of {some_of(names)}" if names else ""
        why = f": {pin.why}" if pin.why else ""
        yield Finding(
            FindingCode.PINNED,
            f"rolled back from commit {live.revision.pinned[:SHA_SHOWN]}{_by(pin.by, since_ms)}{out}{why}",
            "a change of it in git, luasprocs sync, or luasprocs unpin goes on from there",
            names=names,
            by=pin.by,
            since_ms=since_ms,
        )
    if pauses := snapshot.paused:
        names = tuple(one.name for one in pauses)
        first = min(pauses, key=lambda one: one.since_ms)
        message = f"paused: {some_of([_paused(one) for one in pauses])}"
        hint = "luasprocs resume"
        yield Finding(FindingCode.PAUSED, message, hint, names=names, by=first.by, since_ms=first.since_ms)


def _paused(one: Pause) -> str:
    return f"{one.name}{_by(one.by, one.since_ms)}"


def _by(by: str, since_ms: int) -> str:
    """` by ann@host since 2026-11-29T10:00:00Z`, as far as it is known."""
    return (f" by {by}" if by else "") + (f" since {time_text(since_ms // 1000 * 1000)[:19]}Z" if since_ms else "")


def _ms(when: str) -> int:
    """An ISO 8601 time with its offset in unix milliseconds; 0 for none."""
    try:
        return int(datetime.fromisoformat(when).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0


def _daemons(snapshot: Snapshot) -> Iterator[Finding]:
    alive, now_ms = snapshot.running.alive, snapshot.now_ms
    silent = tuple(one for one in snapshot.running.daemons if one not in alive)
    last_ms = max((one.heard_ms for one in silent), default=0)
    waits = [
        what
        for what, there in (
            (Work.EVENTS, snapshot.live and snapshot.live.triggers),
            (Work.SCHEDULES, snapshot.sprocs and snapshot.sprocs.schedules),
            (Work.JOBS, snapshot.open_jobs or snapshot.delayed_jobs),
            (Work.RETRIES, snapshot.delayed_jobs and snapshot.running.alive),
        )
        if there
    ]
    if snapshot.refuses:
        return  # so heartbeats may be missing, too
    if waits and not alive:
        message = f"no daemon is alive, so nothing runs: {', '.join(one.meaning for one in waits)}"
        yield Finding(FindingCode.NO_DAEMON, message, "luasprocs daemon", since_ms=last_ms)
    elif stuck := [what for what in waits if all(what in one.waits for one in alive)]:
        each = [f"{what.meaning}: {alive[0].waits[what]}" for what in stuck]
        names = tuple(one.id for one in alive)
        yield Finding(FindingCode.NO_DAEMON, f"no daemon can go on with {'; '.join(each)}", "see its log", names=names)
    elif Work.EVENTS in waits and (
        deaf := tuple(tag for tag, ids in snapshot.running.hearing.items() if tag and not ids)
    ):
        message = f"no daemon hears the events of shard {some_of(deaf)}"
        yield Finding(FindingCode.NO_DAEMON, message, "see the daemons' logs: do they reach its primary?", names=deaf)
    if silent:
        names = tuple(one.id for one in silent)
        each = [
            f"{one.id} for {one.age_ms(now_ms) / 1000:.0f} s, with {one.lag} events and {one.jobs} jobs at hand"
            for one in silent
        ]
        message = f"no heartbeat, and not stopped in order: {some_of(each)}"
        hint = "check its host, and whether writes are paused; it is removed from the list after ten minutes"
        yield Finding(FindingCode.DAEMON_SILENT, message, hint, names=names, since_ms=last_ms)


def _runs(snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.sprocs and (failing := snapshot.sprocs.failing):
        worst = max(failing, key=lambda one: one.times)
        names = tuple(one.name for one in failing)
        times = f" {worst.times} times in a row" if worst.times > 1 else ""
        message = f"the last run failed: {some_of(names)}; {worst.name}{times}: {readable_error(worst.error)}"
        since_ms = min((one.since_ms for one in failing if one.since_ms), default=0)
        yield Finding(FindingCode.FAILING, message, "luasprocs logs --status error", names=names, since_ms=since_ms)
    if dead := snapshot.dead_jobs:
        message = f"{dead} job{'s have' if dead > 1 else ' has'} used up the retries"
        hint, since_ms = "luasprocs jobs list --state dead; then retry or drop", snapshot.dead_since_ms
        yield Finding(FindingCode.DEAD_JOBS, message, hint, since_ms=since_ms)
    if gaps := gaps_of(snapshot):
        last = gaps[-1]
        message = (
            f"events of {last.source} were missed from {time_text(last.from_ms)} to {time_text(last.to_ms)}: {last.why}"
        )
        more = f" (and {len(gaps) - 1} more)" if len(gaps) > 1 else ""
        names = tuple(sorted({gap.source for gap in gaps}))
        hint = "luasprocs logs --status gap; luasprocs status --acknowledge"
        yield Finding(FindingCode.GAP, message + more, hint, names=names, since_ms=gaps[0].from_ms)
    after_ms = unknown_after_ms(snapshot, FindingCode.MISSED)
    if missed := [one for one in snapshot.sprocs.missed if one.at_ms > after_ms] if snapshot.sprocs else []:
        names, last_ms = tuple(one.name for one in missed), max(one.at_ms for one in missed)
        message = f"scheduled times were missed: {some_of(names)}; the last noticed {time_text(last_ms)}"
        hint = "luasprocs logs --status missed; luasprocs status --acknowledge"
        yield Finding(FindingCode.MISSED, message, hint, names=names, since_ms=min(one.at_ms for one in missed))


_ALL = (_wanted, _git, _registry, _held, _daemons, _runs)
