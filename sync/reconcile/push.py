"""What hooks do when somebody pushes: refuse what would break, make live what was taken.

Only the followed branch matters: `branch` of the host's settings, else HEAD.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.errors import EngineVersionError, OwnerError, ProblemsError, PruneError, RepositoryError, ServerError
from luasprocs.registry.history import read_history
from luasprocs.registry.plan import SyncOutcome
from luasprocs.server.connection import errors_named
from luasprocs.server.fleet import open_registry
from luasprocs.state.desired import read_suspended
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.desired_sprocs import libraries_among, problems_in, read_sprocs
from sync.reconcile.policy import Policy
from sync.reconcile.syncer import Options, Prepared, Syncer
from sync.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from luasprocs.errors import Problem
    from sync.reconcile.desired import Desired

PATIENCE_S = 3.0
_HASTY = {"socket_timeout": PATIENCE_S, "socket_connect_timeout": PATIENCE_S}
"""How long a hook waits for a server that says nothing: whoever pushes waits with it."""
PRUNE_ALL = "prune-all"
"""The push option: `git push -o prune-all`."""
_LINE = re.compile(rb"([0-9a-f]{40,64}) ([0-9a-f]{40,64}) (refs/.+)")
_NOTHING = re.compile("0+")


class Update(NamedTuple):
    """One ref that a push moves. `old`, `new`: object ids, "" for none."""

    old: str
    new: str
    ref: str


class Verdict(NamedTuple):
    """`refusal`: why the push must not be taken, or ""; `problems`: of its sprocs; `unsure`: why Redis could not be asked."""

    refusal: str = ""
    problems: tuple[Problem, ...] = ()
    unsure: str = ""


def read_updates(given: bytes) -> list[Update]:
    """What git tells `pre-receive` and `post-receive` on standard input.

    Raises:
        RepositoryError: that isn't it.
    """
    updates = []
    for line in given.splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise RepositoryError(f"{line!r} is not a ref update: only git should start this hook")
        old, new = ("" if _NOTHING.fullmatch(one.decode()) else one.decode() for one in found.groups()[:2])
        updates.append(Update(old, new, os.fsdecode(found[3])))
    return updates


class Applied(NamedTuple):
    """What became live. `by`: who was first, where it was somebody else (a daemon, mostly); else ""."""

    outcome: SyncOutcome
    by: str = ""


class Receiver:
    """A push into the repository that git started this hook in.

    Raises:
        RepositoryError, SettingsError: the repository or the host's settings can't be read.
    """

    def __init__(self, flags: Mapping[str, object], environ: Mapping[str, str]) -> None:
        self._session = Session(flags)
        # By git's own variables: new objects are in quarantine while a push is judged.
        self.repository = Repository.open(None, quick=True)
        self.branch = self._session.settings.branch or self.repository.branch
        self._judged: Desired | None = None
        prune_all, policy = PRUNE_ALL in push_options(environ), Policy.of(self._session.settings)
        self._options = Options(prune_all=prune_all, policy=policy, keep_pin=True)

    def taken(self) -> None:
        """Git has taken the push that this one has judged, and its objects are where the others are."""
        self.repository = self.repository.again()

    def of_branch(self, updates: Iterable[Update]) -> Update | None:
        """The update of the followed branch, if there is one."""
        return next((update for update in updates if self.branch and update.ref == f"refs/heads/{self.branch}"), None)

    def judge(self, update: Update) -> Verdict:
        """Whether the branch may move there. Redis may be gone: then only the files and signatures are judged."""
        desired = self._judged = read_commit(self.repository, update.new)
        try:
            with errors_named(self._session.url):
                syncer = self._syncer(desired, **_HASTY)
                prepared = syncer.prepare(desired)
                whole = bool(desired.entries) and syncer.loses_libraries(prepared.plan)
                problems = self._problems(desired, desired.entries if whole else prepared.plan.names_changed)
                if not problems and not prepared.refusal:
                    sprocs = read_sprocs(self.repository, desired, prepared.plan.names_changed)
                    syncer.check_functions(desired, prepared, sprocs)
        except (ServerError, OwnerError, EngineVersionError) as error:
            against = self._options.policy.refusal(self.repository, desired.commit, update.old, desired.folder)
            return Verdict(against, self._problems(desired, self._changed(desired, update.old)), str(error))
        except ProblemsError as error:
            return Verdict(problems=error.problems)
        return Verdict(_refusal(prepared), problems)

    def apply(self) -> Applied | str:
        """Makes live what the branch is now. Returns what was done, or why nothing was, in a sentence.

        Raises:
            LuasprocsError: it could not.
        """
        desired = read_commit(self.repository, f"refs/heads/{self.branch}", self._judged)
        with self._session.named_errors():
            self._syncer(desired, **_HASTY).registry.client.ping()
            syncer = self._syncer(desired)
            if suspended := read_suspended(syncer.registry):
                return f"nothing was made live: the sync is suspended {suspended} (luasprocs unsuspend)"
            outcome = syncer.sync(desired)
            return Applied(outcome) if outcome.changed else _by_others(syncer, outcome)

    def _syncer(self, desired: Desired, **connection: Any) -> Syncer:
        named = self._session.settings.namespace
        namespace = desired.settings.namespace if named is None else named
        return Syncer(open_registry(self._session.url, namespace, **connection), self.repository, self._options)

    def _changed(self, desired: Desired, old: str) -> Iterable[str]:
        """Names whose files are others than in the commit before, where that is known."""
        if not old or not self.repository.knows(old):
            return desired.entries
        before = read_commit(self.repository, old)
        same = (before.settings, before.folder) == (desired.settings, desired.folder)
        if not same or before.entries.keys() - desired.entries.keys():  # others may require what is gone
            return desired.entries
        changed = [name for name, blob in desired.entries.items() if before.entries.get(name) != blob]
        return desired.entries if libraries_among(self.repository, before, changed) else changed

    def _problems(self, desired: Desired, names: Iterable[str]) -> tuple[Problem, ...]:
        found = {*desired.problems, *problems_in(self.repository, desired, names)}
        return tuple(sorted(one for one in found if one.kind != "warning"))


def push_options(environ: Mapping[str, str]) -> list[str]:
    """The `-o` of `git push`, as git hands them to its hooks."""
    count = environ.get("GIT_PUSH_OPTION_COUNT", "")
    return [environ.get(f"GIT_PUSH_OPTION_{number}", "") for number in range(int(count) if count.isdecimal() else 0)]


def reason(error: Exception) -> str:
    """An error of `apply` for those who push, who can't give `sync` options."""
    return f"{error}; {_PUSH_HINT}" if isinstance(error, PruneError) else str(error)


_PUSH_HINT = f"or push with -o {PRUNE_ALL}"


def _refusal(prepared: Prepared) -> str:
    hint = f"; {_PUSH_HINT}" if prepared.refusal and not prepared.forbidden else ""
    return prepared.refusal + hint


def _by_others(syncer: Syncer, outcome: SyncOutcome) -> Applied:
    """A daemon may have been first: then what it did is what there is to tell."""
    for entry in read_history(syncer.registry, 1):
        if (entry.generation, entry.commit) == (outcome.generation, outcome.commit):
            created, updated, deleted = (
                tuple(sorted(names)) for names in (entry.created, entry.updated, entry.deleted)
            )
            unchanged = outcome.plan.unchanged - len(created) - len(updated)
            plan = outcome.plan._replace(created=created, updated=updated, deleted=deleted, unchanged=unchanged)
            return Applied(outcome._replace(plan=plan, changed=True), entry.applied_by)
    return Applied(outcome)
