"""Repairs that don't last: what comes back again and again is left as it is until that ends, or somebody syncs."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from luasprocs.contract.codes import DesiredState
from luasprocs.engine import VERSION
from luasprocs.language.values import some_of
from luasprocs.registry.history import last_repairs
from luasprocs.registry.reload import only_engine

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from luasprocs.registry.history import Repair
    from luasprocs.registry.live import Live
    from luasprocs.registry.plan import Plan
    from luasprocs.server.registry import Registry

LIMIT = 3
WITHIN_S = 60.0
ENGINE_WITHIN_S = 600.0
"""Of builds that replace each other's engine: each notices the other's only when it looks, which may be minutes later."""


class Repairs:
    """What was repaired lately, by name. After LIMIT times within a span no more, until nothing stirs for as long."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._at_s: dict[str, deque[float]] = {}
        self._stirred_s = 0.0

    def made(self, things: Collection[str]) -> None:
        """Counts a repair of these."""
        self._stirred_s = now_s = time.monotonic()
        self._at_s = {thing: at for thing, at in self._at_s.items() if now_s - at[-1] < self._within_s}
        for thing in things:
            self._at_s.setdefault(thing, deque(maxlen=LIMIT)).append(now_s)

    def stirred(self) -> None:
        """What was repaired may have been changed again just now."""
        self._stirred_s = time.monotonic()

    def stopped(self, things: Collection[str]) -> bool:
        """Whether to leave these: each was repaired too often. If one was not, all are worth a repair."""
        if time.monotonic() - self._stirred_s >= self._within_s:
            self.forget()
        return bool(things) and all(self._often(thing) for thing in things)

    def forget(self) -> None:
        """Begins anew."""
        self._at_s.clear()

    def _often(self, thing: str) -> bool:
        at = self._at_s.get(thing)
        return at is not None and len(at) == LIMIT and at[-1] - at[0] < self._within_s


class Recurrence:
    """The repairs of what git, or a rollback, wants to be live: all daemons' of a commit, by the history; of saved files and of
    engines this daemon's own, as those leave no trace there.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry, self._heard_s = registry, -WITHIN_S
        self._engines = Repairs(ENGINE_WITHIN_S)
        self._others = Repairs(WITHIN_S)
        self._wanted: object = None
        self._repairs = False

    def looks(self, wanted: object) -> None:
        """What is wanted now. What is done for the sake of something new is no repair."""
        self._repairs = wanted == self._wanted
        if not self._repairs:
            self._others.forget()
        self._wanted = wanted

    def heard(self) -> None:
        """Somebody has changed the registry."""
        self._heard_s = time.monotonic()
        self._others.stirred()

    def forget(self) -> None:
        """Somebody wants it to go on."""
        self._engines.forget()
        self._others.forget()

    def made(self, live: Live, plan: Plan, *, same: bool) -> None:
        """Counts a plan that was carried out, if it was a repair. `same`: of the commit that was live, as the history says."""
        if foreign := _foreign_engine(live, plan):
            self._engines.made((foreign,))
        elif self._repairs and not same:
            self._others.made(plan.healed(same=True))

    def stops(self, live: Live, plan: Plan, *, same: bool) -> tuple[DesiredState, str] | None:
        """The state to be in instead of carrying out a plan, and why; None: nothing speaks against it. `same`: see `made`.

        Raises:
            redis.RedisError: the history can't be read.
        """
        if foreign := _foreign_engine(live, plan):
            if not self._engines.stopped((foreign,)):
                return None
            self._engines.stirred()
            return DesiredState.ENGINE_DIFFERS, (
                f"another luasprocs of the same engine version {VERSION} has replaced the engine {LIMIT} times within "
                "ten minutes: run one build everywhere, then luasprocs sync"
            )
        things = plan.healed(same=True)
        if not (self._stopped_by_all(things) if same else self._others.stopped(things)):
            return None
        return DesiredState.FLAPPING, (
            f"repaired {LIMIT} times within a minute, and changed again each time: {some_of(things)}; it stays as it is until "
            "nobody has written to the registry for a minute, or somebody syncs"
        )

    def _stopped_by_all(self, things: Collection[str]) -> bool:
        """As `Repairs.stopped`, of the repairs of all daemons since somebody else has made a generation."""
        if not things:
            return False
        now_ms, repairs = last_repairs(self._registry)
        quiet_s = min(time.monotonic() - self._heard_s, (now_ms - repairs[0].at_ms) / 1000 if repairs else WITHIN_S)
        return quiet_s < WITHIN_S and all(_often(thing, repairs) for thing in things)


def _often(thing: str, repairs: Sequence[Repair]) -> bool:
    """Of repairs, the newest first."""
    at_ms = [one.at_ms for one in repairs if thing in one.healed][:LIMIT]
    return len(at_ms) == LIMIT and at_ms[0] - at_ms[-1] < WITHIN_S * 1000


def _foreign_engine(live: Live, plan: Plan) -> str:
    """The engine of another build, if that is all that is to be replaced."""
    return live.about.text_id if live.about and only_engine(live, plan) else ""
