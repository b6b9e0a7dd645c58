"""One look at another registry than the one that is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.errors import LuasprocsError
from luasprocs_tui.backend.registry_backend import RegistryBackend
from luasprocs_tui.values.contexts import ContextFacts, facts_of, unread

if TYPE_CHECKING:
    from luasprocs.operations.contexts import Context

LOOK_TIMEOUT_S = 3.0


def look(context: Context) -> ContextFacts:
    """How it is. Blocks for some seconds at most; says so if nothing answers."""
    try:
        backend = RegistryBackend(context.url, context.namespace, timeout_s=LOOK_TIMEOUT_S)
        try:
            return facts_of(backend.snapshot((), full=True))
        finally:
            backend.close()
    except LuasprocsError:
        return unread("no answer")
