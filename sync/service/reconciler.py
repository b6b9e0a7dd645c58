"""Reconciles one registry with one source. Blocking; a daemon calls it in a thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from luasprocs.contract.codes import DesiredState
from luasprocs.errors import (
    ConflictError,
    LuasprocsError,
    NotKeptError,
    ProblemsError,
    RepositoryError,
    ServerError,
    SettingsError,
)
from luasprocs.language.values import some_of
from luasprocs.registry.live import read_live, reread
from luasprocs.runtime.log import log
from luasprocs.state.desired import SyncState
from sync.git.worktree import PATIENCE_S
from sync.reconcile.decision import GOES_ON, Decision, decide
from sync.reconcile.desired import WORKTREE
from sync.reconcile.desired_sprocs import errors_in
from sync.reconcile.left import read_left
from sync.reconcile.pending_diffs import Diffs
from sync.reconcile.syncer import Options, Prepared, Syncer
from sync.service.edit_committer import EditCommitter
from sync.service.facts import contained_by, read_facts
from sync.service.fetching import Fetches
from sync.service.publisher import Publisher
from sync.service.reconciliation import Reconciliation, first_of, kept_out, summary
from sync.service.repairs import Recurrence
from sync.service.requested import Requested

if TYPE_CHECKING:
    from luasprocs.registry.live import Live
    from luasprocs.registry.plan import Plan
    from luasprocs.registry.revision import Revision
    from luasprocs.server.registry import Registry
    from sync.reconcile.desired import Desired
    from sync.service.rules import Rules
    from sync.service.sources import Source

LIFTABLE = (DesiredState.BEHIND, DesiredState.DIVERGED, DesiredState.UNKNOWN, DesiredState.PINNED)
"""The states that an operator's `sync` overrides."""


