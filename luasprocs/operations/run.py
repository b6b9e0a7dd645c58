"""Runs a live sproc as a person asks for it: recorded, or enqueued if it is async."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import ResponseError

from luasprocs.client import command, enqueue_command
from luasprocs.contract.encoding import raw, text
from luasprocs.contract.refusals import Refusal
from luasprocs.errors import NoSprocError, ScriptError
from luasprocs.operations.sprocs import meant
from luasprocs.server.errors import is_forbidden, is_missing_function, is_no_writes, named
from luasprocs.server.places import place_of
from luasprocs.server.script_errors import code_of, script_errors
from luasprocs.state.executions import newest_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from luasprocs.client import Argument
    from luasprocs.server.registry import Registry


class Ran(NamedTuple):
    """A sproc's reply, as redis-py gives it. `recorded`: False if the user's ACL forbids the record, or the server all writes."""

    reply: Any
    recorded: bool = True


class Enqueued(NamedTuple):
    """An async run. `job`: its id, None if `overlap=skip` left it out.

    Its records have `origin`, and are newer than `since_ms` (unix milliseconds of the server's clock).
    """

    sproc: str
    job: str | None
    origin: str
    since_ms: int = 0


def run(
    registry: Registry, name: str, keys: Sequence[Argument] = (), args: Sequence[Argument] = (), *, by: str
) -> Ran | Enqueued:
    """Runs a sproc by name and records the run; an async one is enqueued. `by`: who asks, for the record.

    A server that takes no writes runs those with `readonly=yes` all the same.

    Raises:
        NoSprocError, SprocDisabledError: there is none of that name, or it is off.
        ScriptError: it raised an error, or its reply is nested too deep.
        redis.RedisError: the connection or a right failed, or the server refused what the sproc did (memory, a replica).
    """
    registry = registry.at(_bytes(keys[0]) if keys else _place(registry, name))
    head = [len(keys), *keys, raw(name)]
    with _own_errors(registry, name):
        try:
            return Ran(registry.client.execute_command("FCALL", registry.keys.function("run"), *head, raw(by), *args))
        except ResponseError as error:
            code = code_of(error)
            if code == Refusal.ASYNC:
                return _enqueue(registry, name, keys, args, by)
            if is_no_writes(error):
                return _read_only(registry, name, keys, args, error)
            if code != Refusal.NORECORD:
                raise
        return Ran(registry.client.execute_command(*command(registry.keys, name, keys, args)), recorded=False)


def _place(registry: Registry, name: str) -> bytes:
    """The key whose shard runs a sproc without keys."""
    found: Any = registry.client.hget(raw(registry.keys.name(name)), "at") if registry.siblings else None
    return place_of(name, found)


def _bytes(key: Argument) -> bytes:
    return key if isinstance(key, bytes) else raw(str(key))


def _read_only(
    registry: Registry, name: str, keys: Sequence[Argument], args: Sequence[Argument], refused: ResponseError
) -> Ran:
    """Runs a sproc by what the server lets read even now. Raises `refused` if the sproc may write."""
    try:
        return Ran(
            registry.client.execute_command(*command(registry.keys, name, keys, args, readonly=True)), recorded=False
        )
    except ResponseError as error:
        if code_of(error) in {Refusal.NOTREADONLY, Refusal.ASYNC}:
            raise refused from None
        raise


@contextlib.contextmanager
def _own_errors(registry: Registry, name: str) -> Iterator[None]:
    """Inside, what a sproc's run answers becomes this package's error; what the server itself refuses stays redis-py's."""
    try:
        with script_errors(name):
            yield
    except NoSprocError as error:
        raise NoSprocError(f"{error}{meant(registry, name)}") from error
    except ScriptError as error:
        cause = error.__cause__
        if not isinstance(cause, ResponseError):
            raise
        if is_missing_function(cause):
            raise NoSprocError(
                f"no sproc named {name!r}: no engine is loaded, because nothing was synced or functions were flushed. "
                "Run luasprocs sync"
            ) from cause
        if named(cause, "") is not None:
            raise cause from None
        raise


def _enqueue(registry: Registry, name: str, keys: Sequence[Argument], args: Sequence[Argument], by: str) -> Enqueued:
    origin = f"{by}/{secrets.token_hex(4)}"  # by which its records are found
    try:
        since_ms = int(newest_id(registry).partition("-")[0])
    except ResponseError as error:
        if not is_forbidden(error):
            raise
        since_ms = 0  # who may only call reads no records
    reply: Any = registry.client.execute_command(*enqueue_command(registry.keys, name, keys, args, origin))
    return Enqueued(name, None if reply is None else text(reply), origin, since_ms)
