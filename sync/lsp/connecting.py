"""The way to the registry of a work tree, by the settings that the command line has there; for threads that may wait."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.operations.contexts import context_named, context_of, read_contexts
from luasprocs.server.changing import changing
from luasprocs.server.fleet import Fleet
from luasprocs.server.urls import redacted
from sync.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from luasprocs.operations.contexts import Context
    from luasprocs.server.registry import Registry

CONNECT_S = 2.0


class Connected(NamedTuple):
    """A registry that can be asked, or could be when that was tried last."""

    context: Context
    session: Session
    fleet: Fleet

    @property
    def shown(self) -> str:
        """The URL without its secrets."""
        return redacted(self.context.url)

    @property
    def registry(self) -> Registry:
        """Raises redis.RedisError: of a cluster, it can't be asked."""
        return self.fleet.registry()

    def changing(self, look: str) -> AbstractContextManager[None]:
        """Around what is done once. `look`: the command that shows whether it was."""
        return changing(self.fleet.registry, self.context.url, f"luasprocs {look}")


class Connecting:
    """`flags`: see `Session`; `name`: of a context, "" for the settings' own server; `warn`: hears of exposed secrets.

    `within_s`: how long an answer may take.
    """

    def __init__(
        self, flags: Mapping[str, object], top: Path, name: str, warn: Callable[[str], None], *, within_s: float
    ) -> None:
        self._flags, self._name, self._warn, self._within_s = {"repo": str(top), **flags}, name, warn, within_s
        self._lock = threading.Lock()
        self._connected: Connected | None = None

    def connected(self) -> Connected:
        """By the settings as they were when they were read last.

        Raises:
            SettingsError, RepositoryError: the settings can't be used.
        """
        with self._lock:
            if self._connected is None:
                self._connected = self._made()
            return self._connected

    def forget(self) -> None:
        """Settings are read again: another server may be named there now."""
        with self._lock:
            if self._connected:
                self._connected.fleet.close()
            self._connected = None

    def refresh(self) -> None:
        """Reads them now, and goes elsewhere if they lead there."""
        made = self._made()
        with self._lock:
            if self._connected and self._connected.context != made.context:
                self._connected.fleet.close()
                self._connected = made

    def _made(self) -> Connected:
        contexts = read_contexts(os.environ)
        flags = self._flags
        if self._name:
            named = context_named(contexts, self._name)
            flags = {**flags, "redis": named.url, "namespace": named.namespace}
        session = Session(flags, self._warn)
        url, namespace = session.url, session.keys.namespace
        context = named if self._name else context_of(contexts, url, namespace)
        fleet = Fleet(url, namespace, lenient=True, socket_timeout=self._within_s, socket_connect_timeout=CONNECT_S)
        return Connected(context, session, fleet)
