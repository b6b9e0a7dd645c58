"""A daemon that follows a repository, and what the tests ask of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from luasprocs.contract.keys import Keys
from luasprocs.server.registry import Registry
from luasprocs.state.desired import read_sync_state
from tests.daemons import DaemonProcess
from tests.gitrepo import SETTINGS
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from redis import Redis

    from luasprocs.state.desired import SyncState

KEYS = Keys()


class Service(DaemonProcess):
    """`luasprocs daemon` in a folder; git sees none of the machine's settings."""

    def __init__(self, url: str, folder: Path, *options: str, environ: Mapping[str, str] | None = None) -> None:
        given = {**SETTINGS, "LUASPROCS_INTERVAL": "1s", **(environ or {})}
        super().__init__(url, *options, command=("daemon",), environ=given, cwd=folder)
        self._environ |= given


def commit_of(client: Redis) -> str:
    found: Any = client.hget(KEYS.revision, "commit")
    return (found or b"").decode()


def generation_of(client: Redis) -> int:
    found: Any = client.hget(KEYS.revision, "generation")
    return int(found or 0)


def live(client: Redis, commit: str) -> None:
    """Waits until a commit is live."""
    until(lambda: commit_of(client) == commit, what=lambda: f"{commit_of(client)} is live: {state_of(client)}")


def state_of(client: Redis) -> SyncState:
    return read_sync_state(Registry(client, KEYS))


def stands(client: Redis, state: str) -> SyncState:
    """Waits until it has published that it is in a state."""
    until(lambda: state_of(client).state == state, what=lambda: state_of(client))
    return state_of(client)


def source_of(client: Redis, name: str) -> str:
    found: Any = client.hget(KEYS.name(name), "source")
    return (found or b"").decode()
