"""Names of functions and libraries that are taken on the server, before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError, ResponseError

from luasprocs.contract.encoding import text
from luasprocs.contract.functions import FUNCTIONS
from luasprocs.errors import OwnerError
from luasprocs.language.header import fields_of
from luasprocs.language.needs import KEY, needs_of, shared
from luasprocs.language.places import START, Lines
from luasprocs.language.problems import problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from luasprocs.errors import Problem
    from luasprocs.language.needs import Needs, Own
    from luasprocs.language.places import Range
    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry


def require_free(registry: Registry, *, adopt: bool) -> None:
    """Refuses names that the engine is to have and somebody else has. To be asked if no engine answers.

    Raises:
        OwnerError: another library has the engine's name, which `adopt` would replace, or names of its functions.
    """
    try:
        others = _others(registry)
        there: Any = registry.client.execute_command("FUNCTION", "LIST", "LIBRARYNAME", registry.keys.library)
    except NoPermissionError:
        return  # who may not ask may not load either
    if there and not adopt and not _answers(registry):
        raise names_taken(registry, f"library {registry.keys.library} is no engine of luasprocs")
    for own in map(registry.keys.function, FUNCTIONS):
        if own in others:
            raise names_taken(registry, f"function {own} belongs to the library {others[own]}")


def names_taken(registry: Registry, why: str) -> OwnerError:
    """The error for an engine that another library keeps from being loaded."""
    return OwnerError(
        f"another function library has the engine's names: {why}; give this repository a namespace, or "
        f"replace a library named {registry.keys.library} by sync --adopt"
    )


def _answers(registry: Registry) -> bool:
    """Whether it is an engine after all, which another process has loaded just now."""
    try:
        registry.call_ro("about")
    except ResponseError:
        return False
    return True


def problems_of(registry: Registry, live: Live, put: Sequence[Sproc], deleted: Collection[str]) -> Iterator[Problem]:
    """What `function_problems` says of a change that puts and deletes these.

    Raises:
        redis.RedisError: the connection or a right failed.
    """
    if any(KEY in sproc.values for sproc in put):
        yield from function_problems(registry, live, functions_after(live, put, deleted), put)


def function_problems(registry: Registry, live: Live, needs: Needs, put: Iterable[Sproc]) -> Iterator[Problem]:
    """Functions that are to be, `needs`, but have the name of another one, of a sproc or of another library of the server.

    The server is asked if there are new ones. `put`: where to find a header's line.

    Raises:
        redis.RedisError: the connection or a right failed.
    """
    sources = {sproc.name: sproc.source for sproc in put}
    doubled = shared(needs.functions)
    for one, first in doubled.items():
        put_one, other = (one, first) if one.sproc in sources else (first, one)
        yield _problem(
            put_one, f"function {put_one.function} is {other.sproc}'s already: give one another name", sources
        )
    mine = {one.folded for one in live.needs.functions} if live.about else set()
    new = [one for one in needs.functions if one.folded not in mine and one not in doubled]
    taken = _others(registry) if new else {}
    for one in new:
        if one.folded in taken:
            what = (
                f"function {one.function} belongs to the library {taken[one.folded]} on this server: take another name"
            )
            yield _problem(one, what, sources)


def functions_after(live: Live, put: Sequence[Sproc], deleted: Collection[str]) -> Needs:
    """The functions of sprocs put, and of the live ones that stay. Pure."""
    names = {sproc.name for sproc in put}.union(deleted)
    stay = (one for one in live.needs.functions if one.sproc not in names)
    wanted = needs_of((sproc.name, sproc.values) for sproc in put)
    return wanted._replace(functions=tuple(sorted((*wanted.functions, *stay))))


def _problem(one: Own, what: str, sources: dict[str, bytes]) -> Problem:
    return problem(one.sproc, "function.taken", what, _place(sources.get(one.sproc, b"")))


def _place(source: bytes) -> Range:
    """Where a header names its function."""
    found = source.decode("utf-8", "surrogateescape")
    return next((one.value_range for one in fields_of(found, Lines(found)) if one.key == KEY), START)


def _others(registry: Registry) -> dict[str, str]:
    """Each function of other libraries on the server, in lower case, with its library."""
    found: dict[str, str] = {}
    libraries: Any = registry.client.execute_command("FUNCTION", "LIST")
    for stored in libraries:
        library = _pairs(stored)
        name = text(library["library_name"])
        if name != registry.keys.library:
            found |= {text(_pairs(one)["name"]).lower(): name for one in library["functions"]}
    return found


def _pairs(stored: Any) -> dict[str, Any]:
    """A map, as RESP3 has it, or flat."""
    pairs = stored.items() if isinstance(stored, dict) else zip(stored[::2], stored[1::2], strict=True)
    return {text(name): value for name, value in pairs}
