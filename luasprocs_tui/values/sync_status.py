"""What git wants and is not live, as lines of text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.codes import DesiredState
from luasprocs_tui.values.numbers import ID_SHOWN
from luasprocs_tui.values.times import restamped, stamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.registry.revision import Revision
    from luasprocs.state.desired import SyncState


def sync_line(state: SyncState, suspended: str) -> str:
    """What git wants, in one line. `suspended`: by whom and why, or ""."""
    if suspended:
        return f"syncs are suspended {suspended}"
    if not state.state:
        return "no daemon syncs here"
    by = f" by {state.author.partition(' <')[0]}" if state.author else ""
    wants = f"git wants {state.commit[:ID_SHOWN]} {state.subject}".strip() + by
    return f"{state.state}: {wants}" + (f"; {state.reason}" if state.reason else "")


def sync_lines(state: SyncState, suspended: str, live: Revision | None = None) -> list[str]:
    """What git wants and what is live, a line each, then what waits, name by name, and why."""
    if not state.state:
        hint = "luasprocs daemon, in the repository or with --remote, follows git"
        return [sync_line(state, suspended), hint, *(f"live is {one}" for one in [_live(live)] if one)]
    lines = _pairs(
        {
            "state": f"suspended {suspended}" if suspended else state.state,
            "otherwise": state.state if suspended and state.state != DesiredState.SUSPENDED else "",
            "since": stamp(state.since * 1000, zone=True) if state.since else "",
            "why": state.reason,
            "git wants": f"{state.commit[:ID_SHOWN]} {state.subject}".strip()
            + (f" by {state.author}" if state.author else ""),
            "live is": _live(live),
            "branch": f"{state.branch} of {state.source}".strip(),
            "seen": f"{stamp(state.at * 1000, zone=True)} by {state.daemon}",
        }
    )
    named = (
        (f"+{one}" for one in state.created),
        (f"~{one}" for one in state.updated),
        (f"-{one}" for one in state.deleted),
    )
    changes = [line for kind in named for line in kind]
    lines += ["", *(changes or [_NOTHING.get(state.state, "nothing waits to be applied")])]
    lines += (
        ["", *(f"live edit that can't be committed: {one}" for one in state.edits_waiting)]
        if state.edits_waiting
        else []
    )
    others = [one for one in state.problems if one not in state.reason]
    lines += ["", "problems", *others] if others else []
    lines += ["", *(f"edited by hand: {name}" for name in state.drift)] if state.drift else []
    return [*lines, *(line for diff in state.diffs for line in ("", *diff.splitlines()))]


_NOTHING: Mapping[str, str] = {
    DesiredState.REFUSED: "nothing of this commit is live: fix it, or push one that undoes it; what was live before still runs",
    DesiredState.SYNCED: "all that git wants is live",
}


def _live(live: Revision | None) -> str:
    if live is None or not live.generation:
        return ""
    since = f", since {restamped(live.applied_at, zone=True)}" if live.applied_at else ""
    return f"{live.commit[:ID_SHOWN]}, generation {live.generation}{since}"


def _pairs(said: Mapping[str, str]) -> list[str]:
    return [f"{name:<11}{value}" for name, value in said.items() if value]
