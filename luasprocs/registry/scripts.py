"""The sources of sprocs with `evalsha=yes` as the server's scripts: which of them it has forgotten, and loading those again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw
from luasprocs.registry.live import read_sprocs
from luasprocs.server.shards import each_shard

if TYPE_CHECKING:
    from luasprocs.language.needs import Needs
    from luasprocs.server.registry import Registry


def load_scripts(registry: Registry, needs: Needs) -> None:
    """As `load_missing`, on each shard."""
    if needs.scripts:
        each_shard(registry, lambda shard: load_missing(shard, needs))


def load_missing(registry: Registry, needs: Needs) -> None:
    """Loads what SCRIPT FLUSH or a restart took. Raises redis.RedisError."""
    if not needs.scripts:
        return
    pipe = registry.client.pipeline(transaction=False)
    for name in needs.scripts:
        pipe.hget(raw(registry.keys.name(name)), "sha")
    shas = dict(zip(needs.scripts, pipe.execute(), strict=True))
    known = {name: sha for name, sha in shas.items() if sha}
    there: Any = registry.client.script_exists(*known.values()) if known else []
    missing = [name for name, exists in zip(known, there, strict=True) if not exists]
    for sproc in read_sprocs(registry, missing):
        registry.client.script_load(sproc.source)
