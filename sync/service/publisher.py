"""Publishes the state of a daemon's sync in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.contract.codes import DesiredState
from luasprocs.contract.encoding import number, text
from luasprocs.state.daemons import read_running
from luasprocs.state.desired import publish, read_sync_state

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry
    from luasprocs.state.desired import SyncState

WAITING = (DesiredState.BEHIND, DesiredState.UNKNOWN, DesiredState.DIVERGED)


def _weighs_less(state: str, other: str) -> bool:
    if other == DesiredState.ENGINE_DIFFERS:
        return state in {*WAITING, DesiredState.SYNCED}
    return other == DesiredState.SYNCED and state in WAITING


class Publisher:
    """Writes a state only if it is news, or if nobody stands behind the one that is there."""

    def __init__(self, registry: Registry, daemon: str) -> None:
        self._registry, self._daemon = registry, daemon
        self._published: tuple[object, ...] = ()
        self._outlived = ""

    def publish(self, state: SyncState) -> None:
        """What weighs more stays while the daemon lives that says so, and is said again if it was replaced: that a daemon is in
        sync, where another one waits; that the engines differ, where another one is in sync. Raises redis.RedisError.
        """
        state = state._replace(generation=self._generation())
        last = read_sync_state(self._registry)
        news, below = state.said != self._published, _weighs_less(state.state, last.state)
        if last.daemon == self._daemon:
            wanted = news or last.state != state.state  # `say_degraded`, meanwhile
        elif last.daemon != self._outlived and not self._lives(last.daemon):
            wanted = True
            if below and last.state == DesiredState.ENGINE_DIFFERS:  # if it says so again, it lives after all
                self._outlived = last.daemon
        else:
            wanted = not below and (news or _weighs_less(last.state, state.state))
        if wanted:
            publish(self._registry, state.after(last))
            self._published = state.said

    def _lives(self, daemon: str) -> bool:
        """As far as heartbeats tell: one that only syncs has none, and publishes again what it knows better."""
        return any(one.id == daemon for one in read_running(self._registry).alive)

    def withdraw(self) -> None:
        """Takes back what it has published last: it was the state of another registry. Raises redis.RedisError."""
        if read_sync_state(self._registry).daemon == self._daemon:
            self._registry.home.client.delete(self._registry.home.keys.desired)
        self._published = ()

    def _generation(self) -> int:
        found: Any = self._registry.client.hget(self._registry.keys.revision, "generation")
        return number(text(found or b""))
