"""One command to a server that may hang, whatever time others have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis

PATIENCE_S = 2.0
"""How long a shard may take to be found before the others are read without it."""


def soon(client: Redis, *words: Any) -> Any:
    """A command's reply, as it comes, within PATIENCE_S, or the client's own timeout if that is shorter.

    Raises:
        redis.RedisError: there is none in time, or it is an error.
    """
    pool = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_command(*words)
        return connection.read_response(timeout=min(PATIENCE_S, connection.socket_timeout or PATIENCE_S))
    finally:
        pool.release(connection)
