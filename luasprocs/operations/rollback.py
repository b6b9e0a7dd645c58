"""Back to an earlier generation, without git."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from luasprocs.contract.codes import Action
from luasprocs.errors import ConflictError, RegistryError
from luasprocs.language.rules import with_defaults
from luasprocs.language.sproc import Sproc, git_blob_id, read_sproc
from luasprocs.registry.apply import apply
from luasprocs.registry.history import read_blobs, read_history, state_at
from luasprocs.registry.live import Live, read_live, read_sprocs
from luasprocs.registry.plan import Outcome, Plan, diff
from luasprocs.registry.transaction import Change
from luasprocs.server.info import require_usable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from luasprocs.server.registry import Registry


def rollback(
    registry: Registry,
    generation: int | None = None,
    *,
    by: str,
    check: Callable[[Live], None] = lambda live: None,
) -> Outcome:
    """Makes live what was at an earlier generation (None: the one before), as a new generation.

    `check` raises if what is live is none of the caller's business. `luasprocs.operations.diff.rollback_differences` previews.

    Raises:
        RegistryError: that generation is not kept, or is live already. ConflictError: another change was first.
        ServerError: the server can't be used. redis.RedisError: the connection or a right failed.
    """
    started_s = time.monotonic()
    live = read_live(registry)
    check(live)
    require_usable(live.info, writes=True)
    history = read_history(registry)
    wanted = generation if generation is not None else live.revision.generation - 1
    if generation is None and wanted < 1:
        raise RegistryError("there is no earlier generation to roll back to: see luasprocs history")
    if wanted == live.revision.generation:
        raise RegistryError(f"generation {wanted} is already live")
    left = live.revision.pinned or live.revision.commit
    entry, blobs = state_at(wanted, {name: sproc.blob for name, sproc in live.sprocs.items()}, history)
    plan, put = _kept(registry, live, blobs, entry.commit)
    change = Change(
        commit=entry.commit,
        branch=entry.branch,
        owner=live.revision.owner,
        author=entry.author,
        subject=entry.subject,
        applied_by=by,
        put=tuple(put),
        deleted=plan.deleted,
        names=tuple(sorted(blobs)),
        pinned="" if entry.commit == left else left,
        defaults=live.revision.defaults,
        action=f"{Action.ROLLBACK} to {wanted}",
    )
    try:
        revision = apply(registry, live, change)
    except ConflictError as error:
        raise ConflictError(f"not rolled back ({error}): check luasprocs history, then try again") from error
    return Outcome(entry.commit, revision.generation, plan, True, round((time.monotonic() - started_s) * 1000))


def _kept(registry: Registry, live: Live, blobs: Mapping[str, str], commit: str) -> tuple[Plan, list[Sproc]]:
    """What a rollback changes, and the sprocs for it. One edited by hand whose old source nobody has stays as it is."""
    plan = diff(blobs, live.sprocs)
    at_hand = {git_blob_id(sproc.source): sproc.source for sproc in read_sprocs(registry, plan.drifted)}
    at_hand |= read_blobs(registry, (blobs[name] for name in plan.drifted), strict=False)
    lost = {name for name in plan.drifted if blobs[name] not in at_hand}
    updated = tuple(name for name in plan.updated if name not in lost)
    plan = replace(plan, updated=updated, unchanged=plan.unchanged + len(lost), drifted=())
    names = plan.names_changed
    at_hand |= read_blobs(registry, {blobs[name] for name in names} - at_hand.keys())
    defaults = json.loads(live.revision.defaults or "{}")
    sprocs = [read_sproc(name, name, at_hand[blobs[name]], blobs[name], commit) for name in names]
    return plan, [replace(sproc, values=with_defaults(sproc.values, defaults)) for sproc in sprocs]
