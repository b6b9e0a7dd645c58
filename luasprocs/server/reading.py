"""Keys of the registry that somebody wrote over: one of another type than the contract says is an error that names it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from luasprocs.errors import RegistryError
from luasprocs.server.errors import is_wrong_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from luasprocs.contract.keys import Key, Keys


def wrong_type(key: Key, keys: Keys, member: str = "") -> RegistryError:
    """The error that a key of another type is. `member`: which one of a family, as a sproc's name."""
    name = key.within(keys) + member
    return RegistryError(f"{name} is not a {key.kind}: it was overwritten; {key.healed}")


def raise_refusals(replies: Iterable[object]) -> None:
    """Raises the first error of a pipeline's replies that is not about a key of another type: nobody knows what is there."""
    for reply in replies:
        if isinstance(reply, Exception) and not is_wrong_type(reply):
            raise reply


@contextlib.contextmanager
def reading(key: Key, keys: Keys, member: str = "") -> Iterator[None]:
    """Around the reading of a key.

    Raises:
        RegistryError: it has another type; names the key, and what to do.
    """
    try:
        yield
    except ResponseError as error:
        if not is_wrong_type(error):
            raise
        raise wrong_type(key, keys, member) from error
