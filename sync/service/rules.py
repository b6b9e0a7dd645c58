"""How a host wants its daemon to reconcile."""

from __future__ import annotations

from dataclasses import dataclass

from sync.reconcile.policy import ANY, Policy


@dataclass(frozen=True, slots=True)
class Rules:
    """`heal`: auto or warn; `policy`: which commits are taken; `live_edits`: commit, keep or revert, None: commit if that is
    possible, else keep. `movable`: if git says another namespace than the one that is served, that one is served.
    """

    heal: str = "auto"
    policy: Policy = ANY
    live_edits: str | None = None
    movable: bool = False
