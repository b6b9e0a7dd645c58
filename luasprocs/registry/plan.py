"""What a change would do: name to blob as it is wanted, against what is live. Pure; one pass over the names, no source needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from luasprocs.registry.edits import ABSENT, is_edited, parse_edit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from luasprocs.registry.live import LiveSproc


class Plan(NamedTuple):
    """Names by what happens to them, sorted. `drifted`: those of `updated` whose source git didn't change: edited by hand.

    `edited`: live edits that stay; `overtaken`: those of them whose sproc git has changed or deleted since; `overwritten`: live
    edits that go, as somebody said so; `undone`: as git has them, but remembered as edits until a sync forgets that.

    `held`: what a rollback keeps as it is.

    `repairs`: what else is wrong with the registry and is mended, as sentences.
    """

    created: tuple[str, ...]
    updated: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int
    drifted: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    overwritten: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    overtaken: tuple[str, ...] = ()
    held: tuple[str, ...] = ()

    @property
    def names_changed(self) -> tuple[str, ...]:
        """Whose sources are needed to apply this."""
        return tuple(sorted((*self.created, *self.updated, *self.undone)))

    def healed(self, *, same: bool) -> tuple[str, ...]:
        """What somebody has changed by hand and this puts right. `same`: git wants the commit that is live."""
        whole = (*self.created, *self.updated, *self.deleted) if same else self.drifted
        return (*sorted(set(whole) - set(self.overwritten)), *self.repairs)

    def __bool__(self) -> bool:
        """Whether there is anything to do to the sprocs or the registry."""
        return bool(self.created or self.updated or self.deleted or self.repairs)


class SyncOutcome(NamedTuple):
    """What a sync or a rollback did. `changed` is false when nothing had to be done; `duration_ms` is wall-clock time.

    `warnings`: what is odd about sprocs that it put, as `file:line:column: message`.
    `pin`: who rolled back and why, if `plan.held` is kept out by that.
    """

    commit: str
    generation: int
    plan: Plan
    changed: bool
    duration_ms: int
    pin: str = ""
    warnings: tuple[str, ...] = ()


def diff(
    desired: Mapping[str, str],
    live: Mapping[str, LiveSproc],
    *,
    prune: bool = True,
    again: bool = False,
    discard_edits: bool = True,
    held: Collection[str] = (),
) -> Plan:
    """Compares name to blob with what is live. A live sproc that was changed by hand counts as changed; `again`: all do.

    A live edit stays until git has it; with `discard_edits` it goes. `held`: names that stay as they are, whatever git has.
    """
    if held:
        desired = {name: blob for name, blob in desired.items() if name not in held}
        live = {name: sproc for name, sproc in live.items() if name not in held}
    created = sorted(desired.keys() - live.keys())
    both = desired.keys() & live.keys()
    edits = {name for name in live if live[name].edit}
    undone = {name for name in edits & both if not again and _as_git_again(live[name], desired[name])}
    kept = set() if discard_edits else {name for name in edits - undone if _waits(live[name], desired.get(name))}
    updated = sorted(
        name
        for name in both - kept - undone
        if again or name in edits or live[name].blob != desired[name] or not live[name].intact
    )
    drifted = tuple(name for name in updated if live[name].blob == desired[name] and not live[name].intact)
    deleted = sorted(live.keys() - desired.keys() - kept) if prune else []
    replaced = edits & {*updated, *deleted}
    return Plan(
        created=tuple(created),
        updated=tuple(updated),
        deleted=tuple(deleted),
        unchanged=len(both) - len(updated) + len(held),
        drifted=drifted,
        edited=tuple(sorted(kept)),
        overwritten=tuple(sorted(name for name in replaced if live[name].blob != desired.get(name))),
        undone=tuple(sorted(undone)),
        overtaken=tuple(sorted(name for name in kept if desired.get(name, ABSENT) not in _made_on(live[name]))),
        held=tuple(sorted(held)),
    )


def _as_git_again(sproc: LiveSproc, blob: str) -> bool:
    return sproc.blob == blob and not is_edited(sproc)


def _waits(sproc: LiveSproc, blob: str | None) -> bool:
    """Whether an edit stays: git has not got it. One that came back to what git had goes, unless git has it half-way."""
    return sproc.blob != blob and (is_edited(sproc) or blob in _made_on(sproc))


def _made_on(sproc: LiveSproc) -> frozenset[str]:
    edit = parse_edit(sproc.edit)
    return edit.blobs if edit else frozenset()
