"""A registry whose slot has moved to another shard, where nobody serves it: what it holds goes to those that are served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import parsed_json, raw, text
from luasprocs.contract.keys import Keys
from luasprocs.server.errors import is_wrong_type
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

SCANNED = 500


def carry_over(registry: Registry, tag: str) -> None:
    """Moves the jobs of an orphan to the shards of their keys, its records, gaps and counts of runs to the shard of its slot,
    each once however often that is tried; then its keys go.

    Raises:
        redis.RedisError: a shard can't be reached; what was not moved is still there.
    """
    orphan = orphan_of(registry, tag)
    for kind, due, job in _waiting(orphan):
        registry.at(_first_key(job)).call("adopt", tag, kind, due, job)
    heir = registry.at(raw(orphan.keys.jobs))
    for kind in ("executions", "gaps"):
        heir.call("inherit", tag, kind, "")
    counted = raw(orphan.keys.stats_prefix)
    for some in _batches(orphan, f"{_escaped(orphan.keys.stats_prefix)}*"):
        for key in some:
            heir.call("inherit", tag, "stats", key.removeprefix(counted))
    for some in _batches(orphan, f"{_escaped(orphan.keys.name_prefix.removesuffix('Name_'))}*"):
        orphan.client.unlink(*some)


def orphan_of(registry: Registry, tag: str) -> Registry:
    """The registry with a tag of the past."""
    keys = Keys(registry.keys.namespace, tag)
    return Registry(registry.at(raw(keys.jobs)).client, keys)


def _escaped(prefix: str) -> str:
    return prefix.replace("*", r"\*")


def _waiting(orphan: Registry) -> Iterator[tuple[str, str, bytes]]:
    """Kind, due time and JSON of each job."""
    keys = orphan.keys
    streams = (("job", keys.jobs), ("dead", keys.dead))
    for kind, key in streams:
        for _, fields in read_left(orphan, "XRANGE", key, "-", "+"):
            if found := dict(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list) else fields:
                yield kind, text(found.get(b"error", b"")), found.get(b"job", b"")
    lists = [keys.enqueued, *(raw(keys.waiting_prefix) + name for name in read_left(orphan, "HKEYS", keys.running))]
    for key in lists:
        yield from (("job", "", job) for job in read_left(orphan, "LRANGE", key, 0, -1))
    for job, due in read_left(orphan, "ZRANGE", keys.delayed, 0, -1, "WITHSCORES"):
        yield "delayed", str(int(due)), job


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
