"""Where a change begins: on one connection, whose server is still the one that the registry was found on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis.exceptions import MovedError, ResponseError, WatchError

from luasprocs.contract.encoding import text
from luasprocs.contract.keys import Keys
from luasprocs.errors import ConflictError
from luasprocs.server.errors import is_missing_function
from luasprocs.server.pipeline import borrowed
from luasprocs.server.slots import slot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.server.registry import Registry

OVERTAKEN = "another sync changed the registry first: plan again"


@contextmanager
def connection_to(registry: Registry, *watched: str) -> Iterator[Any]:
    """A connection to change a registry by, which watches keys. If the slot of its tag moves away, EXEC fails; if it has moved
    to another shard, or another sync has given this one another tag, nothing begins: the engine there must stay.

    Raises:
        ConflictError: it has, or a watched key changed. redis.RedisError: the server can't be asked.
    """
    with borrowed(registry.client) as connection:
        if watched:
            _reply(connection, "WATCH", *watched)
        if registry.keys.tag:
            _check(registry, connection)
        try:
            yield connection
        except WatchError as error:
            raise ConflictError(OVERTAKEN) from error


def _check(registry: Registry, connection: Any) -> None:
    try:
        said = _reply(connection, "FCALL_RO", registry.keys.function("shard"), 0)
    except ResponseError as error:
        if is_missing_function(error):
            return
        raise
    tag = text(said) if isinstance(said, bytes | str) else ""  # another library may have a function of that name
    slot = slot_of(tag.encode())
    if tag in {"", registry.keys.tag}:
        return
    if any(slot in one for one in registry.ranges):
        if registry.home.client.hexists(registry.home.keys.shards, tag):
            raise ConflictError(f"shard {registry.keys.tag} has become shard {tag}: plan again")
        return
    try:
        _reply(connection, "EXISTS", Keys(registry.keys.namespace, tag).revision)
    except MovedError:  # what is left of a registry whose slot has moved, or what add-node has copied
        return
    raise ConflictError(f"the slot of shard {registry.keys.tag} has moved to shard {tag}: plan again")


def _reply(connection: Any, *words: str | int) -> Any:
    connection.send_command(*words)
    return connection.read_response()
