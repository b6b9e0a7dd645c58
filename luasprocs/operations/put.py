"""Makes sprocs live directly, without git: for tests, throw-away servers and benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.registry.apply import apply
from luasprocs.registry.live import read_live
from luasprocs.registry.transaction import Change

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.language.sproc import Sproc
    from luasprocs.registry.revision import Revision
    from luasprocs.server.registry import Registry

DIRECTLY = Change(
    commit="",
    branch="",
    owner="directly",
    author="",
    subject="",
    applied_by="",
    put=(),
    deleted=(),
    names=(),
)
"""By no repository."""


def put(
    registry: Registry,
    sprocs: Iterable[Sproc] = (),
    *,
    delete: Iterable[str] | None = None,
    about: Change = DIRECTLY,
) -> Revision:
    """Makes sprocs live in one generation. `delete`: the names that go, None: all others.

    `about`: commit, owner and so on, as the history keeps them; which sprocs it names does not matter.

    Raises:
        ProblemsError: a source does not compile on the server; nothing was changed.
        OwnerError, ConflictError, redis.RedisError: see `luasprocs.registry.apply`.
    """
    live = read_live(registry)
    found = {sproc.name: sproc for sproc in sprocs}
    gone = live.sprocs.keys() if delete is None else live.sprocs.keys() & set(delete)
    deleted = gone - found.keys()
    names = (live.sprocs.keys() | found.keys()) - deleted
    change = about._replace(put=tuple(found.values()), deleted=tuple(sorted(deleted)), names=tuple(sorted(names)))
    return apply(registry, live, change)
