"""A registry whose slot has moved to another shard, where nobody serves it: what it holds goes to those that are served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import parsed_json, raw, text
from luasprocs.contract.keys import Keys
from luasprocs.contract.outbox import Sent
from luasprocs.server.errors import is_missing_function, is_wrong_type
from luasprocs.server.registry import Registry
from luasprocs.server.slots import slot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SCANNED = 500


def carry_over(registry: Registry, tag: str) -> bool:
    """Moves the jobs of an orphan to the shards of their keys, its records, gaps and counts of runs to the shard of its slot,
    each once however often that is tried; then its keys go.

    What waits in its Outbox goes on waiting on a shard that is served; what it had not run of its events is a gap. Returns False,
    with nothing done, if it is no orphan: this view of the shards is old.

    Raises:
        redis.RedisError: a shard can't be reached; what was not moved is still there.
    """
    slot = slot_of(tag.encode())
    heir = next((shard for shard in registry.shards if any(slot in one for one in shard.ranges)), None)
    if heir is None or _is_served(orphan := orphan_of(registry, tag)):
        return False
    for kind, due, job in _waiting(orphan):
        registry.at(_first_key(job)).call("adopt", tag, kind, due, job)
    for sent in _sent(orphan):
        registry.at(sent.key).call("inherit_sent", *sent[:-1], *sent.names)
    _missed(registry, orphan)
    for kind in ("executions", "gaps"):
        heir.call("inherit", tag, kind, "")
    counted = raw(orphan.keys.stats_prefix)
    for some in _batches(orphan, f"{_escaped(orphan.keys.stats_prefix)}*"):
        for key in some:
            heir.call("inherit", tag, "stats", key.removeprefix(counted))
    for some in _batches(orphan, f"{_escaped(orphan.keys.name_prefix.removesuffix('Name_'))}*"):
        orphan.client.unlink(*some)
    return True


def orphan_of(registry: Registry, tag: str) -> Registry:
    """The registry with a tag of the past."""
    keys = Keys(registry.keys.namespace, tag)
    return Registry(registry.at(raw(keys.jobs)).client, keys)


def _is_served(orphan: Registry) -> bool:
    """Whether the engine where it lies is its own, or none that can tell."""
    try:
        return text(orphan.call_ro("shard")) == orphan.keys.tag
    except ResponseError as error:
        if is_missing_function(error):
            return True
        raise


def _sent(orphan: Registry) -> Iterator[Sent]:
    """What waits in its Outbox."""
    for entry, fields in _entries(orphan, orphan.keys.outbox):
        if sent := Sent.of(orphan.keys.tag, entry, fields):
            yield sent


def _missed(registry: Registry, orphan: Registry) -> None:
    """Tells the shard whose events it ran, or if there is none all of them, up to when it did."""
    found = read_left(orphan, "HGETALL", orphan.keys.events)
    fields = found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))
    marks = [(name, value.split()) for name, value in fields.items()]
    words: list[Any] = []
    for name, mark in marks:
        if len(mark) == 3 and all(word.isdigit() for word in mark):  # tick, count, ms
            words += (name, mark[2])
        elif name.startswith(b"left:") and len(mark) == 1 and mark[0].isdigit():
            words += (name.removeprefix(b"left:"), mark[0])
    epoch = fields.get(b"epoch", b"-")
    if server := fields.get(b"server"):  # it has carried the epoch of another one on
        epoch = epoch[:13] + server
    for forced in (0, 1) if words else ():
        if sum(shard.call("missed", orphan.keys.tag, epoch, forced, *words) for shard in registry.shards):
            return


def _escaped(prefix: str) -> str:
    return prefix.replace("*", r"\*")


def _waiting(orphan: Registry) -> Iterator[tuple[str, str, bytes]]:
    """Kind, due time and JSON of each job."""
    keys = orphan.keys
    streams = (("job", keys.jobs), ("dead", keys.dead))
    for kind, key in streams:
        for _, fields in _entries(orphan, key):
            yield kind, text(fields.get(b"error", b"")), fields.get(b"job", b"")
    lists = [keys.enqueued, *(raw(keys.waiting_prefix) + name for name in read_left(orphan, "HKEYS", keys.running))]
    for key in lists:
        yield from (("job", "", job) for job in read_left(orphan, "LRANGE", key, 0, -1))
    delayed = read_left(orphan, "ZRANGE", keys.delayed, 0, -1, "WITHSCORES")
    for job, due in zip(delayed[::2], delayed[1::2], strict=True):
        yield "delayed", str(int(min(float(due), 1 << 53))), job


def _entries(orphan: Registry, stream: str) -> Iterator[tuple[Any, dict[bytes, bytes]]]:
    for entry, fields in read_left(orphan, "XRANGE", stream, "-", "+"):
        if found := dict(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list) else fields:
            yield entry, found


def read_left(orphan: Registry, *command: Any) -> Any:
    """A reply; nothing of a key that somebody wrote over. Raises redis.RedisError."""
    try:
        return orphan.client.execute_command(*command) or ()
    except ResponseError as error:
        if is_wrong_type(error):
            return ()
        raise


def _first_key(job: bytes) -> bytes:
    try:
        keys = parsed_json(job).get("keys") or ()
    except (ValueError, AttributeError):
        keys = ()
    return raw(str(keys[0])) if keys else b""


def _batches(orphan: Registry, pattern: str) -> Iterator[list[Any]]:
    cursor: Any = 0
    while True:
        cursor, found = orphan.client.scan(cursor, match=pattern, count=SCANNED)
        if found:
            yield found
        if not cursor:
            return
