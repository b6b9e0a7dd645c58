"""Publishes the state of a daemon's sync in the registry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import number, text
from luasprocs.state.desired import publish, read_sync_state
from sync.reconcile.decision import State

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry
    from luasprocs.state.desired import SyncState

WAITING = (State.BEHIND, State.UNKNOWN, State.DIVERGED)


class Publisher:
    """Writes a state only if it is news."""

    def __init__(self, registry: Registry, daemon: str) -> None:
        self._registry, self._daemon = registry, daemon
        self._published: tuple[object, ...] = ()

    def publish(self, state: SyncState) -> None:
        """A daemon that waits never replaces the state of another one that is in sync. Raises redis.RedisError."""
        state = replace(state, generation=self._generation())
        if state.said == self._published:
            return
        last = read_sync_state(self._registry) if state.state in WAITING else None
        if last is None or last.daemon == self._daemon or last.state != State.SYNCED:
            publish(self._registry, state)
        self._published = state.said

    def withdraw(self) -> None:
        """Takes back what it has published last: it was the state of another registry. Raises redis.RedisError."""
        if read_sync_state(self._registry).daemon == self._daemon:
            self._registry.client.delete(self._registry.keys.desired)
        self._published = ()

    def _generation(self) -> int:
        found: Any = self._registry.client.hget(self._registry.keys.revision, "generation")
        return number(text(found or b""))
