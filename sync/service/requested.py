"""What a request to a daemon is held against: the generation that it was made on, and its deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.codes import RequestRefusal
from luasprocs.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.registry.history import Generation
    from luasprocs.registry.live import Live
    from luasprocs.state.requests import Request


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
