"""What was live before, and the way back to it without git."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.codes import Action
from luasprocs.contract.encoding import number, parsed_json, text, time_ms
from luasprocs.contract.keys import Keys
from luasprocs.contract.records import HISTORY
from luasprocs.errors import RegistryError
from luasprocs.server.reading import raise_refusals, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from luasprocs.server.registry import Registry

REPAIRS_READ = 100
"""How many generations are looked at for repairs that don't last."""


class Generation(NamedTuple):
    """One apply, at `at_ms` (unix) of the server's clock; `applied_at` is by that of whoever applied it.

    `created` and `deleted`: name to blob; `updated`: name to old and new blob.
    `healed`: what had been changed by hand and was put right, names and sentences; `why`: if somebody said so.
    """

    generation: int
    action: str
    commit: str
    author: str
    subject: str
    branch: str
    applied_at: str
    applied_by: str
    created: Mapping[str, str]
    updated: Mapping[str, tuple[str, str]]
    deleted: Mapping[str, str]
    healed: tuple[str, ...] = ()
    why: str = ""
    at_ms: int = 0

    @property
    def touched(self) -> frozenset[str]:
        """The sprocs that it changed."""
        return frozenset((*self.created, *self.updated, *self.deleted))


def read_history(registry: Registry, count: int | None = None) -> list[Generation]:
    """Generations, newest first. Entries that somebody else wrote, and that can't be read, are left out.

    Raises:
        RegistryError: the key is not a stream.
    """
    found = []
    with reading(Keys.history, registry.keys):
        entries: list[Any] = registry.client.xrevrange(registry.keys.history, count=count) or []
    for entry, fields in entries:
        try:
            stored = {text(key): text(value) for key, value in fields.items()}
            found.append(_generation(stored)._replace(at_ms=number(text(entry).partition("-")[0])))
        except (KeyError, ValueError, TypeError, AttributeError):
            continue
    return found


class Repair(NamedTuple):
    """What a daemon put right by itself: when, by the server's clock in unix milliseconds, and what."""

    at_ms: int
    healed: frozenset[str]


def last_repairs(registry: Registry) -> tuple[int, list[Repair]]:
    """The server's clock, and the newest generations as far as they are repairs, up to one that somebody asked for.

    Raises:
        redis.RedisError: the server can't be asked.
    """
    pipe = registry.client.pipeline(transaction=False)
    pipe.time()
    pipe.xrevrange(registry.keys.history, count=REPAIRS_READ)
    now, entries = pipe.execute(raise_on_error=False)
    raise_refusals((now, entries))
    found = []
    for entry, fields in entries if isinstance(entries, list) else ():
        if fields.get(b"action") != Action.HEAL.encode():
            break
        try:
            healed = frozenset(map(str, parsed_json(text(fields[b"healed"]))))
        except (KeyError, ValueError, TypeError):  # somebody else wrote it
            break
        found.append(Repair(int(text(entry).partition("-")[0]), healed))
    return time_ms(now), found


def _generation(stored: Mapping[str, str]) -> Generation:
    found: dict[str, Any] = {field.name: stored[field.name] for field in HISTORY if field.name not in {"healed", "why"}}
    found["healed"] = tuple(map(str, parsed_json(stored.get("healed", "[]"))))
    found["why"] = stored.get("why", "")
    for kind in ("created", "deleted"):
        found[kind] = {str(name): str(blob) for name, blob in parsed_json(stored[kind]).items()}
    updated = parsed_json(stored["updated"]).items()
    found["updated"] = {str(name): (str(old), str(new)) for name, (old, new) in updated}
    found["generation"] = int(stored["generation"])
    return Generation(**found)


def state_at(
    generation: int, live: Mapping[str, str], history: Iterable[Generation]
) -> tuple[Generation, dict[str, str]]:
    """That generation's entry, and name to blob as it was: the changes since, undone from what is live.

    Raises:
        RegistryError: the generation is not kept.
    """
    oldest = 0
    for entry, blobs in _states(live, history):
        oldest = entry.generation
        if entry.generation == generation:
            return entry, blobs
    raise RegistryError(
        f"generation {generation} is not in the history (the oldest kept is {oldest or 'none'}): see luasprocs history"
    )


def last_other(live: Mapping[str, str], history: Iterable[Generation]) -> int | None:
    """The last generation whose sprocs differ from what is live, name to blob. `history`: the newest first."""
    return next((entry.generation for entry, blobs in _states(live, history) if blobs != live), None)


def _states(live: Mapping[str, str], history: Iterable[Generation]) -> Iterator[tuple[Generation, dict[str, str]]]:
    """Each generation, and name to blob as it was: the changes since, undone from what is live."""
    blobs = dict(live)
    for entry in history:
        yield entry, blobs
        blobs = dict(blobs)
        healed = set(entry.healed)  # which was so before somebody changed it by hand
        for name in entry.created.keys() - healed:
            blobs.pop(name, None)
        # Of a hash that was lost before a sync healed it nothing is known: it has no old blob.
        replaced = {name: old for name, (old, _) in entry.updated.items()} | dict(entry.deleted)
        blobs.update({name: old for name, old in replaced.items() if old and name not in healed})


def before_last_change(name: str, history: Iterable[Generation]) -> int:
    """The generation before the last one that changed a sproc. `history`: the newest first.

    Raises:
        RegistryError: none that is kept changed it.
    """
    for entry in history:
        if name in {*entry.created, *entry.updated, *entry.deleted}:
            return entry.generation - 1
    raise RegistryError(f"{name} has not changed in the generations that are kept: see luasprocs history")


def read_blobs(registry: Registry, blobs: Iterable[str], *, strict: bool = True) -> dict[str, bytes]:
    """Kept sources by blob; not `strict`: as far as they are kept.

    Raises:
        RegistryError: one is not kept any more, or the key is not a hash.
    """
    wanted = sorted(set(blobs))
    if not wanted:
        return {}
    with reading(Keys.blobs, registry.keys):
        sources: list[Any] = registry.client.hmget(registry.keys.blobs, wanted)
    missing = [blob for blob, source in zip(wanted, sources, strict=True) if source is None]
    if missing and strict:
        raise RegistryError(
            f"the source of blob {missing[0]} is no longer kept: use sync --revision with an older commit"
        )
    return {blob: source for blob, source in zip(wanted, sources, strict=True) if source is not None}
