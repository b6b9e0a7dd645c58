"""How much a sync may remove unasked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from luasprocs.registry.plan import Plan

PRUNE_LIMIT = 0.5
"""The share of live sprocs that a sync may remove unasked."""
PRUNE_FREE = 4
"""So few may go whatever the share: renaming the only sproc is no accident."""


def prune_refusal(plan: Plan, desired: int, live: int, absent: str = "", sync: str = "sync") -> str:
    """Why a plan must not be applied unasked, since it removes more than anybody means to; "" if it may. Pure.

    `desired`, `live`: how many sprocs; `absent`: why there is no sproc folder, if there is none; `sync`: the command.
    """
    if not plan.deleted:
        return ""
    if not desired:
        why = absent or "the commit has no sprocs"
        return f"{why}; {live} are live: {sync} with --prune-all to allow it, or with --no-prune to keep them"
    if len(plan.deleted) > max(PRUNE_FREE, live * PRUNE_LIMIT):
        return (
            f"it would remove {len(plan.deleted)} of {live} sprocs: {sync} with --prune-all to allow it, "
            "or with --no-prune to keep them"
        )
    return ""
