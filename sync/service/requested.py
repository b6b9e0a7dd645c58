"""Requests to a daemon: what each is held against (the generation that it was made on, its deadline), and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from luasprocs.contract.codes import DesiredState, RequestRefusal
from luasprocs.errors import ConflictError, LuasprocsError, ServerError
from luasprocs.operations.identity import user_at_host
from luasprocs.operations.rollback import rollback
from luasprocs.registry.history import read_history
from luasprocs.state import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.registry.history import Generation
    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry
    from luasprocs.state.requests import Request
    from sync.service.fetching import Fetches
    from sync.service.reconciliation import Reconciliation

_LOST = "the {} may or may not have been done, as its daemon lost the server: look with luasprocs history before you ask again"
BY_LIMIT = 200
"""Characters of a name that somebody has written into a request."""


class Requested:
    """Answers the requests that this daemon takes. `remote`: whether its source has to be fetched."""

    def __init__(self, registry: Registry, daemon: str, *, remote: bool) -> None:
        self._registry, self._daemon, self._remote = registry, daemon, remote
        self._fetch_for: dict[str, int] = {}
        self._unsent: dict[str, requests.Answer] = {}
        self._lost: set[str] = set()

    def answer(self, fetches: Fetches, reconcile: Callable[[bool], Reconciliation]) -> Reconciliation | None:
        """Carries out what still holds. Returns the last reconciliation, if there was one.

        `reconcile` takes whether it is forced. A request for a fetch is not answered before a fetch that began after it has
        ended; until then it comes again each time.
        """
        done: Reconciliation | None = None
        taken = requests.take(self._registry, self._daemon)
        ids = {one.id for one in taken}
        self._unsent = {one: given for one, given in self._unsent.items() if one in ids}
        self._lost &= ids
        for request in taken:
            done = self._answer(request, fetches, reconcile) or done
        return done

    def wants_fetch(self, fetches: Fetches) -> bool:
        """Whether one waits for a fetch that has not begun."""
        return any(number > fetches.begun for number in self._fetch_for.values())

    def _answer(
        self, request: Request, fetches: Fetches, reconcile: Callable[[bool], Reconciliation]
    ) -> Reconciliation | None:
        done, given = None, self._unsent.get(request.id)
        if given is None:
            given, done = self._given(request, fetches, reconcile)
        if given is not None:
            self._unsent[request.id] = given  # what was done is not judged again if this can't be sent
            requests.answer(self._registry, request, given)
        return done

    def _given(
        self, request: Request, fetches: Fetches, reconcile: Callable[[bool], Reconciliation]
    ) -> tuple[requests.Answer | None, Reconciliation | None]:
        """The answer, None for none yet."""
        now_ms, generation = requests.now_and_generation(self._registry)
        if refusal := request.refused(now_ms, generation):
            self._fetch_for.pop(request.id, None)
            if request.left or request.id in self._lost:
                return requests.Answer(False, _LOST.format(request.action), self._daemon), None
            said = refusal_text(refusal, request, read_history(self._registry, 1), now_ms)
            return requests.Answer(False, said, self._daemon, refusal), None
        if request.action == "fetch" and not self._fetched_for(request.id, fetches):
            return None, None
        done = None
        try:
            ok, said, done = self._do(request, fetches, reconcile)
        except (ServerError, RedisError):
            self._lost.add(request.id)
            raise
        except (LuasprocsError, ValueError) as error:
            ok, said = False, str(error)
        return requests.Answer(ok, said, self._daemon), done

    def _fetched_for(self, request_id: str, fetches: Fetches) -> bool:
        """Whether a fetch has ended that began after this request came."""
        if not self._remote:
            return True
        if fetches.ended < self._fetch_for.setdefault(request_id, fetches.begun + 1):
            return False
        del self._fetch_for[request_id]
        return True

    def _do(
        self, request: Request, fetches: Fetches, reconcile: Callable[[bool], Reconciliation]
    ) -> tuple[bool, str, Reconciliation | None]:
        if request.action == "rollback":
            wanted, why = request.arguments.get("generation", ""), request.arguments.get("why", "")
            by = request.by[:BY_LIMIT] or user_at_host()
            outcome = rollback(self._registry, int(wanted) if wanted else None, by=by, why=why, check=still(request.on))
            return True, f"rolled back to {outcome.commit[:12]}, generation {outcome.generation}", reconcile(False)
        if request.action == "fetch" and fetches.late:
            return False, fetches.late, None
        done = reconcile(request.action == "sync")
        ok = done.state.state == DesiredState.SYNCED
        return ok, done.summary or done.state.reason or str(done.state.state), done


def still(generation: int) -> Callable[[Live], None]:
    """A check that this generation is live."""

    def check(live: Live) -> None:
        if live.revision.generation != generation:
            raise ConflictError(f"generation {live.revision.generation} came meanwhile: see luasprocs history")

    return check


def refusal_text(refusal: RequestRefusal, request: Request, newest: Sequence[Generation], now_ms: int) -> str:
    """A refusal as a sentence."""
    if refusal == RequestRefusal.EXPIRED:
        late_s = (now_ms - request.deadline_ms) // 1000
        late = f"its time ended {late_s} s ago" if request.deadline_ms else "it says no deadline"
        return f"the {request.action} has expired ({late}): nothing was done; ask again"
    last = newest[0] if newest else None
    what = f"{last.action}, generation {last.generation} by {last.applied_by}" if last else "another generation"
    return f"the {request.action} was overtaken by {what}: nothing was done; check luasprocs history, then ask again"
