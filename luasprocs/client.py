"""An application's way to its sprocs: by name, typed, sync and async, alone or inside a redis-py pipeline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import ResponseError

from luasprocs import server
from luasprocs.errors import NoSprocError, ScriptError, SprocDisabledError
from luasprocs.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Sequence

Argument: TypeAlias = bytes | str | int | float
Reply: TypeAlias = "bytes | str | int | float | bool | list[Reply] | dict[Reply, Reply] | None"
T = TypeVar("T")

_ERRORS = {"NOSPROC": NoSprocError, "DISABLED": SprocDisabledError}
_PLACE = re.compile(r" script: (?:\S+, )?on @(?P<place>.+:\d+)\.$")


def script_error(error: ResponseError) -> ScriptError:
    """What a sproc's run answered, as this package's error: `CODE file:line: message`."""
    code = str(error.args[0]).partition(" ")[0] if error.args else ""
    return _ERRORS.get(code, ScriptError)(readable_error(str(error)))


def readable_error(text: str) -> str:
    """The server's text, with the place before the message instead of behind it."""
    found = _PLACE.search(text)
    if not found:
        return text
    said, place = text[: found.start()], found["place"]
    if f"{place}:" in said:
        return said
    code, _, message = said.partition(" ")
    return f"{code} {place}: {message}" if code.isupper() else f"{place}: {said}"


def command(
    keys: Keys, name: str, sproc_keys: Sequence[Argument], args: Sequence[Argument], *, readonly: bool
) -> list[Argument]:
    """The FCALL of one call, as `execute_command` takes it."""
    function = keys.function("execute_ro" if readonly else "execute")
    return ["FCALL_RO" if readonly else "FCALL", function, len(sproc_keys), *sproc_keys, name, *args]


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
    def execute(
        self,
        name: str,
        *,
        keys: Sequence[Argument] = (),
        args: Sequence[Argument] = (),
        readonly: bool = False,
    ) -> Any: ...
    @overload
    def execute(
        self,
        name: str,
        *,
        keys: Sequence[Argument] = (),
        args: Sequence[Argument] = (),
        readonly: bool = False,
        reply: type[T],
    ) -> T: ...
    def execute(
        self,
        name: str,
        *,
        keys: Sequence[Argument] = (),
        args: Sequence[Argument] = (),
        readonly: bool = False,
        reply: type[Any] | None = None,
    ) -> Any:
        """Runs a sproc. `reply`: the type that the reply must have; `str` decodes it. `readonly`: FCALL_RO, on replicas too.

        Raises:
            NoSprocError, SprocDisabledError: there is none of that name, or it is off.
            ScriptError: the sproc raised an error, or replied another type.
            redis.RedisError: the connection failed.
        """
        try:
            answer = self.client.execute_command(*command(self._keys, name, keys, args, readonly=readonly))
        except ResponseError as error:
            raise script_error(error) from error
        return answer if answer is self.client else _typed(name, answer, reply)

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
    async def execute(
        self,
        name: str,
        *,
        keys: Sequence[Argument] = (),
        args: Sequence[Argument] = (),
        readonly: bool = False,
    ) -> Any: ...
    @overload
    async def execute(
        self,
        name: str,
        *,
        keys: Sequence[Argument] = (),
        args: Sequence[Argument] = (),
        readonly: bool = False,
        reply: type[T],
    ) -> T: ...
    async def execute(
        self,
        name: str,
        *,
        keys: Sequence[Argument] = (),
        args: Sequence[Argument] = (),
        readonly: bool = False,
        reply: type[Any] | None = None,
    ) -> Any:
        """Runs a sproc: see `Sprocs.execute`."""
        try:
            answer = await self.client.execute_command(*command(self._keys, name, keys, args, readonly=readonly))
        except ResponseError as error:
            raise script_error(error) from error
        return _typed(name, answer, reply)

    def queue(
        self,
        pipeline: Any,
        name: str,
        *,
        keys: Sequence[Argument] = (),
        args: Sequence[Argument] = (),
        readonly: bool = False,
    ) -> None:
        """Queues a call in an asyncio pipeline; its reply is among those of the pipeline's `execute`."""
        pipeline.execute_command(*command(self._keys, name, keys, args, readonly=readonly))

    async def aclose(self) -> None:
        """Closes the connection."""
        await self.client.aclose()

    async def __aenter__(self) -> AsyncSprocs:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def connect(url: str | Redis, namespace: str = "") -> Sprocs:
    """Sprocs at a URL (`redis://`, `rediss://`, `unix://`), or through a redis-py client that the application has.

    Raises:
        SettingsError: the URL or the namespace can't be used. (Nothing is sent before the first call.)
    """
    return Sprocs(server.connect(url) if isinstance(url, str) else url, namespace)


def connect_async(url: str | AsyncRedis, namespace: str = "") -> AsyncSprocs:
    """The same for asyncio."""
    return AsyncSprocs(server.connect_async(url) if isinstance(url, str) else url, namespace)
