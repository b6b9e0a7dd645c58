"""An application's way to its sprocs: by name, typed, sync and async, alone or inside a redis-py pipeline."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar, cast, overload

from redis import Redis, RedisCluster
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio import RedisCluster as AsyncRedisCluster
from redis.cluster import ClusterPipeline

from luasprocs.contract.keys import Keys
from luasprocs.errors import ScriptError
from luasprocs.server import connection as server
from luasprocs.server.places import Places, node_for
from luasprocs.server.script_errors import script_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

Argument: TypeAlias = bytes | str | int | float
Reply: TypeAlias = "bytes | str | int | float | bool | list[Reply] | dict[Reply, Reply] | None"
T = TypeVar("T")


class Call(TypedDict, total=False):
    """A call beside the sproc's name. `readonly`: by FCALL_RO, which serves on replicas too."""

    keys: Sequence[Argument]
    args: Sequence[Argument]
    readonly: bool


def command(
    registry: Keys, name: str, keys: Sequence[Argument] = (), args: Sequence[Argument] = (), *, readonly: bool = False
) -> list[Argument]:
    """The FCALL of one call, as `execute_command` takes it."""
    function = registry.function("execute_ro" if readonly else "execute")
    return ["FCALL_RO" if readonly else "FCALL", function, len(keys), *keys, name, *args]


def enqueue_command(
    registry: Keys, name: str, keys: Sequence[Argument] = (), args: Sequence[Argument] = (), origin: str = "-"
) -> list[Argument]:
    """The FCALL that enqueues an async run. `origin`: what its record shows as the reason, `-` for none."""
    return ["FCALL", registry.function("enqueue"), len(keys), *keys, name, origin, 1, *args]


def _job_id(reply: Any) -> str | None:
    return reply.decode() if isinstance(reply, bytes) else reply


def _typed(name: str, reply: Any, kind: type[Any] | None) -> Any:
    if kind is str and isinstance(reply, bytes):
        try:
            return reply.decode()
        except UnicodeDecodeError as error:
            raise ScriptError(f"{name} replied bytes that are not UTF-8: {reply!r:.200}") from error
    if kind is not None and not isinstance(reply, kind):
        raise ScriptError(f"{name} replied {type(reply).__name__}, not {kind.__name__}: {reply!r:.200}")
    return reply


