"""What git wants and is not live, as lines of text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.codes import DesiredState
from luasprocs_tui.values.numbers import ID_SHOWN
from luasprocs_tui.values.times import whole

if TYPE_CHECKING:
    from luasprocs.state.desired import SyncState


def sync_line(state: SyncState, suspended: str) -> str:
    """What git wants, in one line. `suspended`: by whom and why, or ""."""
    if suspended:
        return f"syncs are suspended {suspended}"
    if not state.state:
        return "no daemon syncs here"
    by = f" by {state.author}" if state.author else ""
    wants = f"git wants {state.commit[:ID_SHOWN]} {state.subject}".strip() + by
    return f"{state.state}: {wants}" + (f"; {state.reason}" if state.reason else "")


def sync_lines(state: SyncState, suspended: str) -> list[str]:
    """What git wants and is not live, name by name, and why."""
    lines = [sync_line(state, suspended)]
    if suspended and state.state not in {"", DesiredState.SUSPENDED}:
        lines.append(sync_line(state, ""))
    if state.state:
        lines += [
            f"{state.source}  {state.branch} {state.commit}",
            f"seen {whole(int(state.at * 1000))} by {state.daemon}",
        ]
    named = (
        (f"+{one}" for one in state.created),
        (f"~{one}" for one in state.updated),
        (f"-{one}" for one in state.deleted),
    )
    changes = [line for kind in named for line in kind]
    nothing = "nothing of it is live" if state.state == DesiredState.REFUSED else "nothing waits to be applied"
    lines += ["", *(changes or [nothing])]
    lines += (
        ["", *(f"live edit that can't be committed: {one}" for one in state.edits_waiting)]
        if state.edits_waiting
        else []
    )
    others = [one for one in state.problems if one not in state.reason]
    lines += ["", "problems", *others] if others else []
    lines += ["", *(f"edited by hand: {name}" for name in state.drift)] if state.drift else []
    return [*lines, *(line for diff in state.diffs for line in ("", *diff.splitlines()))]
