"""From a URL to the registry behind it: on a single server, or on each primary of a cluster."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from redis import exceptions

from luasprocs.contract.encoding import number, text
from luasprocs.contract.keys import Keys
from luasprocs.server.cluster import Nodes, Primary, Seen
from luasprocs.server.connection import connect
from luasprocs.server.endpoint import Endpoint
from luasprocs.server.guides import is_cluster
from luasprocs.server.patience import PATIENCE_S, soon
from luasprocs.server.registry import Registry
from luasprocs.server.slots import SHARED, slot_of, tag_within
from luasprocs.server.urls import CLUSTER_SCHEMES, GUIDED_SCHEMES, place

LOOK_EVERY_S = 1.0
_IMPATIENT = {"socket_connect_timeout": PATIENCE_S}
"""How a cluster is connected to whose other shards are to be read if one hangs."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from luasprocs.server.slots import SlotRange


def open_registry(url: str, namespace: str = "", *, lenient: bool = False, **settings: Any) -> Registry:
    """The registry that a URL leads to. Only a cluster, or what may be one, is asked anything. `settings`: redis-py's.

    `lenient`: of a cluster whose directory of shards can't be reached the others are to be read all the same.

    Raises:
        SettingsError: the URL can't be used. redis.RedisError: the server can't be asked, or the cluster is down.
    """
    cluster = cluster_url(url, **settings)
    if cluster is None:
        return Registry(connect(url, **settings), Keys(namespace))
    if lenient:
        settings = {**_IMPATIENT, **settings}
    home = home_of(cluster, namespace, **settings)
    tagged = tagged_shards(cluster, home, primaries_of(cluster), {} if lenient else None, **settings)
    return registry_of(cluster, home, tagged, **settings)


class Fleet:
    """The registry that a URL leads to, for those who stay: in a cluster primaries come and go. `settings`: redis-py's.

    `lenient`: see `open_registry`.
    """

    def __init__(self, url: str, namespace: str = "", *, lenient: bool = False, **settings: Any) -> None:
        self._url, self._namespace, self._settings = url, namespace, settings
        self._to_nodes = {**_IMPATIENT, **settings} if lenient else settings
        self._known: dict[str, int] | None = {} if lenient else None
        self._cluster: str | None = None
        self._registry: Registry | None = None
        self._home: tuple[str, Registry] | None = None
        self._looked_s = self._began_s = 0.0
        self._alone = threading.Lock()

    @property
    def cluster(self) -> str | None:
        """The URL of the cluster, with all nodes that are known; None until `registry` found that there is one."""
        return self._cluster

    @property
    def began_s(self) -> float:
        """When the look began that shows the cluster as `registry` returned it last (unix seconds)."""
        return self._began_s

    def registry(self, seen: Seen | None = None) -> Registry:
        """The registry; in a cluster as it is now, or was a second ago. It is the same object as long as no shard changes.

        `seen`: the cluster's primaries, if somebody has just asked.

        Raises:
            SettingsError: the URL can't be used. redis.RedisError: the server can't be asked, or the cluster is down.
        """
        with self._alone:
            return self._current(seen)

    def _current(self, seen: Seen | None) -> Registry:
        if self._registry is not None and (self._cluster is None or time.monotonic() - self._looked_s < LOOK_EVERY_S):
            return self._registry
        if self._registry is None:
            self._cluster = cluster_url(self._url, **self._settings)
        if self._cluster is None:
            self._registry = Registry(connect(self._url, **self._settings), Keys(self._namespace))
            return self._registry
        if seen is None or not seen.primaries:
            began_s = time.time()
            seen = Seen(primaries_of(self._cluster), began_s)
        primaries, self._began_s = seen
        self._cluster = with_nodes(self._cluster, primaries)
        home = self._home_of(self._cluster)
        tagged = tagged_shards(self._cluster, home, primaries, self._known, **self._to_nodes)
        self._looked_s = time.monotonic()
        if self._known is not None:
            self._known = {tag: 0 for tag, _ in tagged}
        if self._registry is None or tagged != [(shard.keys.tag, shard.ranges) for shard in self._registry.shards]:
            self.close()
            self._registry = registry_of(self._cluster, home, tagged, **self._to_nodes)
        return self._registry

    def _home_of(self, cluster: str) -> Registry:
        """Where the directory is, by all nodes that are known."""
        if self._home is None or self._home[0] != cluster:
            if self._home:
                self._home[1].client.close()
            self._home = (cluster, home_of(cluster, self._namespace, **self._to_nodes))
        return self._home[1]

    def shards(self, seen: Seen | None = None) -> dict[Keys, str]:
        """The URL of each shard, by its keys: of a single server its own. `seen`, errors: see `registry`."""
        registry = self.registry(seen)
        if self._cluster is None:
            return {registry.keys: self._url}
        return {shard.keys: shard_url(self._cluster, shard.keys.tag) for shard in registry.shards}

    def places(self) -> dict[str, Keys]:
        """The same the other way round, and the keys of what is no single shard's. Raises as `registry`."""
        found = {url: keys for keys, url in self.shards().items()}
        return found if self._cluster is None else {**found, self._cluster: Keys(self._namespace, SHARED)}

    def cut(self) -> None:
        """Ends all connections, those in use too: whoever waits there has an error."""
        registry = self._registry
        for one in {*registry.shards, registry.home} if registry else ():
            one.client.connection_pool.disconnect(inuse_connections=True)

    def close(self) -> None:
        """Closes the connections that are not in use: another thread may read from one."""
        registry = self._registry
        for one in {*registry.shards, registry.home} if registry else ():
            one.client.connection_pool.disconnect(inuse_connections=False)


