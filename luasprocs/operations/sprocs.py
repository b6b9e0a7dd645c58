"""One live sproc, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import raw, text
from luasprocs.contract.keys import Keys
from luasprocs.errors import NoSprocError
from luasprocs.language.spelling import nearest
from luasprocs.registry.sproc_hash import sproc_of
from luasprocs.server.reading import reading

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        raise not_live(registry, name)
    return sproc_of(name, found)


def not_live(registry: Registry, *names: str) -> NoSprocError:
    """The error of names that are not live, with the name that was meant, if one of them is near to it."""
    hint = next(filter(None, (meant(registry, name) for name in names)), "")
    return NoSprocError(f"no sproc named {', '.join(map(repr, names))} is live{hint or ': see luasprocs list'}")


def meant(registry: Registry, name: str) -> str:
    """`; did you mean 'shop/pay.lua'?` for a name that isn't live but near to one that is; otherwise nothing."""
    live = _live_names(registry)
    return "" if name in live else _nearest(name, live)


def _nearest(name: str, live: Sequence[str]) -> str:
    """A name may lack its `.lua`, have too much or too little of its path, or be mistyped."""
    whole = name if name.endswith(".lua") else f"{name}.lua"
    ends = [one for one in live if f"/{one}".endswith(f"/{whole}") or f"/{whole}".endswith(f"/{one}")]
    return nearest(name, ends, cutoff=0) if ends else nearest(name, live)


def _live_names(registry: Registry) -> list[str]:
    """None for a user who may not read the list, or if somebody wrote over it."""
    try:
        found: Any = registry.client.lrange(raw(registry.keys.list), 0, -1)
    except ResponseError:
        return []
    return [text(name) for name in found]
