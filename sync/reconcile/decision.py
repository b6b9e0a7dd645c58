"""Whether a daemon applies what git wants, or waits. Pure.

It goes forward by itself, never backwards, and two daemons that disagree don't take turns: what is live is only replaced
by a commit that descends from it, by one that this daemon's branch has left it for, or by itself (drift).
"""

from __future__ import annotations

from dataclasses import dataclass

from luasprocs.contract.codes import DesiredState


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when git wants `wanted` and `live` is applied (commits; "" where nothing is).

    `moved`: this daemon's branch contained `live`, and does no longer: its history was rewritten; `known`: the repository has
    `live`; `ahead`: `wanted` descends from `live`; `behind`: `live` descends from `wanted`. `pinned`: the commit that a rollback
    left, or ""; `after_pin`, `before_pin`: `wanted` descends from it, or is or precedes it; `off_pin`: the branch contained it,
    and does no longer; `lifted`: some of its sprocs were unpinned since. `worktree`: files on disk, no commit.
    """

    wanted: str
    live: str
    moved: bool = False
    known: bool = True
    ahead: bool = False
    behind: bool = False
    pinned: str = ""
    after_pin: bool = False
    before_pin: bool = False
    off_pin: bool = False
    lifted: bool = False
    suspended: str = ""
    worktree: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """`apply` or not; `state` and `reason`, a sentence, where it waits."""

    apply: bool
    state: DesiredState
    reason: str = ""


APPLY = Decision(True, DesiredState.APPLYING)
GOES_ON = "a change of it in git, luasprocs sync, or luasprocs unpin goes on from there"
"""What ends a pin."""


def decide(facts: Facts) -> Decision:
    """What to do."""
    wanted, live = facts.wanted[:12], facts.live[:12]
    if facts.suspended:
        return Decision(False, DesiredState.SUSPENDED, f"suspended {facts.suspended}: luasprocs unsuspend")
    if facts.lifted and facts.wanted == facts.pinned:
        return APPLY
    rewritten = facts.off_pin and not facts.before_pin
    if facts.pinned and not facts.worktree and not (facts.after_pin or rewritten):
        return Decision(False, DesiredState.PINNED, f"commit {facts.pinned[:12]} was rolled back: {GOES_ON}")
    if facts.worktree or not facts.live or facts.wanted == facts.live or facts.ahead or facts.live == "worktree":
        return APPLY
    if facts.behind:
        return Decision(
            False, DesiredState.BEHIND, f"{live} is live and descends from {wanted}: this repository is behind"
        )
    if not facts.known:
        return Decision(
            False,
            DesiredState.UNKNOWN,
            f"{live} is live but not in this repository: fetch it, or run luasprocs sync to apply {wanted} anyway",
        )
    if facts.moved:
        return APPLY  # the history was rewritten
    return Decision(
        False,
        DesiredState.DIVERGED,
        f"{live} is live; neither it nor {wanted} descends from the other: run luasprocs sync to choose {wanted}",
    )
