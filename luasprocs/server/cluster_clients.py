"""redis-py's clients of a whole cluster: for calls, which go to the node that serves their keys."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from redis import RedisCluster, exceptions
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.asyncio.cluster import ClusterNode as AsyncClusterNode
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, LoadBalancingStrategy
from redis.retry import Retry

from luasprocs.server.endpoint import CLIENT_NAME, Endpoint
from luasprocs.server.errors import is_lasting
from luasprocs.server.fleet import cluster_url
from luasprocs.server.guides import is_cluster
from luasprocs.server.urls import CLUSTER_SCHEMES, GUIDED_SCHEMES

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis


def routed(url: str, client: Redis, *, replicas: bool = False) -> Redis | RedisCluster:
    """The client, or that of the whole cluster which its URL leads to: a node is asked. Raises redis.RedisError.

    `replicas`: what only reads goes to them, if there are any.
    """
    if _may_be_cluster(url):
        try:
            found = url if _is_cluster_url(url) or is_cluster(client.execute_command("HELLO")) else None
        except exceptions.ResponseError as error:
            if not is_lasting(error):  # else it will never answer HELLO
                raise
            return client
        if found:
            client.close()
            return cluster_client(_cluster_of(found), replicas=replicas)
    return client


async def async_routed(url: str, client: AsyncRedis, *, replicas: bool = False) -> AsyncRedis | AsyncRedisCluster:
    """The same for asyncio."""
    if _may_be_cluster(url):
        try:
            found = url if _is_cluster_url(url) or is_cluster(await client.execute_command("HELLO")) else None
        except exceptions.ResponseError as error:
            if not is_lasting(error):  # else it will never answer HELLO
                raise
            return client
        if found:
            await client.aclose()
            made = async_cluster_client(await asyncio.to_thread(_cluster_of, found), replicas=replicas)
            await made.initialize()
            return made
    return client


def _cluster_of(url: str) -> str:
    return cluster_url(url) or url


def _is_cluster_url(url: str) -> bool:
    return urlsplit(url).scheme in CLUSTER_SCHEMES


def _may_be_cluster(url: str) -> bool:
    return _is_cluster_url(url) or urlsplit(url).scheme not in GUIDED_SCHEMES


def cluster_client(url: str, *, replicas: bool = False) -> RedisCluster:
    """The client of the cluster with this URL; asks its nodes. A command is never repeated by itself."""
    endpoint = Endpoint.of(url)
    nodes = [ClusterNode(*address) for address in endpoint.guides]
    return RedisCluster(startup_nodes=nodes, retry=Retry(NoBackoff(), 0), **_settings(endpoint, replicas))


def async_cluster_client(url: str, *, replicas: bool = False) -> AsyncRedisCluster:
    endpoint = Endpoint.of(url)
    nodes = [AsyncClusterNode(*address) for address in endpoint.guides]
    return AsyncRedisCluster(startup_nodes=nodes, retry=AsyncRetry(NoBackoff(), 0), **_settings(endpoint, replicas))


def _settings(endpoint: Endpoint, replicas: bool) -> dict[str, Any]:
    tls: dict[str, Any] = {name: value for name, value in endpoint.options.items() if name.startswith("ssl_")}
    if "ssl_check_hostname" in tls:
        tls["ssl_check_hostname"] = tls["ssl_check_hostname"].lower() in {"1", "true", "yes"}
    return {
        "username": endpoint.username or None,
        "password": endpoint.password or None,
        "protocol": 2,
        "client_name": endpoint.options.get("client_name", CLIENT_NAME),
        "socket_connect_timeout": endpoint.connect_timeout_s,
        "socket_timeout": endpoint.reply_timeout_s,
        "load_balancing_strategy": LoadBalancingStrategy.ROUND_ROBIN_REPLICAS if replicas else None,
        **({"ssl": True, **tls} if endpoint.tls else {}),
    }
