"""All live sprocs with their state: what `luasprocs list` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.server.readable_errors import readable_error
from luasprocs.state.paused import read_paused
from luasprocs.state.stats import read_stats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.language.sproc import Sproc
    from luasprocs.server.registry import Registry
    from luasprocs.state.stats import Stats


class Listing(NamedTuple):
    """`names`: as the registry lists them; `sprocs`: by name, without those whose hash is none; `stats`: what findings need."""

    names: tuple[str, ...]
    sprocs: Mapping[str, Sproc]
    drift: frozenset[str]
    edited: frozenset[str]
    paused: frozenset[str]
    stats: Mapping[str, Stats]

    @property
    def marks(self) -> Mapping[str, frozenset[str]]:
        """Each state that is not as usual, and the sprocs in it."""
        return {
            "drift": self.drift,
            "disabled": frozenset(name for name, one in self.sprocs.items() if not one.enabled),
            "edited": self.edited,
            "failing": frozenset(name for name, one in self.stats.items() if one.failing),
            "paused": self.paused,
        }

    def as_json(self, sproc: Sproc) -> dict[str, Any]:
        """One of them as `list --json` prints it."""
        marks = self.marks
        head = {"name": sproc.name, "sha": sproc.sha, "blob": sproc.blob, "commit": sproc.commit, **sproc.values}
        return head | {mark: sproc.name in marks[mark] for mark in ("drift", "edited", "failing", "paused")}

    def worst_first(self) -> list[tuple[Sproc, str]]:
        """Each sproc, and what is unusual about it in a few words, "" for nothing."""
        marks = self.marks
        found = []
        for name, one in self.sprocs.items():
            place = next((at for at, mark in enumerate(_WORST) if name in marks[mark]), len(_WORST))
            said = _SAID.get(_WORST[place], _WORST[place]) if place < len(_WORST) else ""
            if name in marks["failing"] and name not in self.drift:
                said = f"failing: {readable_error(self.stats[name].last_error)}"
            found.append((place, one, said))
        return [(one, said) for _, one, said in sorted(found, key=lambda each: (each[0], each[1].name))]


_WORST = ("drift", "failing", "paused", "edited", "disabled")
_SAID = {"drift": "changed by hand", "edited": "edited live"}


def read_listing(registry: Registry) -> Listing:
    """Raises redis.RedisError."""
    live = read_live(registry)
    return Listing(
        names=tuple(live.sprocs),
        sprocs={one.name: one for one in read_sprocs(registry, live.sprocs)},
        drift=frozenset(live.drift),
        edited=frozenset(one.name for one in edits_of(live)),
        paused=frozenset(read_paused(registry)),
        stats=read_stats(registry, live.sprocs),
    )
