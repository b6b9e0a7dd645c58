"""Loads the engine that a registry needs, where nothing else is wrong: what is live stays, so that this is no generation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.engine import VERSION
from luasprocs.errors import ConflictError
from luasprocs.registry.place import OVERTAKEN, connection_to
from luasprocs.registry.revision import Revision
from luasprocs.server.pipeline import packed, transact

if TYPE_CHECKING:
    from luasprocs.engine import Engine
    from luasprocs.registry.live import Live
    from luasprocs.registry.plan import Plan
    from luasprocs.server.registry import Registry


def only_engine(live: Live, plan: Plan) -> bool:
    """Whether the engine's text is all that a plan mends. An engine of another VERSION is a generation, which says so."""
    changes = plan.created or plan.updated or plan.deleted or plan.undone or live.faults or live.siblings
    return bool(plan.repairs) and not changes and live.revision.engine == VERSION


def reload_engine(registry: Registry, live: Live, engine: Engine) -> None:
    """Loads the engine in one MULTI; daemons read the triggers again.

    Raises:
        ConflictError: the registry changed since `live` was read. redis.RedisError: the server refused.
    """
    keys = registry.keys
    with connection_to(registry, keys.revision) as connection:
        if Revision.parse(registry.client.hgetall(keys.revision)) != live.revision:
            raise ConflictError(OVERTAKEN)
        counts = () if live.about is None else (packed("FCALL", *registry.words("flush")),)
        replies = transact(
            connection,
            iter(
                (
                    *counts,
                    packed("FUNCTION", "LOAD", "REPLACE", engine.text),
                    packed("PUBLISH", keys.generations, f"{engine.secret} {live.revision.generation}"),
                )
            ),
        )
    if failed := [reply for reply in replies if isinstance(reply, Exception)]:
        raise ConflictError(f"the engine could not be loaded: {failed[0]}")