class Reconciler:
    """Remembers what it saw, so that reconciling is cheap if nothing is new.

    Raises, from every method, ServerError and redis.RedisError: the server can't be asked.
    """

    def __init__(self, registry: Registry, source: Source, rules: Rules, daemon: str) -> None:
        self.registry, self._source, self._rules, self._daemon = registry, source, rules, daemon
        self._edits = EditCommitter(registry, source, rules)
        self._publisher = Publisher(registry, daemon)
        self._diffs = Diffs(registry)
        self._live: Live | None = None
        self._doubts = 0
        self._contained: frozenset[str] | None = None
        self._branch = ""
        self._refused: tuple[str, int, SyncState] | None = None
        self._recurrence = Recurrence(registry)
        self.applying = False
        self._moving_since_s = 0.0
        self._fetches = Fetches()
        self._requested = Requested(registry, daemon, remote=source.remote)
        self._left: tuple[Revision, Desired | None] | None = None

    @property
    def asks_git(self) -> bool:
        """Whether git is being waited for."""
        return self._source.repository.git.asked

    def doubt(self) -> None:
        """Reads the whole registry next time: what is known of it, or is being read right now, may be wrong."""
        self._doubts += 1
        self._live = None

    def heard(self, keys: list[bytes] | None) -> bool:
        """Keys of the registry changed, None: perhaps all. Returns whether to reconcile: not after its own writes."""
        if self.applying:
            return False
        home = self.registry.home.keys
        asked = {home.control.encode(), home.suspended.encode()}
        if keys is None or not asked.issuperset(keys):
            self._recurrence.heard()
            self.doubt()
        return True

    def reconcile(self, fetches: Fetches) -> Reconciliation:
        """Applies what may be applied, answers requests, and publishes the resulting state. `fetches`: what is known of them."""
        self._fetches = fetches
        # Requests before anything of its own makes another generation.
        done = self._requested.answer(fetches, self._asked) or self._reconcile()
        if fetches.late and done.failing != "redis":
            done = done.without_fetch(fetches.late)
        if done.elsewhere is None:
            self._publisher.publish(done.state)
        else:
            self._publisher.withdraw()
        return done

    def wants_fetch(self, fetches: Fetches) -> bool:
        """Whether a request waits for a fetch that has not begun."""
        return self._requested.wants_fetch(fetches)

    def _asked(self, forced: bool) -> Reconciliation:
        self.doubt()
        if forced:
            self._recurrence.forget()
        return self._reconcile(forced=forced)

    def _reconcile(self, *, forced: bool = False) -> Reconciliation:
        try:
            desired = self._source.desired()
        except (RepositoryError, SettingsError) as error:
            failed = Reconciliation.failed("git", str(error))
            return failed._replace(state=failed.state._replace(source=self._source.name, daemon=self._daemon))
        namespace = desired.settings.namespace
        if namespace and namespace != self.registry.keys.namespace:
            why = f"luasprocs.toml says namespace {namespace!r}, which this daemon does not serve: restart it"
            elsewhere = namespace if self._rules.movable else None
            return Reconciliation(self._state(desired, DesiredState.REFUSED, why), elsewhere=elsewhere)
        live = self._read(desired)
        pin = live.revision.pinned, live.revision.held
        self._recurrence.looks((desired.commit.sha, desired.entries, desired.settings, pin))
        decision = self._decide(desired, live)
        if decision.apply and (made := self._edits.commit(desired, live, self._fetches.late)):
            desired, decision = made, self._decide(made, live)
        if forced and decision.state in LIFTABLE:
            decision = Decision(True, DesiredState.APPLYING)
        last = (desired.commit.sha, live.revision.generation)
        if self._refused and not forced and last[0] != WORKTREE and self._refused[:2] == last:
            return Reconciliation.seen(live, self._refused[2])
        return self._again_if_moving(desired.moving, self._apply(desired, live, decision, forced=forced))

    def _read(self, desired: Desired) -> Live:
        """Reads what is live; if nobody has changed it since the last time, by one short command."""
        doubts, last = self._doubts, self._live
        live = (last and reread(self.registry, last)) or read_live(self.registry, len(desired.entries))
        self._live = live if doubts == self._doubts else None  # somebody may have changed it meanwhile
        return live

    def _decide(self, desired: Desired, live: Live) -> Decision:
        if self._source.remote and desired.branch != self._branch:
            # Of a remote's HEAD that is another branch now: where that one was before nobody knows.
            self._contained, self._branch = None, desired.branch
        facts = read_facts(self.registry, self._source, desired, live, self._contained)
        self._contained = contained_by(facts)
        return decide(facts)

    def _again_if_moving(self, moving: str, done: Reconciliation) -> Reconciliation:
        """Files that are being written are checked again soon; if that never ends, the state says so."""
        if not moving:
            self._moving_since_s = 0.0
            return done
        self._moving_since_s = self._moving_since_s or time.monotonic()
        done = done._replace(again=True)
        if time.monotonic() - self._moving_since_s < PATIENCE_S:
            return done
        return done.because(f"{moving} keeps changing: it stays as it was")

    def _apply(self, desired: Desired, live: Live, decision: Decision, *, forced: bool) -> Reconciliation:
        discard, keep = self._rules.live_edits == "revert", decision.apply and not forced
        options = Options(
            policy=self._rules.policy, discard_edits=discard, keep_pin=keep, repair=not forced, attempts=1
        )
        syncer = Syncer(self.registry, self._source.repository, options)
        try:
            prepared = syncer.prepare(desired, live)
        except ServerError:
            raise
        except LuasprocsError as error:
            return self._refuse(desired, live, str(error))
        plan = prepared.plan
        self._edits.look(plan.overtaken)
        if not decision.apply:
            wanted = plan.names_changed if decision.state == DesiredState.SUSPENDED else ()
            if broken := errors_in(self._source.repository, desired, wanted):
                return self._refuse(desired, live, first_of(broken), tuple(map(str, broken)), plan)
            waits = Reconciliation.seen(live, self._state(desired, decision.state, decision.reason, plan))
            return self._mended(live, waits) if decision.state == DesiredState.PINNED else waits
        if prepared.refusal:
            return self._refuse(desired, live, prepared.refusal, plan=plan)
        if prepared.same_commit and plan and not forced and self._rules.heal == "warn":
            why = "the registry was changed by hand: luasprocs sync repairs it, or luasprocs plan shows how"
            return Reconciliation.seen(live, self._state(desired, DesiredState.DRIFT, why, plan))
        if not forced and (stopped := self._recurrence.stops(live, plan, same=prepared.same_commit)):
            return Reconciliation.seen(live, self._state(desired, *stopped, plan))
        return self._sync(syncer, desired, prepared)

    def _mended(self, live: Live, waits: Reconciliation) -> Reconciliation:
        """While a rollback is pinned: puts right what somebody has changed by hand of what it left."""
        try:
            if self._left is None or self._left[0] != live.revision:
                self._left = live.revision, read_left(self._source.repository, live.revision)
            desired = self._left[1]
            if desired is None:
                return waits
            syncer = Syncer(self.registry, self._source.repository, Options(mend=True, repair=True, attempts=1))
            prepared = syncer.prepare(desired, live)
        except ServerError:
            raise
        except (LuasprocsError, ValueError) as error:
            return waits.because(f"what is changed by hand stays: {error}")
        plan = prepared.plan
        if not plan:
            return waits
        if self._rules.heal == "warn":
            return waits.because(f"changed by hand: {some_of(plan.healed(same=True))}")
        if stopped := self._recurrence.stops(live, plan, same=True):
            return Reconciliation.seen(live, self._state(desired, *stopped, plan))
        done = self._sync(syncer, desired, prepared)
        return done._replace(state=waits.state) if done.applied else waits.because(done.state.reason)

    def _sync(self, syncer: Syncer, desired: Desired, prepared: Prepared) -> Reconciliation:
        live = prepared.live
        self.applying = True
        try:
            outcome = syncer.sync(desired, prepared)
        except ProblemsError as error:
            return self._refuse(desired, live, first_of(error.problems), tuple(map(str, error.problems)))
        except ConflictError as error:
            if isinstance(error, NotKeptError):
                self._recurrence.made(live, prepared.plan, same=prepared.same_commit)
            self.doubt()
            return Reconciliation.seen(live, self._state(desired, DesiredState.APPLYING, str(error)))._replace(
                again=True
            )
        except ServerError:
            self.doubt()
            raise
        except LuasprocsError as error:
            return self._refuse(desired, live, str(error))
        finally:
            self.applying = False
        self._refused = None
        for warning in (*outcome.warnings, *(f"replaced the live edit of {name}" for name in outcome.plan.overwritten)):
            log.warning("%s", warning)
        self._contained = (self._contained or frozenset()) | {desired.commit.sha}
        if outcome.changed:
            self._recurrence.made(live, outcome.plan, same=prepared.same_commit)
            self.doubt()
        done = Reconciliation.seen(live, self._stands(desired, prepared))
        same = prepared.same_commit
        return done._replace(
            applied=outcome.changed,
            summary=summary(outcome),
            generation=outcome.generation,
            again=outcome.changed,
            healed=outcome.plan.healed(same=same) if outcome.changed and not live.empty else (),
        )

    def _stands(self, desired: Desired, done: Prepared) -> SyncState:
        """The state after a sync: pinned as long as anything is held, and why live edits wait."""
        plan, waiting = done.plan, self._edits.said()
        if not plan.held:
            return self._state(desired, DesiredState.SYNCED, waiting)
        held = f"a rollback {done.pin} keeps out {some_of(plan.held)}: {GOES_ON}"
        reason = "; ".join(filter(None, (held, waiting)))
        return self._state(desired, DesiredState.PINNED, reason, kept_out(plan, desired, done.live.sprocs))

    def _refuse(
        self, desired: Desired, live: Live, why: str, problems: tuple[str, ...] = (), plan: Plan | None = None
    ) -> Reconciliation:
        state = self._state(desired, DesiredState.REFUSED, why, plan, problems)
        if problems:  # the same files need not be read and compiled again to find the same
            self._refused = (desired.commit.sha, live.revision.generation, state)
        return Reconciliation.seen(live, state)

    def _state(
        self,
        desired: Desired,
        state: DesiredState,
        reason: str = "",
        plan: Plan | None = None,
        problems: tuple[str, ...] = (),
    ) -> SyncState:
        return SyncState(
            source=self._source.name,
            commit=desired.commit.sha,
            branch=desired.branch,
            subject=desired.commit.subject,
            author=desired.commit.author,
            state=state,
            reason=reason,
            created=plan.created if plan else (),
            updated=plan.updated if plan else (),
            deleted=plan.deleted if plan else (),
            diffs=self._diffs.of(self._source.repository, desired, plan) if plan else (),
            drift=plan.drifted if plan else (),
            edits_waiting=tuple(f"{name}: {why}" for name, why in self._edits.waiting.items()),
            problems=problems,
            at=time.time(),
            daemon=self._daemon,
        )
