"""What is applied: a registry's revision, as one hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.encoding import number, text

if TYPE_CHECKING:
    from collections.abc import Mapping


class Revision(NamedTuple):
    """What is applied.

    `applied_at`: ISO 8601, UTC; `engine`: its version; `pinned`: the commit that a rollback left, or ""; `held`: what that
    rollback keeps out, see luasprocs.registry.pins.

    `defaults`: the metadata defaults that were merged into the sprocs, as JSON, or "".
    """

    commit: str = ""
    branch: str = ""
    generation: int = 0
    applied_at: str = ""
    applied_by: str = ""
    owner: str = ""
    engine: int = 0
    pinned: str = ""
    held: str = ""
    defaults: str = ""

    def fields(self) -> dict[str, str]:
        """As stored."""
        return {name: str(getattr(self, name)) for name in self._fields}

    @classmethod
    def parse(cls, stored: Mapping[Any, Any]) -> Revision:
        """From the hash; what isn't there, or is no number where one is due, has its default."""
        found: dict[str, Any] = {text(name): text(value) for name, value in stored.items()}
        for name in ("generation", "engine"):
            found[name] = number(found.get(name, ""))
        return cls(**{name: value for name, value in found.items() if name in cls._fields})
