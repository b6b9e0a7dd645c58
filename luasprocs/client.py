"""An application's way to its sprocs: by name, typed, sync and async, alone or inside a redis-py pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar, overload

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from luasprocs.contract.keys import Keys
from luasprocs.errors import ScriptError
from luasprocs.server import connection as server
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
    """

    def __init__(self, client: Redis, namespace: str = "") -> None:
        self.client = client
        self._keys = Keys(namespace)

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
            answer = self.client.execute_command(*command(self._keys, name, **call))
        return answer if answer is self.client else _typed(name, answer, reply)

    def enqueue(self, name: str, keys: Sequence[Argument] = (), args: Sequence[Argument] = ()) -> Any:
        """Asks for an async run of a `runasync=yes` sproc. Returns the job's id; None where `overlap=skip` left it out.

        Raises:
            NoSprocError, SprocDisabledError: there is none of that name, or it is off. ScriptError: it is not async.
            redis.RedisError: the connection failed.
        """
        with script_errors(name):
            answer = self.client.execute_command(*enqueue_command(self._keys, name, keys, args))
        return answer if answer is self.client else _job_id(answer)

    def on(self, client: Redis) -> Sprocs:
        """The same registry through another client: inside a pipeline, `sprocs.on(pipe).execute(…)`."""
        return Sprocs(client, self._keys.namespace)

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()

    def __enter__(self) -> Sprocs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncSprocs:
    """The same for asyncio. In an asyncio pipeline a call is queued by `await`ing nothing: see `queue`."""

    def __init__(self, client: AsyncRedis, namespace: str = "") -> None:
        self.client = client
        self._keys = Keys(namespace)

    @overload
    async def execute(self, name: str, **call: Unpack[Call]) -> Any: ...
    @overload
    async def execute(self, name: str, *, reply: type[T], **call: Unpack[Call]) -> T: ...
    async def execute(self, name: str, *, reply: type[Any] | None = None, **call: Unpack[Call]) -> Any:
        """Runs a sproc: see `Sprocs.execute`."""
        with script_errors(name):
            answer = await self.client.execute_command(*command(self._keys, name, **call))
        return _typed(name, answer, reply)

    async def enqueue(self, name: str, keys: Sequence[Argument] = (), args: Sequence[Argument] = ()) -> str | None:
        """Asks for an async run: see `Sprocs.enqueue`."""
        with script_errors(name):
            return _job_id(await self.client.execute_command(*enqueue_command(self._keys, name, keys, args)))

    def queue(self, pipeline: Any, name: str, **call: Unpack[Call]) -> None:
        """Queues a call in an asyncio pipeline; its reply is among those of the pipeline's `execute`."""
        pipeline.execute_command(*command(self._keys, name, **call))

    async def aclose(self) -> None:
        """Closes the connection."""
        await self.client.aclose()

    async def __aenter__(self) -> AsyncSprocs:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def connect(url: str | Redis, namespace: str = "") -> Sprocs:
    """Sprocs at a URL (`redis://`, `rediss://`, `unix://`, `redis+sentinel://`), or through a redis-py client that the
    application has.

    Raises:
        SettingsError: the URL or the namespace can't be used. (Nothing is sent before the first call.)
    """
    return Sprocs(server.connect(url) if isinstance(url, str) else url, namespace)


def connect_async(url: str | AsyncRedis, namespace: str = "") -> AsyncSprocs:
    """The same for asyncio."""
    return AsyncSprocs(server.connect_async(url) if isinstance(url, str) else url, namespace)