class Sprocs:
    """The sprocs of one registry, through a redis-py client or pipeline.

    With a pipeline `execute` queues the call, and answers the pipeline; errors then are redis-py's own, from its `execute`.
    `url`: the client's, if its server is to be asked whether it is a node of a cluster.
    """

    def __init__(
        self, client: Redis | RedisCluster, namespace: str = "", *, url: str = "", replicas: bool = False
    ) -> None:
        self._client, self._url, self._replicas = client, url, replicas
        self._keys = Keys(namespace)
        self._places, self._asked = Places(namespace), client
        self._alone = threading.Lock()

    @property
    def client(self) -> Any:
        """The redis-py client, or that of the whole cluster which the URL leads to: its node is asked once."""
        if self._url:
            with self._alone:
                if self._url:
                    from luasprocs.server.cluster_clients import routed  # noqa: PLC0415  # 3 ms, paid by who connects by URL

                    self._client = self._asked = routed(self._url, cast("Redis", self._client), replicas=self._replicas)
                    self._url = ""
        return self._client

    def _send(self, command: list[Argument], keys: Sequence[Argument], name: str) -> Any:
        client = self.client
        if not isinstance(client, RedisCluster):
            return client.execute_command(*command)
        if keys:
            place: Any = keys[0]
        elif isinstance(self._asked, RedisCluster) and not isinstance(self._asked, ClusterPipeline):
            place = self._places.of(name, self._asked)
        else:
            place = self._places.known(name)
        return client.execute_command(*command, target_nodes=node_for(client, place, command[0]))

    @overload
    def execute(self, name: str, **call: Unpack[Call]) -> Any: ...
    @overload
    def execute(self, name: str, *, reply: type[T], **call: Unpack[Call]) -> T: ...
    def execute(self, name: str, *, reply: type[Any] | None = None, **call: Unpack[Call]) -> Any:
        """Runs a sproc. `reply`: the type that the reply must have; `str` decodes it. The rest: see `Call`.

        Raises:
            NoSprocError, SprocDisabledError: there is none of that name, or it is off.
            ScriptError: the sproc raised an error, or replied another type.
            redis.RedisError: the connection failed.
        """
        with script_errors(name):
            answer = self._send(command(self._keys, name, **call), call.get("keys", ()), name)
        return answer if answer is self._client else _typed(name, answer, reply)

    def enqueue(self, name: str, keys: Sequence[Argument] = (), args: Sequence[Argument] = ()) -> Any:
        """Asks for an async run of a `runasync=yes` sproc. Returns the job's id; None where `overlap=skip` left it out.

        Raises:
            NoSprocError, SprocDisabledError: there is none of that name, or it is off. ScriptError: it is not async.
            redis.RedisError: the connection failed.
        """
        with script_errors(name):
            answer = self._send(enqueue_command(self._keys, name, keys, args), keys, name)
        return answer if answer is self._client else _job_id(answer)

    def on(self, client: Redis | RedisCluster) -> Sprocs:
        """The same registry through another client: inside a pipeline, `sprocs.on(pipe).execute(…)`."""
        other = Sprocs(client, self._keys.namespace)
        other._places, other._asked = self._places, self._asked
        return other

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def __enter__(self) -> Sprocs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncSprocs:
    """The same for asyncio. In an asyncio pipeline a call is queued by `await`ing nothing: see `queue`."""

    def __init__(
        self, client: AsyncRedis | AsyncRedisCluster, namespace: str = "", *, url: str = "", replicas: bool = False
    ) -> None:
        self._client, self._url, self._replicas = client, url, replicas
        self._keys, self._places = Keys(namespace), Places(namespace)
        self._alone = asyncio.Lock()

    @property
    def client(self) -> Any:
        """The redis-py client; after the first call that of the whole cluster which the URL leads to."""
        return self._client

    async def resolve(self) -> Any:
        """The client, once the URL's server was asked whether it is a cluster's node: a call does that, too."""
        if self._url:
            async with self._alone:
                if self._url:
                    from luasprocs.server.cluster_clients import async_routed  # noqa: PLC0415  # as in `Sprocs`

                    self._client = await async_routed(
                        self._url, cast("AsyncRedis", self._client), replicas=self._replicas
                    )
                    self._url = ""
        if isinstance(self._client, AsyncRedisCluster):
            await self._client.initialize()
        return self._client

    async def _send(self, command: list[Argument], keys: Sequence[Argument], name: str) -> Any:
        client = await self.resolve()
        if not isinstance(client, AsyncRedisCluster):
            return await client.execute_command(*command)
        place: Any = keys[0] if keys else await self._places.async_of(name, client)
        return await client.execute_command(*command, target_nodes=node_for(client, place, command[0]))

    @overload
    async def execute(self, name: str, **call: Unpack[Call]) -> Any: ...
    @overload
    async def execute(self, name: str, *, reply: type[T], **call: Unpack[Call]) -> T: ...
    async def execute(self, name: str, *, reply: type[Any] | None = None, **call: Unpack[Call]) -> Any:
        """Runs a sproc: see `Sprocs.execute`."""
        with script_errors(name):
            answer = await self._send(command(self._keys, name, **call), call.get("keys", ()), name)
        return _typed(name, answer, reply)

    async def enqueue(self, name: str, keys: Sequence[Argument] = (), args: Sequence[Argument] = ()) -> str | None:
        """Asks for an async run: see `Sprocs.enqueue`."""
        with script_errors(name):
            return _job_id(await self._send(enqueue_command(self._keys, name, keys, args), keys, name))

    def queue(self, pipeline: Any, name: str, **call: Unpack[Call]) -> None:
        """Queues a call in an asyncio pipeline; its reply is among those of the pipeline's `execute`.

        In a cluster a call without keys goes by `at` once the sproc was called before, else by its name.
        """
        words, keys = command(self._keys, name, **call), call.get("keys", ())
        cluster = getattr(pipeline, "cluster_client", None)
        if cluster is None or not cluster.nodes_manager.slots_cache:
            pipeline.execute_command(*words)
            return
        place: Any = keys[0] if keys else self._places.known(name)
        pipeline.execute_command(*words, target_nodes=node_for(cluster, place, words[0]))

    async def aclose(self) -> None:
        """Closes the connection."""
        await self._client.aclose()

    async def __aenter__(self) -> AsyncSprocs:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def connect(url: str | Redis | RedisCluster, namespace: str = "", *, replicas: bool = False) -> Sprocs:
    """Sprocs at a URL (`redis://`, `rediss://`, `unix://`, `redis+sentinel://`, `redis+cluster://`), or through a redis-py client
    that the application has. The URL of any node leads to its whole cluster.

    `replicas`: in a cluster, calls with `readonly` go to replicas, if there are any. A `RedisCluster` says that itself, by its
    `load_balancing_strategy`.

    Raises:
        SettingsError: the URL or the namespace can't be used. (Nothing is sent before the first call.)
    """
    if not isinstance(url, str):
        return Sprocs(url, namespace)
    return Sprocs(server.connect(url), namespace, url=url, replicas=replicas)


def connect_async(
    url: str | AsyncRedis | AsyncRedisCluster, namespace: str = "", *, replicas: bool = False
) -> AsyncSprocs:
    """The same for asyncio."""
    if not isinstance(url, str):
        return AsyncSprocs(url, namespace)
    return AsyncSprocs(server.connect_async(url), namespace, url=url, replicas=replicas)
