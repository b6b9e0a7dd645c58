"""Proves on the server itself that sources compile, before anything is written."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import NoPermissionError, ResponseError

from luasprocs.contract.encoding import raw, text
from luasprocs.contract.replies import About
from luasprocs.errors import ConflictError, Problem
from luasprocs.language.needs import Needs, is_script, needs_of, together
from luasprocs.registry.functions import names_taken
from luasprocs.registry.place import connection_to
from luasprocs.registry.transaction import Row, Stored, rows_of
from luasprocs.server.errors import is_name_taken
from luasprocs.server.pipeline import borrowed, packed
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from luasprocs.engine import Engine
    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.live import Live

COMPILE_CHUNK_BYTES = 128 * 1024
"""Source that one call compiles: about 2 ms of the server's time."""
COMPILES_AHEAD = 2
"""Calls under way, so that the server compiles while the next ones are made."""


class Proof(NamedTuple):
    """The engine is loaded, and all `sprocs` compile on the server but for `problems`; `rows` in the same order, and what they
    need beside that.

    `beside`: the same of the other shards of a cluster, in the order of `Registry.siblings`, if they were asked at once.
    """

    engine: Engine
    sprocs: tuple[Sproc, ...]
    rows: tuple[Row, ...]
    needs: Needs
    problems: tuple[Problem, ...]
    beside: tuple[Proof, ...] = ()


@dataclass(frozen=True)
class Batch:
    """Sprocs that one call compiles: what each shard is sent for them. `scripts`: those that EVALSHA finds."""

    sprocs: tuple[Sproc, ...]
    scripts: tuple[Sproc, ...]
    command: bytes

    @cached_property
    def stored(self) -> tuple[Stored, ...]:
        """Made while a server compiles."""
        return tuple(map(Stored.of, self.sprocs))

    @cached_property
    def needs(self) -> Needs:
        """The same."""
        return needs_of((sproc.name, sproc.values) for sproc in self.sprocs)


def batches_of(registry: Registry, sprocs: Iterable[Sproc]) -> Iterator[Batch]:
    """The same for all shards: functions have the same names everywhere."""
    function = registry.keys.function("compile")
    for chunk in _chunks(sprocs):
        parts = [part for sproc in chunk for part in (raw(sproc.name), sproc.source)]
        scripts = tuple(sproc for sproc in chunk if is_script(sproc.values))
        loads = (packed("SCRIPT", "LOAD", one.source) for one in scripts)
        yield Batch(tuple(chunk), scripts, b"".join((packed("FCALL_RO", function, 0, *parts), *loads)))


def prove(
    registry: Registry,
    live: Live,
    engine: Engine,
    batches: Iterable[Batch],
    progress: Callable[[int], None] = lambda _: None,
    *,
    adopt: bool = False,
) -> Proof:
    """Compiles sprocs on this very server, after the engine was loaded there. `progress` hears how many are compiled.

    While the server compiles, the next ones are taken from the iterable and their rows are made: what takes the client long
    is best done there. `adopt`: even a library that is not luasprocs' is replaced.

    Raises:
        OwnerError: another library has the engine's name, or names of its functions.
    """
    _load_engine(registry, live, engine, adopt=adopt)
    problems: list[Problem] = []
    proven: list[Sproc] = []
    rows: list[Row] = []
    needs: list[Needs] = []
    with borrowed(registry.client) as connection:
        unanswered: deque[Batch] = deque()
        for batch in batches:
            connection.send_packed_command([batch.command])
            unanswered.append(batch)
            proven += batch.sprocs
            rows += rows_of(registry.keys, batch.stored)
            needs.append(batch.needs)
            if len(unanswered) == COMPILES_AHEAD:
                problems += _answer(connection, unanswered.popleft())
            progress(len(rows))
        while unanswered:
            problems += _answer(connection, unanswered.popleft())
    return Proof(engine, tuple(proven), tuple(rows), together(needs), tuple(problems))


def _answer(connection: Any, batch: Batch) -> list[Problem]:
    found = {text(name): text(said) for name, said in _pairs(connection.read_response())}
    problems = [_compile_problem(name, said) for name, said in found.items()]
    for sproc in batch.scripts:
        try:
            connection.read_response()
        except NoPermissionError:
            raise
        except ResponseError as error:
            if sproc.name not in found:
                problems.append(Problem(sproc.name, 1, 1, f"evalsha=yes: the server takes no such script: {error}"))
    return problems


def _chunks(sprocs: Iterable[Sproc]) -> Iterable[list[Sproc]]:
    chunk: list[Sproc] = []
    size = 0
    for sproc in sprocs:
        chunk.append(sproc)
        size += len(sproc.source)
        if size >= COMPILE_CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _compile_problem(name: str, message: str) -> Problem:
    line, _, said = message.removeprefix(f"{name}:").partition(":")
    return Problem(name, int(line), 1, said.strip()) if line.isdecimal() else Problem(name, 1, 1, message)


def _ours(registry: Registry, engine: Engine) -> bool:
    """Whether what has the engine's names is an engine of the same repository: another process loaded it just now."""
    try:
        about = About.parse(registry.call_ro("about"))
    except ResponseError:
        return False
    return about is not None and about.owner == engine.owner


def _load_engine(registry: Registry, live: Live, engine: Engine, *, adopt: bool) -> None:
    """Loads the engine, unless it is there: harmless, it only empties a cache. One that another process has loaded since `live`
    was read stays: it has another secret.
    """
    if live.about is not None and live.about.text_id == engine.id:
        return
    # Where no engine answers, a library of its name is somebody else's: without REPLACE the server refuses to touch it.
    refusal = _load(registry, engine, replace=live.about is not None)
    if refusal and _ours(registry, engine):
        raise ConflictError("another sync loaded the engine first: plan again") from refusal
    if refusal and adopt:
        refusal = _load(registry, engine, replace=True)
    if refusal:
        raise names_taken(registry, str(refusal)) from refusal


def _load(registry: Registry, engine: Engine, *, replace: bool) -> ResponseError | None:
    """Returns the server's refusal if names are taken."""
    words = ("FUNCTION", "LOAD", *(("REPLACE",) if replace else ()), engine.text)
    try:
        with connection_to(registry) as connection:
            connection.send_packed_command([packed(*words)])
            connection.read_response()
    except ResponseError as error:
        if not is_name_taken(error):
            raise
        return error
    return None
