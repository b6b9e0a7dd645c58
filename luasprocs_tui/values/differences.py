"""Differences as lines of text: of a generation, a rollback, an edit, a conflict. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.codes import Action
from luasprocs.language.header import values_of
from luasprocs.operations.diff import unified
from luasprocs_tui.values.numbers import ID_SHOWN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.operations.diff import Difference, GitDifference
    from luasprocs.registry.history import Generation


def rollback_lines(generation: int, differences: Sequence[Difference], edits: Sequence[str]) -> list[str]:
    """What a rollback would change: all names first, as most may be out of sight. `edits`: the live edits that it takes back."""
    if not differences:
        return ["nothing would change"]
    names = [one.name for one in differences]
    lines = [f"changes {len(names)} sprocs: {', '.join(names)}"] if len(names) > 1 else []
    lines += [f"takes back the live edit of {', '.join(edits)}, which git doesn't have"] if edits else []
    return [*lines, "", *(line for one in differences for line in one.lines("live", f"generation {generation}"))]


def generation_lines(generation: Generation, differences: Sequence[Difference]) -> list[str]:
    """What a generation changed; sources that are not kept any more are said."""
    head = [
        f"generation {generation.generation}, {generation.action}, {generation.applied_at}, applied by {generation.applied_by}",
        f"{'on top of commit' if generation.action == Action.EDIT else 'commit'} {generation.commit}",
        *([f"by {generation.author}"] if generation.author else []),
        *([generation.subject] if generation.subject else []),
    ]
    return [*head, *(line for one in differences for line in ("", *_changed(one)))]


def _changed(one: Difference) -> list[str]:
    if one.lost:
        return [f"{one.name}: the source {one.lost[:ID_SHOWN]} is not kept any more"]
    return one.lines()


def git_lines(found: GitDifference, wants: str) -> list[str]:
    """How a live sproc differs from what git has: a live edit, or a change by hand. `wants`: what git wants, in a line."""
    waits = [f"its live edit can't be committed: {found.why}"] if found.why else []
    if found.waits:
        return [f"git wants another source of it: {wants}", *waits, "", *found.waits]
    if found.difference is None:
        return [f"its source is as git has it: commit {found.commit}"]
    edit = found.edit
    said = f"edited live by {edit.by}, not committed yet" if edit else "changed by hand: a sync takes it back"
    if found.difference.lost:
        return [said, *waits, "", f"what git has of it ({found.difference.lost[:ID_SHOWN]}) is not kept in Redis"]
    return [said, *waits, "", *found.difference.lines("git", "live")]


def header_diff(sproc: Sproc, changes: Mapping[str, str | None]) -> str:
    """What an edit of its header would change."""
    values = values_of(sproc.source, sproc.name)
    lines = []
    for key, value in changes.items():
        lines += [f"-{key}={values[key]}"] if key in values else []
        lines += [f"+{key}={value}"] if value is not None else []
    return "\n".join(lines)


def source_diff(before: bytes, after: bytes, name: str) -> str:
    """What an edit would change."""
    return "\n".join(unified(before, after, f"live/{name}", f"yours/{name}")) or "nothing would change"


def header_conflict(opened: Sproc, changes: Mapping[str, str | None], current: Sproc) -> str:
    """What another has changed since, and what would be applied on top of it."""
    theirs = unified(opened.source, current.source, "as you opened it", "as it is now")
    mine = [f"{key} = {value}" if value is not None else f"{key} is removed" for key, value in changes.items()]
    return "\n".join(("Changed meanwhile:", *theirs, "", "You wrote:", *mine))


def source_conflict(mine: bytes, current: Sproc) -> str:
    """What applying a source would make of what it is now."""
    changed = unified(current.source, mine, "as it is now", "as you wrote it")
    return "\n".join(("Changed meanwhile. Your text would replace this:", *changed))
