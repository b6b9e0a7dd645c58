"""One live sproc, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.errors import NoSprocError
from luasprocs.registry.live import sproc_of
from luasprocs.server.reading import reading

if TYPE_CHECKING:
    from luasprocs.language.sproc import Sproc
    from luasprocs.server.registry import Registry


def live_sproc(registry: Registry, name: str) -> Sproc:
    """A live sproc with its source.

    Raises:
        NoSprocError: there is none of that name. RegistryError: somebody wrote over its key.
    """
    with reading(Keys.name_prefix, registry.keys, name):
        found: Any = registry.client.hgetall(raw(registry.keys.name(name)))
    if not found:
        raise not_live(name)
    return sproc_of(name, found)


def not_live(*names: str) -> NoSprocError:
    """The error of names that are not live."""
    return NoSprocError(f"no sproc named {', '.join(map(repr, names))} is live: see luasprocs list")
