"""Repairs that don't last: what comes back again and again is left as it is until that ends. Pure but for the clock."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from luasprocs.contract.codes import DesiredState
from luasprocs.engine import VERSION
from luasprocs.language.values import some_of
from luasprocs.registry.reload import only_engine

if TYPE_CHECKING:
    from collections.abc import Collection

    from luasprocs.registry.live import Live
    from luasprocs.registry.plan import Plan

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
    """The repairs that one daemon has made of what git, or a rollback, wants to be live."""

    def __init__(self) -> None:
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
        self._others.stirred()

    def forget(self) -> None:
        """Somebody wants it to go on."""
        self._engines.forget()
        self._others.forget()

    def made(self, live: Live, plan: Plan) -> None:
        """Counts a plan that was carried out, if it was a repair."""
        if foreign := _foreign_engine(live, plan):
            self._engines.made((foreign,))
        elif self._repairs:
            self._others.made(plan.healed(same=True))

    def stops(self, live: Live, plan: Plan) -> tuple[DesiredState, str] | None:
        """The state to be in instead of carrying out a plan, and why; None: nothing speaks against it."""
        if foreign := _foreign_engine(live, plan):
            if not self._engines.stopped((foreign,)):
                return None
            self._engines.stirred()
            return DesiredState.ENGINE_DIFFERS, (
                f"another luasprocs of the same engine version {VERSION} has replaced the engine {LIMIT} times within "
                "ten minutes: run one build everywhere, then luasprocs sync"
            )
        things = plan.healed(same=True)
        if not self._others.stopped(things):
            return None
        return DesiredState.FLAPPING, (
            f"repaired {LIMIT} times within a minute, and changed again each time: {some_of(things)}; it stays as it is until "
            "nobody has written to the registry for a minute"
        )


def _foreign_engine(live: Live, plan: Plan) -> str:
    """The engine of another build, if that is all that is to be replaced."""
    return live.about.text_id if live.about and only_engine(live, plan) else ""
