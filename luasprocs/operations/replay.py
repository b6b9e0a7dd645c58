"""Runs once more what a record tells of, on a throw-away server: with the key as it is now, and whichever source."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from luasprocs.client import Sprocs
from luasprocs.contract.codes import Status, Trigger
from luasprocs.contract.encoding import raw, text
from luasprocs.errors import LuasprocsError, ScriptError, ServerRightsError
from luasprocs.language.sproc import git_blob_id, read_sproc
from luasprocs.operations.pause import pause
from luasprocs.operations.put import put
from luasprocs.registry.history import read_blobs, read_history
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.server.connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from luasprocs.language.sproc import Sproc
    from luasprocs.operations.sandbox.sandbox import Sandbox
    from luasprocs.registry.history import Generation
    from luasprocs.server.registry import Registry
    from luasprocs.state.executions import Execution

BY = "replay"
OWN = b"__*_Sproc_"
"""Stands in the name of each key of a registry."""
RUN_S = 5.0
"""So long a run may take."""
VALUE_LIMIT_BYTES = 16 << 20
NOT_ALLOWED = (
    "a replay copies the run's key {key!r}, and this user may not: viewers read the registry alone. Ask for "
    "`ACL SETUSER … '%R~{key}' +memory|usage +dump +pttl` for it, or connect as a user who may run the sproc"
)
SHOWN = 400
"""Characters of a value in what is told of it."""


class Seed(NamedTuple):
    """A key to begin with, as DUMP gives it; `ttl_ms` 0: it doesn't expire."""

    key: bytes
    dump: bytes
    ttl_ms: int = 0


class Scene(NamedTuple):
    """All that a replay needs. `then`: the source that ran, None if it is not kept, or the one of now."""

    record: Execution
    sprocs: tuple[Sproc, ...]
    seeds: tuple[Seed, ...]
    then: bytes | None = None

    @property
    def source(self) -> bytes:
        """The sproc's source of now."""
        return next(one.source for one in self.sprocs if one.name == self.record.sproc)


class Wrote(NamedTuple):
    """A key that was changed, and its value before and after, as one line each; "" for none."""

    key: str
    before: str
    after: str


class Replayed(NamedTuple):
    """How it ended: `status` as in a record; `said`: the error, or the reply; `has_args`: it got ARGV as such a run does."""

    status: str
    said: str
    duration_us: int = 0
    wrote: tuple[Wrote, ...] = ()
    has_args: bool = True


def read_scene(registry: Registry, record: Execution) -> Scene:
    """What there is of a record's run: the sprocs that are live, its key as it is now, the source that it ran.

    Raises:
        ScriptError: its sproc is not live any more, or its key's value is too large. ServerRightsError: the user may not read
        its key. redis.RedisError: the server can't be read.
    """
    live = read_live(registry)
    if record.sproc not in live.sprocs:
        raise ScriptError(f"{record.sproc or 'a gap'} is not live, so there is nothing to run")
    sprocs = tuple(read_sprocs(registry, live.sprocs))
    shard = next((one for one in registry.shards if one.keys.tag == record.shard), registry)
    seeds = tuple(seeds_of(shard, raw(record.key))) if record.key else ()
    blob = _blob_then(record, live.sprocs[record.sproc].blob, read_history(registry))
    kept = read_blobs(registry, [blob], strict=False) if blob != live.sprocs[record.sproc].blob else {}
    return Scene(record, sprocs, seeds, kept.get(blob))


def seeds_of(shard: Registry, key: bytes) -> Iterable[Seed]:
    """A key as it is now; nothing if it isn't there.

    Raises:
        ScriptError: its value is too large to be taken from a server at work. ServerRightsError: the user may not read it.
    """
    client: Any = shard.client
    try:
        if (client.memory_usage(key) or 0) > VALUE_LIMIT_BYTES:  # DUMP keeps a server from all else as long as it takes
            limit = f"{VALUE_LIMIT_BYTES >> 20} MB"
            raise ScriptError(f"the value of {text(key)!r} is over {limit}: it is not copied from a server at work")
        dump, ttl_ms = client.dump(key), client.pttl(key)
    except NoPermissionError as error:
        raise ServerRightsError(NOT_ALLOWED.format(key=text(key))) from error
    if dump is not None:
        yield Seed(key, dump, max(0, ttl_ms))


def _blob_then(record: Execution, blob: str, history: Iterable[Generation]) -> str:
    """The blob that was live when the record was written: what each generation since has replaced, undone."""
    for entry in history:
        if not _later(entry.applied_at, record.time_ms):
            break
        if record.sproc in entry.updated:
            blob = entry.updated[record.sproc][0]
    return blob


