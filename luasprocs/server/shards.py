"""The shards of a registry at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from redis import exceptions

from luasprocs.errors import SettingsError
from luasprocs.server.guide_errors import CLUSTER, GuideError, Why
from luasprocs.server.patience import soon
from luasprocs.server.urls import place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luasprocs.server.registry import Registry

_One = TypeVar("_One")
_Done = TypeVar("_Done")


def tags_of(registry: Registry) -> tuple[str, ...]:
    """The tag of each shard; "" of a single server."""
    return tuple(shard.keys.tag for shard in registry.shards)


def one_shard(registry: Registry, tag: str) -> Registry:
    """The registry with this shard alone; the whole one for no tag.

    Raises:
        SettingsError: there is no such shard.
    """
    if not tag:
        return registry
    found = next((shard for shard in registry.shards if shard.keys.tag == tag), None)
    if found is None:
        known = ", ".join(filter(None, tags_of(registry))) or "none: this is a single server"
        raise SettingsError(f"there is no shard {tag!r}; shards are {known}")
    return replace(found, siblings=(), common=registry.home)


def each_shard(registry: Registry, act: Callable[[Registry], _Done]) -> list[_Done]:
    """What `act` returns for each shard, in the order of `Registry.shards`.

    Raises what the first that fails raises; the one that does not answer in time is named.
    """
    return at_once(registry.shards, act if len(registry.shards) == 1 else partial(_named, act))


def _named(act: Callable[[Registry], _Done], shard: Registry) -> _Done:
    try:
        return act(shard)
    except exceptions.TimeoutError as error:
        raise GuideError(Why.SILENT, CLUSTER, name=shard.keys.tag, address=address_of(shard)) from error


def reached(registry: Registry) -> tuple[Registry, dict[str, str]]:
    """The registry with those shards alone that answer, for reading; and the tag of each other one to why it doesn't.

    A single server is not asked. Raises what the first shard raises if none answers.
    """
    if not registry.siblings:
        return registry, {}
    places = (*registry.shards, registry.home)
    failed = {one.keys.tag: error for one, error in zip(places, at_once(places, _silence), strict=True) if error}
    there = [shard for shard in registry.shards if shard.keys.tag not in failed]
    if not there:
        raise failed[registry.keys.tag]
    # Without its home nothing stands where the state of the sync would.
    common = None if registry.home.keys.tag in failed else registry.common
    return replace(there[0], siblings=tuple(there[1:]), common=common), {tag: str(one) for tag, one in failed.items()}


def _silence(shard: Registry) -> exceptions.RedisError | None:
    try:
        _named(lambda one: soon(one.client, "PING"), shard)
    except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
        return error
    return None


def address_of(shard: Registry) -> str:
    """`host:port` of a shard's primary, as far as it is known."""
    found = getattr(shard.client.connection_pool, "master_address", None)
    return place(*found) if found else ""


def at_once(some: Sequence[_One], act: Callable[[_One], _Done]) -> list[_Done]:
    """What `act` returns for each, in their order; a thread each. Raises what the first that fails raises."""
    if len(some) == 1:
        return [act(some[0])]
    with ThreadPoolExecutor(len(some) or 1, "luasprocs-shard") as threads:
        return list(threads.map(act, some))
