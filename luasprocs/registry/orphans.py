"""A registry whose slot has moved to another shard, where nobody serves it: what waits in it goes to those that are served."""

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


def carry_over(registry: Registry, tag: str) -> int:
    """Moves the jobs of an orphan to the shards of their keys, each once however often that is tried; then its keys go.

    Returns how many jobs there were. Its records and counts of runs are not carried over.

    Raises:
        redis.RedisError: a shard can't be reached; what was not moved is still there.
    """
    keys = Keys(registry.keys.namespace, tag)
    orphan = Registry(registry.at(keys.jobs.encode()).client, keys)
    count = 0
    for kind, due, job in _waiting(orphan):
        shard = registry.at(_first_key(job))
        shard.call("adopt", tag, kind, due, job)
        count += 1
    pattern = keys.name_prefix.removesuffix("Name_").replace("*", r"\*") + "*"
    for some in _batches(orphan, pattern):
        orphan.client.unlink(*some)
    return count


def _waiting(orphan: Registry) -> Iterator[tuple[str, str, bytes]]:
    """Kind, due time and JSON of each job."""
    keys = orphan.keys
    streams = (("job", keys.jobs), ("dead", keys.dead))
    for kind, key in streams:
        for _, fields in _read(orphan, "XRANGE", key, "-", "+"):
            if found := dict(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list) else fields:
                yield kind, text(found.get(b"error", b"")), found.get(b"job", b"")
    lists = [keys.enqueued, *(raw(keys.waiting_prefix) + name for name in _read(orphan, "HKEYS", keys.running))]
    for key in lists:
        yield from (("job", "", job) for job in _read(orphan, "LRANGE", key, 0, -1))
    for job, due in _read(orphan, "ZRANGE", keys.delayed, 0, -1, "WITHSCORES"):
        yield "delayed", str(int(due)), job


def _read(orphan: Registry, *command: Any) -> Any:
    try:
        return orphan.client.execute_command(*command) or ()
    except ResponseError as error:
        if is_wrong_type(error):  # somebody wrote over it
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
