"""Around a change: whoever loses the connection behind it hears that it may have been done."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from luasprocs.errors import LostReplyError, OutcomeUnknownError, ServerUnreachableError
from luasprocs.server.errors import errors_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from luasprocs.server.registry import Registry


@contextlib.contextmanager
def changing(opened: Callable[[], Registry], server: str, look: str = "") -> Iterator[None]:
    """Inside, a connection that breaks is an unknown outcome. `look`: the command that shows whether it was done.

    Raises:
        ServerUnreachableError: there was no connection to begin with; nothing was done. OutcomeUnknownError: see above.
        ServerError: see `errors_named`.
    """
    with errors_named(server):
        for shard in opened().shards:
            pool = shard.client.connection_pool
            pool.release(pool.get_connection())
    try:
        with errors_named(server):
            yield
    except LostReplyError:
        raise
    except ServerUnreachableError as error:
        how = f"look with {look}" if look else "look"
        said = f"outcome unknown: it may or may not have been done; {how} before you repeat it ({error})"
        raise OutcomeUnknownError(said) from error
