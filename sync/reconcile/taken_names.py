"""Names that other libraries have, asked before anything is written; who may not list functions learns it from sync."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from luasprocs.errors import ProblemsError
from luasprocs.registry.functions import function_problems, functions_after
from luasprocs.registry.server_compile import foreign_library
from luasprocs.server.errors import is_forbidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.live import Live
    from luasprocs.server.registry import Registry
    from sync.reconcile.desired import Desired
    from sync.reconcile.syncer import Prepared


def refuse_foreign_engine(registry: Registry, live: Live) -> None:
    """Refuses a server where another library has the engine's name.

    Raises:
        OwnerError: it has.
    """
    if live.about is not None:
        return
    library = registry.keys.library
    try:
        found = registry.client.execute_command("FUNCTION", "LIST", "LIBRARYNAME", library)
    except ResponseError as error:
        if not is_forbidden(error):
            raise
        return
    if found:
        raise foreign_library(library)


def refuse_taken_functions(registry: Registry, desired: Desired, prepared: Prepared, put: Sequence[Sproc]) -> None:
    """Refuses a plan if a function of a sproc's own is another sproc's or library's already.

    Raises:
        ProblemsError: with all of them, at their files.
    """
    live = prepared.live
    try:
        problems = [*function_problems(registry, live, functions_after(live, put, prepared.plan.deleted), put)]
    except ResponseError as error:
        if not is_forbidden(error):
            raise
        return
    if problems:
        raise ProblemsError(replace(one, path=desired.path(one.path)) for one in problems)