def _later(when: str, time_ms: int) -> bool:
    try:
        return datetime.fromisoformat(when).timestamp() * 1000 > time_ms
    except (ValueError, OverflowError):  # written by hand
        return False


def replay(scene: Scene, source: bytes | None = None) -> Replayed:
    """Runs it once. `source`: instead of the one of now.

    An event is published again, so that the sproc gets what a daemon gives it; all other sprocs are paused.

    Raises:
        ServerError: no server can be started here. WaitError: it did not end in time.
    """
    from luasprocs.operations.sandbox.sandbox import Sandbox  # noqa: PLC0415  # a server and a daemon

    name, record = scene.record.sproc, scene.record
    data = scene.source if source is None else source
    with Sandbox() as sandbox:
        try:
            own = read_sproc(name, name, data, git_blob_id(data), "")
            put(sandbox.registry, [own, *(one for one in scene.sprocs if one.name != name)])
        except LuasprocsError as error:
            return Replayed(Status.ERROR, str(error))
        for seed in scene.seeds:
            restored(sandbox.client, seed)
        if others := [one.name for one in scene.sprocs if one.name != name]:
            pause(sandbox.registry, others, by=BY)
        before = _values(sandbox)
        try:
            ended = _run(sandbox, record)
            after = _values(sandbox)
        except RedisError:  # nothing but a run that doesn't end keeps this server busy
            with contextlib.suppress(RedisError):
                sandbox.client.function_kill()
            return Replayed(Status.TIMEOUT, f"it did not end within {RUN_S:g} s, and was stopped")
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return ended._replace(wrote=tuple(Wrote(key, before.get(key, ""), after.get(key, "")) for key in changed))


def restored(client: Any, seed: Seed) -> None:
    """Puts a key onto a throw-away server. Raises ScriptError: that can't read it."""
    try:
        client.restore(seed.key, seed.ttl_ms, seed.dump)
    except ResponseError as error:
        raise ScriptError(
            f"the value of {text(seed.key)!r} is of a version that the embedded server can't read: {error}"
        ) from error


def _run(sandbox: Sandbox, record: Execution) -> Replayed:
    if record.trigger == Trigger.EVENT:
        done = sandbox.publish(record.event, record.key)
        own = [one for one in done if one.sproc == record.sproc]
        if not own:
            return Replayed(Status.SKIPPED, f"the event {record.event} of {record.key!r} does not run it any more")
        return Replayed(own[0].status, own[0].said, own[0].duration_us)
    keys, args = [record.key] if record.key else [], _args(sandbox, record)
    if record.trigger == Trigger.ASYNC:
        job = sandbox.run_job(record.sproc, keys, args or ())
        return Replayed(job.status, job.said, job.duration_us, has_args=args is not None)
    try:
        with connect(sandbox.url, socket_timeout=RUN_S) as client:
            reply = Sprocs(client).execute(record.sproc, keys=keys, args=args or ())
    except ScriptError as error:
        return Replayed(Status.ERROR, str(error), has_args=args is not None)
    return Replayed(Status.OK, _line(reply), has_args=args is not None)


def _args(sandbox: Sandbox, record: Execution) -> list[Any] | None:
    """What a schedule gives, and the event of a string to a job; None for what nobody has recorded."""
    if record.trigger == Trigger.CRON:
        return [record.origin, "cron"]
    kind = text(sandbox.client.type(record.key)) if record.trigger == Trigger.ASYNC and record.event else ""
    return [sandbox.client.get(record.key) or b"", record.event, kind] if kind in {"string", "none"} else None


def _values(sandbox: Sandbox) -> dict[str, str]:
    """Each key that is not the registry's own, and its value in one line."""
    client: Any = sandbox.client
    keys = [key for key in client.scan_iter(count=1000) if OWN not in key]
    return {text(key): _line(_value(client, key)) for key in keys}


def _value(client: Any, key: bytes) -> Any:
    readers: Mapping[str, tuple[Any, ...]] = {
        "string": ("GET", key),
        "hash": ("HGETALL", key),
        "list": ("LRANGE", key, 0, -1),
        "set": ("SMEMBERS", key),
        "zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
        "stream": ("XRANGE", key, "-", "+"),
    }
    kind = text(client.type(key))
    return client.execute_command(*readers[kind]) if kind in readers else client.dump(key)


def _line(value: Any) -> str:
    said = text(value) if isinstance(value, bytes) else json.dumps(_plain(value), ensure_ascii=False)
    return said if len(said) <= SHOWN else f"{said[:SHOWN]}…"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(one) for key, one in sorted(value.items())}
    if isinstance(value, set):
        return sorted(map(_plain, value))
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
