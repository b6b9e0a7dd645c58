"""One registry on a server: the client that reaches it, and the names of its keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from luasprocs.contract.functions import FUNCTIONS

if TYPE_CHECKING:
    from redis import Redis

    from luasprocs.contract.keys import Keys


@dataclass(frozen=True, slots=True)
class Registry:
    """What every function that reads or changes a registry takes."""

    client: Redis
    keys: Keys
    common: Registry | None = None
    """Of a shard: where what is no single shard's stands."""

    @property
    def home(self) -> Registry:
        """Where the requests, the suspension and the state of the sync are: once for all shards."""
        return self.common or self

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