Tagged = tuple[str, tuple["SlotRange", ...]]
"""A shard: its tag, and the slots that its primary serves."""


def home_of(cluster: str, namespace: str, **settings: Any) -> Registry:
    """Where that stands which is no single shard's."""
    return Registry(connect(cluster, **settings), Keys(namespace, SHARED))


def tagged_shards(
    cluster: str, home: Registry, primaries: Iterable[Primary], known: Mapping[str, int] | None = None, **settings: Any
) -> list[Tagged]:
    """The shards on these primaries, the newest generation first, else in the order of their slots. Raises redis.RedisError.

    `known`: what counts as the directory while that can't be reached; without it, that raises.
    """
    try:
        generations: Mapping[str, int] = read_shards(home, hurried=known is not None)
    except (exceptions.ConnectionError, exceptions.TimeoutError):
        if known is None:
            raise
        generations = known

    def engine_tag(primary: Primary) -> str:
        server = Endpoint.of(cluster)  # not by its tag: the node that had that slot may not know yet that it has gone
        login = {"username": server.username or None, "password": server.password or None}
        there = connect(server.at(primary.address).plain_url(), **login, **settings)
        with there as client, contextlib.suppress(exceptions.RedisError):
            return text(Registry(client, home.keys).call_ro("shard"))
        return ""

    tagged = [(tag_of(one, generations, engine_tag), one.ranges) for one in primaries]
    return sorted(tagged, key=lambda one: -generations.get(one[0], 0))


def registry_of(cluster: str, home: Registry, tagged: Iterable[Tagged], **settings: Any) -> Registry:
    """The registry of a cluster with these shards."""
    first, *others = (
        Registry(
            connect(shard_url(cluster, tag), **settings), Keys(home.keys.namespace, tag), common=home, ranges=ranges
        )
        for tag, ranges in tagged
    )
    return replace(first, siblings=tuple(others))


def tag_of(primary: Primary, generations: Mapping[str, int], engine_tag: Callable[[Primary], str]) -> str:
    """The tag of a shard: that of its registry, or one for a registry to come.

    If there are several, others came with their slots: its own is the one that its engine serves. Without an engine it is the
    newest, or else the one that it would take anew. `engine_tag`: what the engine there says; "" for nothing.
    """
    there = [tag for tag in generations if primary.serves(slot_of(tag.encode()))]
    if len(there) == 1:
        return there[0]
    anew = tag_within(primary.ranges)
    if not there:
        return anew
    own = engine_tag(primary)
    return max(there, key=lambda tag: (tag == own, generations[tag], tag == anew, tag))


def read_shards(home: Registry, *, hurried: bool = False) -> dict[str, int]:
    """The directory: the tag of each registry, and its generation. `hurried`: or an error soon. Raises redis.RedisError."""
    key = home.keys.shards
    found: Any = soon(home.client, "HGETALL", key) if hurried else home.client.execute_command("HGETALL", key)
    pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
    return {text(tag): number(text(generation)) for tag, generation in pairs}


def cluster_url(url: str, **settings: Any) -> str | None:
    """The URL of the cluster that a URL leads to; None for a single server, which is asked if the scheme doesn't tell.

    Raises:
        SettingsError: the URL can't be used. redis.RedisError: the server can't be asked.
    """
    parts = urlsplit(url)
    if parts.scheme in CLUSTER_SCHEMES:
        return url
    if parts.scheme in GUIDED_SCHEMES:
        return None
    with connect(url, **settings) as client:
        if not is_cluster(client.execute_command("HELLO")):
            return None
        host, port = _address(client)
    login, at, _ = parts.netloc.rpartition("@")
    scheme = "rediss+cluster" if parts.scheme == "rediss" else "redis+cluster"
    return urlunsplit((scheme, f"{login}{at}{place(host, port)}", "", parts.query, ""))


def _address(client: Any) -> tuple[str, int]:
    """Host and port of the node that a client is connected to: a Unix socket has none, but the node knows its own."""
    given = client.connection_pool.connection_kwargs
    if "path" not in given:
        return given.get("host", "localhost"), given.get("port", 6379)
    info = client.info("server")
    return "localhost", int(info["tcp_port"])


def primaries_of(cluster: str, within_s: float = 0.0) -> tuple[Primary, ...]:
    """The primaries of a cluster, by its URL. Raises GuideError."""

    async def ask() -> tuple[Primary, ...]:
        async with Nodes(cluster, within_s) as nodes:
            return await nodes.primaries()

    with ThreadPoolExecutor(1, "luasprocs-guides") as thread:
        return thread.submit(asyncio.run, ask()).result()


def with_nodes(cluster: str, primaries: Iterable[Primary]) -> str:
    """The URL with these nodes beside its own, so that it leads on when its own are gone."""
    parts = urlsplit(cluster)
    login, at, hosts = parts.netloc.rpartition("@")
    known = [*hosts.split(","), *(place(*address) for one in primaries for address in (one.address, *one.replicas))]
    return urlunsplit(parts._replace(netloc=login + at + ",".join(dict.fromkeys(known))))


def shard_url(cluster: str, tag: str) -> str:
    """The URL of the primary that serves the slot of a tag."""
    parts = urlsplit(cluster)
    query = "&".join(filter(None, (parts.query, urlencode({"shard": tag}))))
    return urlunsplit(parts._replace(query=query))
