"""From a commit to a live registry: read both, compare, apply.

git commit -> Desired -> Plan -> Change -> MULTI -> registry
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.codes import Action
from luasprocs.contract.encoding import raw, text
from luasprocs.errors import ConflictError, NoFolderError, PolicyError, ProblemsError, PruneError
from luasprocs.language.header import warnings_in
from luasprocs.language.metadata import says_yes
from luasprocs.operations.identity import user_at_host
from luasprocs.registry.apply import apply, check_owner
from luasprocs.registry.functions import problems_of, require_free
from luasprocs.registry.live import Live, engine_of, read_live
from luasprocs.registry.pins import NO_PIN, Pin, pin_of
from luasprocs.registry.plan import Plan, SyncOutcome, diff
from luasprocs.registry.reload import only_engine, reload_engine
from luasprocs.registry.scripts import load_scripts
from luasprocs.registry.shards import enter, repairs_of
from luasprocs.registry.shards_compile import prove_on_shards
from luasprocs.registry.transaction import Change
from luasprocs.server.info import require_usable
from luasprocs.server.registry import Registry
from sync.git.pusher import who_pushed
from sync.reconcile.desired import WORKTREE
from sync.reconcile.desired_sprocs import check_sprocs, each_sproc
from sync.reconcile.desired_sprocs import read_sprocs as read_desired
from sync.reconcile.left import as_left
from sync.reconcile.ownership import owner_of
from sync.reconcile.policy import ANY, Policy
from sync.reconcile.prune import prune_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.server_compile import Proof
    from sync.git.commits import Commit
    from sync.git.repository import Repository
    from sync.reconcile.desired import Desired

ATTEMPTS = 5
"""How often a sync plans again because another one was first."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a sync may do beside its main job, and which commits it takes. `keep_pin`: what a rollback keeps out stays out.

    `mend`: only what somebody has changed by hand is put right, all else stays as it is. `repair`: nobody has asked for it.
    `attempts`: how often it plans again because another one was first; who decides by what is live takes 1.
    """

    prune: bool = True
    prune_all: bool = False
    adopt: bool = False
    policy: Policy = ANY
    discard_edits: bool = False
    keep_pin: bool = False
    mend: bool = False
    repair: bool = False
    attempts: int = ATTEMPTS


class Prepared(NamedTuple):
    """A plan with what it was made from. `refusal`: why no sync applies it, or ""; `forbidden`: the host's policy says so.

    `desired`: what it is about, with what a rollback left of the sprocs that it keeps out, if that is to be put right.
    `pin`: what a rollback keeps out after it; `mend`: the pin stays as it is.
    """

    desired: Desired
    live: Live
    plan: Plan
    owner: str
    refusal: str = ""
    forbidden: bool = False
    pin: Pin = NO_PIN
    mend: bool = False

    @property
    def pinned(self) -> str:
        """The commit that a rollback left, as long as anything of it is kept out."""
        return self.live.revision.pinned if self.pin.blobs or self.mend else ""

    @property
    def same_commit(self) -> bool:
        """Whether git wants what was applied, so that what differs was changed by hand."""
        return self.live.revision.commit == self.desired.commit.sha != WORKTREE and not self.repins

    @property
    def repins(self) -> bool:
        """Whether the pin changes: then not all that is done puts right what somebody changed by hand."""
        return (self.live.revision.pinned, self.live.revision.held) != (self.pinned, self.held)

    @property
    def held(self) -> str:
        """The pin as `Revision` keeps it."""
        if self.mend or self.pin == pin_of(self.live.revision):
            return self.live.revision.held
        return self.pin.stored() if self.pin.blobs else ""


@dataclass(frozen=True, slots=True)
class Syncer:
    """A repository and the registry that it is kept in. `progress` hears how many sprocs of how many were compiled."""

    registry: Registry
    repository: Repository
    options: Options = Options()
    progress: Callable[[int, int], None] = lambda done, total: None

    def prepare(self, desired: Desired, live: Live | None = None) -> Prepared:
        """Reads what is live in one round trip, unless that is given, and compares. Writes nothing.

        Raises:
            ServerError, OwnerError, EngineVersionError: the server or the registry can't take this repository's sprocs, or
            its functions' names are taken.
            NoFolderError: there is no sproc folder, and never was.
        """
        live = live or read_live(self.registry, len(desired.entries))
        for one in (live, *live.siblings):
            require_usable(one.info, writes=True)
        owner, may_take = self._owner(live, desired)
        check_owner(live, self.registry.keys, owner, adopt=may_take)
        for shard, its in zip((self.registry, *self.registry.siblings), (live, *live.siblings), strict=True):
            if its.about is None:
                require_free(shard, adopt=self.options.adopt)
        if desired.absent and live.empty:
            raise NoFolderError(desired.absent)
        repairs = repairs_of(self.registry, live, owner)
        again = live.revision.defaults != _defaults_of(desired)
        before = pin_of(live.revision) if self.options.keep_pin or self.options.mend else NO_PIN
        pin = before if self.options.mend else before.only(before.held(desired.entries))
        broken = pin.broken(live.sprocs)
        desired = as_left(self.registry, desired, broken)
        held = pin.blobs.keys() - broken.keys()
        if self.options.mend:
            held |= {name for name, sproc in live.sprocs.items() if sproc.intact}
        plan = diff(
            desired.entries,
            live.sprocs,
            prune=self.options.prune,
            again=again,
            discard_edits=self.options.discard_edits,
            held=held,
        )
        plan = plan._replace(repairs=repairs, held=tuple(sorted({*plan.held, *broken})))
        if against := self.options.policy.refusal(
            self.repository, desired.commit, live.revision.commit, desired.folder
        ):
            return Prepared(desired, live, plan, owner, against, forbidden=True, pin=pin)
        command = "sync --worktree" if desired.commit.sha == WORKTREE else "sync"
        refusal = prune_refusal(plan, len(desired.entries), len(live.sprocs), desired.absent, command)
        pruned = "" if self.options.prune_all else refusal
        return Prepared(desired, live, plan, owner, pruned, pin=pin, mend=self.options.mend)

    def sync(self, desired: Desired, prepared: Prepared | None = None) -> SyncOutcome:
        """Makes the registry equal to `desired`, as `prepared`; plans again when another sync was first.

        Raises:
            ProblemsError: sprocs are broken; nothing was applied. PolicyError, PruneError, OwnerError, ServerError: see there.
            ConflictError: others kept changing the registry.
        """
        started = time.monotonic()
        for attempt in range(self.options.attempts):
            prepared = prepared or self.prepare(desired)
            plan, live = prepared.plan, prepared.live
            if prepared.refusal:
                error = PolicyError if prepared.forbidden else PruneError
                raise error(f"nothing was synced: {prepared.refusal}")
            try:
                generation, warnings = self._apply(prepared)
            except ConflictError:
                if attempt == self.options.attempts - 1:
                    raise
                time.sleep(0.02 * 2**attempt)
                prepared = None
                continue
            load_scripts(self.registry, live.needs)
            changed = generation != live.revision.generation or bool(plan)
            pin = str(prepared.pin) if plan.held else ""
            return SyncOutcome(desired.commit.sha, generation, plan, changed, _since_ms(started), pin, warnings)
        raise AssertionError("unreachable")

    def _owner(self, live: Live, desired: Desired) -> tuple[str, bool]:
        """The owner to write, and whether the registry may be taken without asking."""
        configured, commit = desired.settings.owner, desired.commit
        if self.options.adopt:
            return configured or self.repository.identity(commit).id, True
        owner = owner_of(self.repository, live, configured, commit)
        about = live.about
        place = (owner, str(live.info.db), self.registry.keys.namespace)
        if live.revision.owner == owner and (about is None or (about.owner, about.db, about.namespace) == place):
            return owner, False  # it is: there is nothing to take
        known = not configured and bool(live.revision.commit) and self.repository.knows(live.revision.commit)
        return owner, known and (about is None or about.db == str(live.info.db))

    def _apply(self, prepared: Prepared) -> tuple[int, tuple[str, ...]]:
        """The generation that is live afterwards, and what is odd about the sprocs put."""
        desired, live, plan, revision = prepared.desired, prepared.live, prepared.plan, prepared.live.revision
        same = (revision.commit, revision.owner) == (desired.commit.sha, prepared.owner) and not prepared.repins
        if same and not plan and not plan.undone:
            enter(self.registry, revision.generation)
            return revision.generation, ()
        if same and only_engine(live, plan):
            reload_engine(self.registry, live, engine_of(live, self.registry.keys, prepared.owner))
            return revision.generation, ()
        proof = self._prove(prepared)
        check_sprocs(self.repository, desired, proof.sprocs, syntax=False)
        if self.loses_libraries(plan):
            check_sprocs(
                self.repository, desired, read_desired(self.repository, desired, desired.entries), syntax=False
            )
        put = {sproc.name for sproc in proof.sprocs}
        names = (desired.entries.keys() - set(plan.held)) | put if plan.held else desired.entries.keys()
        stay = live.sprocs.keys() - names if not self.options.prune else live.sprocs.keys() & {*plan.held, *plan.edited}
        stay -= {*plan.deleted}
        same_commit = prepared.same_commit
        healed = () if live.empty else plan.healed(same=same_commit)
        change = Change(
            commit=desired.commit.sha,
            branch=desired.branch,
            owner=prepared.owner,
            author=desired.commit.author,
            subject=desired.commit.subject,
            applied_by=_applied_by(self.repository, desired.commit),
            put=proof.sprocs,
            deleted=plan.deleted,
            names=tuple(sorted({*names, *stay})),
            adopt=True,  # prepare has checked the owner
            pinned=prepared.pinned,
            held=prepared.held,
            defaults=_defaults_of(desired),
            action=Action.HEAL if self.options.repair and same_commit and healed else Action.SYNC,
            healed=healed,
            generations_kept=desired.settings.keep_generations,
        )
        try:
            generation = apply(self.registry, live, change, proof=proof).generation
        except ProblemsError as error:  # it knows names, not files
            raise ProblemsError(one._replace(path=desired.path(one.path)) for one in error.problems) from error
        return generation, tuple(
            str(one) for put in proof.sprocs for one in warnings_in(put.source, desired.path(put.name))
        )

    def _prove(self, prepared: Prepared) -> Proof:
        """Reads what changes while the server compiles it."""
        desired, names = prepared.desired, prepared.plan.names_changed
        proof = prove_on_shards(
            self.registry,
            prepared.live,
            prepared.owner,
            each_sproc(self.repository, desired, names),
            lambda done: self.progress(done, len(names)),
            adopt=self.options.adopt,
        )
        if proof.problems:  # says the same with paths and columns
            check_sprocs(self.repository, desired, proof.sprocs)
        return proof

    def check_functions(self, desired: Desired, prepared: Prepared, put: Sequence[Sproc]) -> None:
        """Asks the server whether it has functions with the names that these sprocs want.

        Raises:
            ProblemsError: another sproc or library has them.
        """
        if found := list(problems_of(self.registry, prepared.live, put, prepared.plan.deleted)):
            raise ProblemsError(one._replace(path=desired.path(one.path)) for one in found)

    def loses_libraries(self, plan: Plan) -> bool:
        """Whether sprocs that don't change may require one that does."""
        pipe = self.registry.client.pipeline(transaction=False)
        for name in (*plan.deleted, *plan.updated):
            pipe.hget(raw(self.registry.keys.name(name)), "library")
        replies = pipe.execute(raise_on_error=False)
        return any(says_yes({"library": text(reply)}, "library") for reply in replies if isinstance(reply, bytes))


def _applied_by(repository: Repository, commit: Commit) -> str:
    """Who makes it live, behind who pushed it, where that is known and is somebody else."""
    own, who = user_at_host(), who_pushed(repository.git_folder, commit.sha)
    return f"{who}, by push to {own}" if who and who != own.partition("@")[0] else own


def _defaults_of(desired: Desired) -> str:
    return json.dumps(dict(desired.settings.defaults), sort_keys=True) if desired.settings.defaults else ""


def _since_ms(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
