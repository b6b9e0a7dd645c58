"""Commands as bytes, and a MULTI that is sent while the rest of it is still packed: redis-py packs all of it first."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import hiredis
from redis.exceptions import ExecAbortError, ResponseError, WatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from redis import Redis

SEND_BYTES = 128 * 1024
"""What is sent at once, about."""


def packed(*words: bytes | str | int) -> bytes:
    command: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub wants a tuple of one
    return command


@contextmanager
def borrowed(client: Redis) -> Iterator[Any]:
    """A connection of the client's pool. Where something fails it is closed: a reply may still be on its way."""
    connection = client.connection_pool.get_connection()
    try:
        yield connection
    except BaseException:
        connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)


def transact(connection: Any, commands: Iterable[bytes]) -> list[Any]:
    """Sends MULTI, the commands and EXEC. The replies to the commands, those that are errors too.

    Raises:
        WatchError: a watched key changed; nothing was applied.
        redis.ResponseError: the first command that the server refused to queue, or ExecAbortError; nothing was applied.
    """
    waiting = [packed("MULTI")]
    size, count = 0, 1
    for command in commands:
        waiting.append(command)
        size += len(command)
        count += 1
        if size >= SEND_BYTES:
            connection.send_packed_command([b"".join(waiting)])
            waiting, size = [], 0
    connection.send_packed_command([b"".join(waiting) + packed("EXEC")])
    refused: ResponseError | None = None
    for _ in range(count):
        try:
            connection.read_response()
        except ResponseError as error:
            refused = refused or error
    try:
        replies: list[Any] | None = connection.read_response()
    except ExecAbortError as error:
        raise (refused or error) from None
    if replies is None:
        raise WatchError("a watched key changed")
    return replies
