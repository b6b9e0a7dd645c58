"""What git wants and why it is or isn't live, as the daemon that syncs publishes it; and whether the sync is suspended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import ResponseError

from luasprocs.contract.encoding import parsed_json, seconds, text, texts, time_ms
from luasprocs.server.errors import is_wrong_type
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis


TEXT_LIMIT = 1000
"""Problems and names of each kind that are published; how many there are beyond is said."""


class SyncState(NamedTuple):
    """What a daemon saw when it looked last. Empty where none ever did.

    `source`: the repository; `commit`, `branch`, `subject`, `author`: what git wants; `state`: a `DesiredState`; `reason`:
    why it waits, or what failed; `created`, `updated`, `deleted`: what would be applied and isn't; `diffs`: the same, a
    unified diff each; `problems`: as `file:line:column: message`; `drift`: sprocs edited by hand; `edits_waiting`: live
    edits that can't be committed, `name: why`; `at`: when it was said, `since`: since when that commit has had this state
    (unix seconds); `daemon`: who says so; `generation`: what was live then, 0 if nobody knows. `followed_until_ms`: by when a
    daemon that follows git looks again, by the server's clock in unix milliseconds; 0 if none follows it, or the last one
    stopped in order.
    """

    source: str = ""
    commit: str = ""
    branch: str = ""
    subject: str = ""
    author: str = ""
    state: str = ""
    reason: str = ""
    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    diffs: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    edits_waiting: tuple[str, ...] = ()
    at: float = 0.0
    since: float = 0.0
    daemon: str = ""
    generation: int = 0
    followed_until_ms: int = 0

    @property
    def said(self) -> tuple[object, ...]:
        """All but when, for telling whether there is news."""
        return tuple(
            value for name, value in self._asdict().items() if name not in {"at", "since", "followed_until_ms"}
        )

    def after(self, last: SyncState) -> SyncState:
        """The same behind what was published last, maybe by another daemon: it may have stood so for long."""
        stands = (self.state, self.commit) == (last.state, last.commit)
        return self._replace(since=(last.since or last.at) if stands else self.at)

    def why_uncommitted(self, name: str) -> str:
        """Why the live edit of a sproc can't be committed; "" if none waits."""
        return next((one[len(name) + 2 :] for one in self.edits_waiting if one.startswith(f"{name}: ")), "")

    def stored(self) -> dict[Any, Any]:
        """Its fields in the hash."""
        return {name: _stored(value) for name, value in self._asdict().items()}

    @classmethod
    def parse(cls, stored: Mapping[Any, Any]) -> SyncState:
        """From the hash; what can't be read has its default."""
        found = {text(name): text(value) for name, value in stored.items()}
        values: dict[str, Any] = {}
        for name, default in cls._field_defaults.items():
            if name not in found:
                continue
            try:
                values[name] = _parsed(found[name], default)
            except (ValueError, TypeError):
                continue
        return cls(**values)


def _stored(value: Any) -> str:
    if not isinstance(value, tuple):
        return str(value)
    kept = [*value[:TEXT_LIMIT], *([f"… {len(value) - TEXT_LIMIT} more"] if len(value) > TEXT_LIMIT else ())]
    return json.dumps(kept)


def _parsed(value: str, default: object) -> Any:
    if isinstance(default, tuple):
        return tuple(map(str, parsed_json(value)))
    if isinstance(default, float):
        return seconds(value)
    return int(value) if isinstance(default, int) else value


def read_sync_state(registry: Registry) -> SyncState:
    """What was published last."""
    return SyncState.parse(_hash(registry.home.client, registry.home.keys.desired) or {})


def publish(registry: Registry, state: SyncState) -> None:
    """Makes it what readers find."""
    home = registry.home
    with home.client.pipeline(transaction=True) as pipe:
        pipe.delete(home.keys.desired)
        pipe.hset(home.keys.desired, mapping=state.stored())
        pipe.execute()


def promise_to_look(registry: Registry, within_s: float) -> None:
    """A daemon that follows git looks again by then: if none does, readers say so."""
    home = registry.home
    until_ms = time_ms(home.client.time()) + round(within_s * 1000)
    home.client.hset(home.keys.desired, "followed_until_ms", until_ms)


def stop_following(registry: Registry) -> None:
    """A daemon stops in order. Another one that follows git promises again when it looks next."""
    registry.home.client.hdel(registry.home.keys.desired, "followed_until_ms")


class Suspended(NamedTuple):
    """Since when (unix seconds), by whom, and why, or ""."""

    since: float
    by: str
    reason: str = ""

    @classmethod
    def parse(cls, stored: Mapping[Any, Any] | None, key: str) -> Suspended | None:
        """From the hash; None for a key of another type."""
        if stored is None:
            return cls(0.0, "", f"{key} is not a hash")
        if not stored:
            return None
        found = texts(stored)
        return cls(seconds(found.get("since", "0")), found.get("by", ""), found.get("reason", ""))

    def __str__(self) -> str:
        """`by ann@host: a freeze`."""
        return f"by {self.by or 'somebody'}" + (f": {self.reason}" if self.reason else "")


def suspend(registry: Registry, by: str, reason: str = "") -> bool:
    """No sync applies anything from now on; looking goes on. Returns whether it wasn't so already."""
    home = registry.home
    if read_suspended(registry) is not None:
        return False
    seconds, micros = home.client.time()
    with home.client.pipeline(transaction=True) as pipe:
        pipe.delete(home.keys.suspended)
        pipe.hset(home.keys.suspended, mapping={"since": f"{seconds}.{micros:06}", "by": by, "reason": reason})
        pipe.execute()
    return True


def unsuspend(registry: Registry) -> bool:
    """Syncs apply again. Returns whether they were suspended."""
    return bool(registry.home.client.delete(registry.home.keys.suspended))


def read_suspended(registry: Registry) -> Suspended | None:
    """Who suspended the sync, or None. A key of another type counts: somebody meant something by it."""
    return Suspended.parse(_hash(registry.home.client, registry.home.keys.suspended), registry.home.keys.suspended)


def _hash(client: Redis, key: str) -> Any:
    """A hash; None for a key of another type."""
    try:
        return client.hgetall(key)
    except ResponseError as error:
        if not is_wrong_type(error):
            raise
        return None
