"""What the language server knows of a registry, read again and again by a thread of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from luasprocs.errors import LuasprocsError
from luasprocs.operations.findings import findings
from luasprocs.operations.key_count import KeyCount, count_keys
from luasprocs.operations.server_commands import read_commands
from luasprocs.operations.snapshot import (
    Snapshot,
    Wanted,
    away_shards,
    failing_in,
    missed_in,
    read_around,
    sprocs_of,
)
from luasprocs.registry.live import read_live, reread
from luasprocs.server.shards import reached
from luasprocs.state.stats import read_stats
from sync.lsp.errands import asked
from sync.wanted_here import desired_here, wanted_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from luasprocs.language.editor.command_docs import CommandDoc
    from luasprocs.operations.contexts import Context
    from luasprocs.operations.snapshot import ShardFacts, SprocFacts
    from luasprocs.server.registry import Registry
    from luasprocs.state.stats import Stats
    from sync.lsp.connecting import Connected, Connecting

LOOK_EVERY_S = 1.0
WHOLE_EVERY_S = 30.0
"""Every sproc is inspected when the generation changes, else so often (and no more than a twentieth of the time): that takes the
server 3 ms for each 250.
"""
REST_FACTOR = 20
ALL_COUNTED = 500
"""Of so many sprocs, all are asked at each look whether they fail; of more, only when all are inspected."""
COUNTED_FOR_S = 60.0
"""How long the keys of a glob stay counted."""
KEYS_LOOKED_AT, COUNT_WITHIN_S, GLOBS_A_LOOK = 20_000, 0.2, 4


@dataclass(frozen=True)
class Look:
    """A registry at one moment. `context` None: the settings can't be used; `error`: why there is nothing else, or "".

    `stats`: of sprocs that are open in the editor; `keys`: how many match a glob; `commands`: what its server says of its own.
    """

    context: Context | None = None
    shown: str = ""
    error: str = ""
    snapshot: Snapshot | None = None
    stats: Mapping[str, Stats] = field(default_factory=dict)
    keys: Mapping[str, KeyCount] = field(default_factory=dict)
    commands: Mapping[str, CommandDoc] = field(default_factory=dict)

    def state(self) -> dict[str, Any]:
        """As the client gets it."""
        live = self.snapshot.live if self.snapshot else None
        context = self.context
        return {
            "connected": live is not None,
            "redis": self.shown,
            "namespace": context.namespace if context else "",
            "context": (context.name if context else "") or None,
            "production": bool(context and context.production),
            "read_only": bool(context and context.read_only),
            "error": self.error or None,
            "generation": live.revision.generation if live else None,
            "commit": (live.revision.commit if live else "") or None,
            "findings": [one.as_json() for one in findings(self.snapshot)] if self.snapshot else [],
        }


class Lookout:
    """The thread. `seen` gets each look, in that thread. `names` and `globs` are what the editor shows: set from anywhere."""

    def __init__(self, connecting: Connecting, seen: Callable[[Look], None]) -> None:
        self.names: Sequence[str] = []
        self.globs: Iterable[str] = ()
        self._connecting, self._seen = connecting, seen
        self._soon, self._whole, self._over = threading.Event(), threading.Event(), threading.Event()
        self._facts: SprocFacts | None = None
        self._wanted: Wanted | None = None
        self._of: Registry | None = None
        self._commands: Mapping[str, CommandDoc] = {}
        self._whole_again_s = 0.0
        self._counts: dict[str, tuple[float, KeyCount | None]] = {}

    def start(self) -> None:
        threading.Thread(target=self._run, name="luasprocs-looks", daemon=True).start()

    def look_soon(self) -> None:
        """Does not wait for the next time."""
        self._soon.set()

    def look_whole(self) -> None:
        """Inspects every sproc with the next look, and asks git what it wants."""
        self._whole.set()
        self._soon.set()

    def end(self) -> None:
        self._over.set()
        self._soon.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self._soon.clear()
            self._seen(self._look())
            self._soon.wait(LOOK_EVERY_S)

    def _look(self) -> Look:
        context, shown = None, ""
        try:
            connected = self._connecting.connected()
            context, shown = connected.context, connected.shown
            return asked(self._connecting, self._read)
        except LuasprocsError as error:
            self._facts = None
            return Look(context, shown, str(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, the next look may go well
            self._facts = None
            return Look(context, shown, f"{type(error).__name__}: {error}")

    def _read(self, connected: Connected) -> Look:
        registry, away = reached(connected.registry)
        facts = self._facts if self._of is connected.registry else None
        due = self._whole.is_set() or time.monotonic() >= self._whole_again_s
        if facts is None or due or reread(registry, facts.live) is None:
            self._whole.clear()
            facts = self._facts = self._read_whole(connected, registry, away_shards(registry, away), facts)
            if self._of is not connected.registry:
                self._commands = _commands_of(registry)
            self._of = connected.registry
        elif len(facts.live.sprocs) <= ALL_COUNTED:
            stats = read_stats(registry, facts.live.sprocs)
            facts = replace(facts, failing=failing_in(stats), missed=missed_in(stats))
        snapshot = replace(read_around(registry, facts), wanted=self._wanted)
        stats = read_stats(registry, [name for name in self.names if name in facts.live.sprocs], whole=True)
        counted = self._counted(registry)
        return Look(connected.context, connected.shown, "", snapshot, stats, counted, self._commands)

    def _read_whole(
        self, connected: Connected, registry: Registry, away: Iterable[ShardFacts], known: SprocFacts | None
    ) -> SprocFacts:
        """Every sproc, and what git wants."""
        began_s = time.monotonic()
        self._connecting.refresh()
        live = read_live(registry, len(known.live.sprocs) if known else 0)
        facts = sprocs_of(registry, live, read_stats(registry, live.sprocs), away, before=known)
        try:
            self._wanted = wanted_here(connected.session, live, *desired_here(connected.session))
        except LuasprocsError as error:  # such as a luasprocs.toml that was committed broken
            self._wanted = Wanted(unreadable=str(error))
        now_s = time.monotonic()
        self._whole_again_s = now_s + max(WHOLE_EVERY_S, REST_FACTOR * (now_s - began_s))
        return facts

    def _counted(self, registry: Registry) -> dict[str, KeyCount]:
        """Of some globs anew."""
        wanted, now_s = list(dict.fromkeys(self.globs)), time.monotonic()
        old = [one for one in wanted if one not in self._counts or now_s - self._counts[one][0] > COUNTED_FOR_S]
        for glob in old[:GLOBS_A_LOOK]:
            try:
                found = count_keys(registry, glob, KEYS_LOOKED_AT, within_s=COUNT_WITHIN_S)
            except ResponseError:  # few roles may look at keys that aren't the registry's
                found = None
            self._counts[glob] = time.monotonic(), found
        if len(old) > GLOBS_A_LOOK:
            self._soon.set()
        self._counts = {glob: self._counts[glob] for glob in wanted if glob in self._counts}
        return {glob: found for glob, (_, found) in self._counts.items() if found}


def _commands_of(registry: Registry) -> Mapping[str, CommandDoc]:
    """What a server says of its commands; nothing if it doesn't, or its ACL forbids it."""
    try:
        return read_commands(registry.client).docs
    except (RedisError, KeyError, TypeError, ValueError):  # of a server that answers in its own way, too
        return {}


def unchanged(one: Look, other: Look) -> bool:
    """Whether two looks say the same of which sprocs there are and how they are."""
    return _listed(one) == _listed(other)


def _listed(look: Look) -> object:
    snapshot = look.snapshot
    if snapshot is None or snapshot.sprocs is None:
        return look.error
    paused = frozenset(one.name for one in snapshot.paused)
    failing = frozenset(one.name for one in snapshot.sprocs.failing)
    return snapshot.sprocs.live.revision.generation, snapshot.sprocs.live.sprocs, paused, failing
