"""One look: what git wants, what is live, and whether the one is made the other. Blocking; a daemon calls it in a thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.errors import ConflictError, LuasprocsError, ProblemsError, RepositoryError, ServerError, SettingsError
from luasprocs.operations.identity import user_at_host
from luasprocs.operations.rollback import rollback
from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import read_live, reread
from luasprocs.server.registry import Registry
from luasprocs.state import requests as control
from luasprocs.state.desired import SyncState, publish, read_suspended, read_sync_state
from sync.git.worktree import PATIENCE_S
from sync.reconcile.decision import Decision, Facts, State, decide
from sync.reconcile.desired import WORKTREE
from sync.reconcile.live_edits import commit_pending
from sync.reconcile.pending_diffs import Diffs
from sync.reconcile.policy import ANY, Policy
from sync.reconcile.reconciler import Options, Prepared, Syncer

if TYPE_CHECKING:
    from luasprocs.registry.live import Live
    from luasprocs.registry.plan import Outcome, Plan
    from sync.reconcile.desired import Desired
    from sync.service.sources import Source

LIFTABLE = (State.BEHIND, State.DIVERGED, State.UNKNOWN, State.PINNED)
"""What an operator's `sync` goes over."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The host's: `heal`: auto or warn; `policy`: which commits it takes; `live_edits`: commit, keep or revert, None: commit
    where that is possible, else keep.
    """

    heal: str = "auto"
    policy: Policy = ANY
    live_edits: str | None = None


class Look(NamedTuple):
    """What a look found. `failing`: `git` or `redis` where it could not look; `again`: it is worth looking again at once.

    `applied`: a sync was done, `summary` says which. `evicts`: why the server may lose the registry, or "".
    """

    state: SyncState
    applied: bool = False
    summary: str = ""
    failing: str = ""
    again: bool = False
    generation: int = 0
    evicts: str = ""

    @classmethod
    def failed(cls, what: str, why: str) -> Look:
        """It could not look."""
        state = State.UNREACHABLE if what == "redis" else State.DEGRADED
        return cls(SyncState(state=state, reason=why, at=time.time()), failing=what)


class Looker:
    """Looks at one source and one registry; remembers what it saw, so that a look at nothing new is cheap.

    Raises, from every method, ServerError and redis.RedisError: the server can't be asked.
    """

    def __init__(self, registry: Registry, source: Source, rules: Rules, daemon: str) -> None:
        self._registry, self._source, self._rules, self._daemon = registry, source, rules, daemon
        self._live: Live | None = None
        self._seen = ""
        self._refused: tuple[str, int, SyncState] | None = None
        self._published: tuple[object, ...] = ()
        self._applying = False
        self._waiting: dict[str, str] = {}
        self._moving_since_s = 0.0
        self._diffs = Diffs(registry)

    def doubt(self) -> None:
        """What is known of the registry may be wrong: the next look reads all of it."""
        self._live = None

    def heard(self, keys: list[bytes] | None) -> bool:
        """Keys of the registry changed, None: all of them. Returns whether to look: what it writes itself it has read back."""
        if self._applying:
            return False
        asked = {self._registry.keys.control.encode(), self._registry.keys.suspended.encode()}
        if keys is None or not asked.issuperset(keys):
            self.doubt()
        return True

    def look(self, *, fetch: bool = True) -> Look:
        """Fetches if told so, answers requests, applies what may be applied, and publishes what became of it."""
        late = ""
        if fetch:
            try:
                self._source.refresh()
            except RepositoryError as error:
                late = str(error)
        asked = control.take(self._registry, self._daemon)
        look = self._look(forced=False)
        for request in asked:
            look = self._answer(request, look)
        if late and not look.failing:
            # What was fetched before is still kept in place.
            state = replace(look.state, state=State.DEGRADED, reason=late)
            look = look._replace(state=state, failing="git")
        self._publish(look)
        return look

    def _look(self, *, forced: bool) -> Look:
        try:
            desired = self._source.desired()
        except (RepositoryError, SettingsError) as error:
            return Look.failed("git", str(error))
        if desired.settings.namespace and desired.settings.namespace != self._registry.keys.namespace:
            why = f"luasprocs.toml says namespace {desired.settings.namespace!r}, which this daemon does not serve: restart it"
            return Look(self._state(desired, State.REFUSED, why))
        live = self._read(desired)
        decision = self._decide(desired, live)
        if decision.apply and (made := self._commit_edits(desired, live)):
            desired, decision = made, self._decide(made, live)
        self._seen = desired.commit.sha
        if forced and decision.state in LIFTABLE:
            decision = Decision(True, State.APPLYING)
        last = (desired.commit.sha, live.revision.generation)
        if self._refused and not forced and last[0] != WORKTREE and self._refused[:2] == last:
            return self._seen_as(live, self._refused[2])
        return self._again_if_moving(desired.moving, self._apply(desired, live, decision))

    def _again_if_moving(self, moving: str, look: Look) -> Look:
        """What is being written is looked at again soon; that it never ends is told."""
        if not moving:
            self._moving_since_s = 0.0
            return look
        self._moving_since_s = self._moving_since_s or time.monotonic()
        if time.monotonic() - self._moving_since_s < PATIENCE_S:
            return look._replace(again=True)
        said = f"{moving} is being written all the time: it stays as it was before"
        reason = "; ".join(filter(None, (look.state.reason, said)))
        return look._replace(again=True, state=replace(look.state, reason=reason))

    def _read(self, desired: Desired) -> Live:
        """What is live: by one small question where nobody has changed it since the last look."""
        known = self._live and reread(self._registry, self._live)
        live = known or read_live(self._registry, len(desired.entries))
        self._live = live
        return live

    def _decide(self, desired: Desired, live: Live) -> Decision:
        wanted, current, pinned = desired.commit.sha, live.revision.commit, live.revision.pinned
        suspended = read_suspended(self._registry)
        facts = Facts(wanted, current, suspended=str(suspended or ""), pinned=pinned, worktree=wanted == WORKTREE)
        repository = self._source.repository
        if not facts.worktree and (pinned or (current and wanted != current)):
            ahead = repository.is_ancestor(current, wanted)
            facts = replace(
                facts,
                moved=self._moved(wanted, current),
                known=ahead or repository.knows(current),
                ahead=ahead,
                behind=not ahead and repository.is_ancestor(wanted, current),
                after_pin=bool(pinned) and wanted != pinned and repository.is_ancestor(pinned, wanted),
                before_pin=bool(pinned) and repository.is_ancestor(wanted, pinned),
            )
        return decide(facts)

    def _moved(self, wanted: str, current: str) -> bool:
        """Whether the branch came here since somebody last looked at this source: this looker, or one before it."""
        if self._seen:
            return self._seen != wanted
        last = read_sync_state(self._registry)
        return last.source == self._source.name and last.commit == current != wanted

    def _commit_edits(self, desired: Desired, live: Live) -> Desired | None:
        """Commits what was edited live. Returns what is wanted then, or None where nothing was committed."""
        self._waiting = {}
        mode = self._rules.live_edits or ("commit" if self._source.writable else "keep")
        if mode != "commit" or desired.commit.sha == WORKTREE or not any(one.edit for one in live.sprocs.values()):
            return None
        if live.revision.commit != desired.commit.sha and live.revision.pinned:
            return None
        try:
            done = commit_pending(
                *(self._registry, live, self._source.repository, desired), sign=self._rules.policy.signed
            )
            self._waiting = dict(done.waiting)
            if not done.sha:
                return None
            self._source.publish(done.sha, desired.commit.sha, desired.branch)
            return self._source.desired()
        except RepositoryError as error:
            self._waiting = {one.name: str(error) for one in edits_of(live)}
            return None

    def _apply(self, desired: Desired, live: Live, decision: Decision) -> Look:
        options = Options(policy=self._rules.policy, discard_edits=self._rules.live_edits == "revert")
        syncer = Syncer(self._registry, self._source.repository, options)
        try:
            prepared = syncer.prepare(desired, live)
        except ServerError:
            raise
        except LuasprocsError as error:
            return self._refuse(desired, live, str(error), ())
        plan = prepared.plan
        if not decision.apply:
            return self._seen_as(live, self._state(desired, decision.state, decision.reason, plan))
        if prepared.refusal:
            return self._refuse(desired, live, prepared.refusal, (), plan)
        drifted = live.revision.commit == desired.commit.sha and bool(plan) and desired.commit.sha != WORKTREE
        if drifted and self._rules.heal == "warn":
            why = "the registry was changed by hand: luasprocs sync puts it right, or luasprocs plan shows how"
            return self._seen_as(live, self._state(desired, State.DRIFT, why, plan))
        return self._sync(syncer, desired, prepared)

    def _sync(self, syncer: Syncer, desired: Desired, prepared: Prepared) -> Look:
        live = prepared.live
        self._applying = True
        try:
            outcome = syncer.sync(desired, prepared)
        except ProblemsError as error:
            return self._refuse(desired, live, _many(error), tuple(map(str, error.problems)))
        except ConflictError as error:
            self.doubt()
            return self._seen_as(live, self._state(desired, State.APPLYING, str(error)))._replace(again=True)
        except ServerError:
            self.doubt()
            raise
        except LuasprocsError as error:
            return self._refuse(desired, live, str(error), ())
        finally:
            self._applying = False
        self._refused = None
        if outcome.changed:
            self.doubt()
        look = self._seen_as(live, self._state(desired, State.SYNCED, self._edits_said()))
        return look._replace(
            applied=outcome.changed, summary=summary(outcome), generation=outcome.generation, again=outcome.changed
        )

    def _edits_said(self) -> str:
        """Live edits that wait, and why."""
        return "; ".join(f"the live edit of {name} waits: {why}" for name, why in sorted(self._waiting.items()))

    def _refuse(
        self, desired: Desired, live: Live, why: str, problems: tuple[str, ...], plan: Plan | None = None
    ) -> Look:
        state = self._state(desired, State.REFUSED, why, plan, problems)
        if problems:  # the same files need not be read and compiled again to find the same
            self._refused = (desired.commit.sha, live.revision.generation, state)
        return self._seen_as(live, state)

    def _seen_as(self, live: Live, state: SyncState) -> Look:
        evicts = live.info.maxmemory_policy if live.info.evicts else ""
        return Look(replace(state, at=time.time()), generation=live.revision.generation, evicts=evicts)

    def _state(
        self, desired: Desired, state: State, reason: str = "", plan: Plan | None = None, problems: tuple[str, ...] = ()
    ) -> SyncState:
        return SyncState(
            source=self._source.name,
            commit=desired.commit.sha,
            branch=desired.branch,
            subject=desired.commit.subject,
            state=state,
            reason=reason,
            created=plan.created if plan else (),
            updated=plan.updated if plan else (),
            deleted=plan.deleted if plan else (),
            diffs=self._diffs.of(self._source.repository, desired, plan) if plan else (),
            drift=plan.drifted if plan else (),
            problems=problems,
            at=time.time(),
            daemon=self._daemon,
        )

    def _answer(self, request: control.Request, look: Look) -> Look:
        """Does what was asked for. Returns the look that comes of it."""
        try:
            ok, said, look = self._do(request, look)
        except ServerError:
            raise
        except (LuasprocsError, ValueError) as error:
            ok, said = False, str(error)
        control.answer(self._registry, request, control.Answer(ok, said, self._daemon))
        return look

    def _do(self, request: control.Request, look: Look) -> tuple[bool, str, Look]:
        if request.action == "rollback":
            wanted = request.arguments.get("generation", "")
            outcome = rollback(self._registry, int(wanted) if wanted else None, by=user_at_host())
            self.doubt()
            return (
                True,
                f"rolled back to {outcome.commit[:12]}, generation {outcome.generation}",
                self._look(forced=False),
            )
        if request.action == "fetch":
            self._source.refresh()
        look = self._look(forced=request.action == "sync")
        ok = look.state.state == State.SYNCED
        return ok, look.summary or look.state.reason or str(look.state.state), look

    def _publish(self, look: Look) -> None:
        """Tells readers, if there is news. One who waits doesn't speak over one who is in sync."""
        state = look.state
        if state.said == self._published:
            return
        waits = state.state in {State.BEHIND, State.UNKNOWN, State.DIVERGED}
        last = read_sync_state(self._registry) if waits else None
        if last is None or last.daemon == self._daemon or last.state != State.SYNCED:
            publish(self._registry, state)
        self._published = state.said


def summary(outcome: Outcome) -> str:
    """In a line."""
    plan = outcome.plan
    what = f"{len(plan.created)} created, {len(plan.updated)} updated, {len(plan.deleted)} deleted"
    return f"{outcome.commit[:10]} as generation {outcome.generation}: {what} ({outcome.duration_ms} ms)"


def _many(error: ProblemsError) -> str:
    first, more = error.problems[0], len(error.problems) - 1
    return f"{first}" + (f" (and {more} more)" if more else "")
