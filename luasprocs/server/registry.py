"""One registry on a server, or in a cluster: the client that reaches it, and the names of its keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luasprocs.contract.functions import FUNCTIONS
from luasprocs.server.slots import slot_of

if TYPE_CHECKING:
    from redis import Redis

    from luasprocs.contract.keys import Keys
    from luasprocs.server.slots import SlotRange


@dataclass(frozen=True, slots=True)
class Registry:
    """What every function that reads or changes a registry takes.

    In a cluster each primary, a shard, holds all of it under keys of its own. `client` and `keys` are then those of the shard
    that has the newest generation; `siblings`: the other shards; `common`: where that stands which is no single shard's.
    """

    client: Redis
    keys: Keys
    siblings: tuple[Registry, ...] = ()
    common: Registry | None = None
    ranges: tuple[SlotRange, ...] = ()
    """Of a shard: the slots that its primary served when it was found."""

    @property
    def shards(self) -> tuple[Registry, ...]:
        """This one, and its siblings: all of them hold the same sprocs."""
        return (self, *self.siblings)

    @property
    def home(self) -> Registry:
        """Where the requests to daemons, the suspension and the state of the sync stand: once for all shards."""
        return self.common or self

    def at(self, key: bytes) -> Registry:
        """The shard that serves a key."""
        slot = slot_of(key) if self.siblings else 0
        return next((shard for shard in self.shards if any(slot in one for one in shard.ranges)), self)

    def call(self, function: str, *words: Any) -> Any:
        """Calls a function of the engine without keys, by its name in the contract: `registry.call("tick", 250, 1)`."""
        return self.client.execute_command("FCALL", *self.words(function, *words))

    def call_ro(self, function: str, *words: Any) -> Any:
        """The same of one that only reads."""
        return self.client.execute_command("FCALL_RO", *self.words(function, *words))

    def words(self, function: str, *words: Any) -> tuple[Any, ...]:
        """What follows FCALL or FCALL_RO: for pipelines.

        Raises:
            TypeError: the function takes other arguments.
        """
        return (self.keys.function(function), 0, *FUNCTIONS[function].checked(words))
