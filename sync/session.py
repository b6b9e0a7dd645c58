"""What a command works with: settings, the repository, the connection; each made when it is first asked for."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from luasprocs.contract.keys import Keys
from luasprocs.errors import RepositoryError, ServerMovedError
from luasprocs.server.changing import changing
from luasprocs.server.connection import errors_named, hurried
from luasprocs.server.fleet import open_registry
from luasprocs.server.shards import one_shard
from sync.console import Console
from sync.git.checkout import find_settings
from sync.settings import HostSettings, host_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from luasprocs.server.registry import Registry
    from sync.git.repository import Repository
    from sync.reconcile.desired import Desired
    from sync.repository_settings import RepositorySettings

_Found = TypeVar("_Found")
RESTS_S = (0.2, 1.0)
"""Nodes hear of a slot that has moved within a second."""


class Session:
    """One run of a command. `flags`: the options that stood before the command's name; `warn`: hears of exposed secrets.

    `lenient`: see `open_registry`. `near`: see `host_settings`. `within_s`: how long the server may take to answer.
    """

    def __init__(
        self,
        flags: Mapping[str, object],
        warn: Callable[[str], None] | None = None,
        *,
        lenient: bool = False,
        near: bool = False,
        within_s: float | None = None,
    ) -> None:
        self._warn = warn or Console.of_process().warn
        self._flags, self._lenient, self._near = flags, lenient, near
        self._hurried = {} if within_s is None else hurried(within_s)
        self._settings: HostSettings | None = None
        self._namespace: str | None = None
        self._registry: Registry | None = None

    @property
    def settings(self) -> HostSettings:
        """The host's settings."""
        # No cached_property: with Python 3.11 it has one lock for all sessions, and git may hang while one reads them.
        if self._settings is None:
            self._settings = host_settings(self._flags, os.environ, near=self._near)
            for said in self._settings.exposed:
                self._warn(said)
        return self._settings

    @property
    def url(self) -> str:
        """Where Redis is."""
        return self.settings.redis

    @functools.cached_property
    def repository(self) -> Repository:
        """The repository that --repo names, or the one around this folder."""
        from sync.git.repository import Repository  # noqa: PLC0415  # 20 ms that `list` and `execute` needn't pay

        return Repository.open(self.settings.repo)

    @property
    def keys(self) -> Keys:
        """The registry's names: the host's namespace, else the commit's, else that of the luasprocs.toml around here."""
        if self.settings.namespace is not None:
            return Keys(self.settings.namespace)
        if self._namespace is None:
            self._namespace = self.repository_settings.namespace
        return Keys(self._namespace)

    @functools.cached_property
    def repository_settings(self) -> RepositorySettings:
        """The luasprocs.toml around here."""
        return find_settings(self.settings.repo or Path.cwd())

    @property
    def registry(self) -> Registry:
        """The registry that the command works on."""
        keys = self.keys
        if self._registry is None or self._registry.keys.namespace != keys.namespace:
            self._registry = open_registry(self.url, keys.namespace, lenient=self._lenient, **self._hurried)
        return self._registry

    def shard(self, tag: str | None) -> Registry:
        """The registry with one shard alone, or, without a tag, all of it.

        Raises:
            SettingsError: there is no such shard.
        """
        return one_shard(self.registry, tag or "")

    def settled(self, read: Callable[[], _Found]) -> _Found:
        """What `read` returns; if slots of a cluster moved meanwhile, what it returns with the shards as they are then.

        Raises:
            ServerMovedError: they moved each time.
        """
        for rest_s in RESTS_S:
            try:
                with errors_named(self.url):
                    return read()
            except ServerMovedError:
                time.sleep(rest_s)
                self._close()
                self._registry = None
        return read()

    def desired(self, revision: str | None, *, worktree: bool) -> Desired:
        """What a commit (or the work tree) wants; its namespace is this session's."""
        from sync.reconcile.desired import read_commit, read_worktree  # noqa: PLC0415  # as above

        if worktree and revision is not None:
            raise RepositoryError("--worktree takes the files on disk, --revision a commit: give one of them")
        branch = self.settings.branch
        wanted = f"refs/heads/{branch}" if revision is None and branch else revision  # a tag may have the same name
        found = read_worktree(self.repository) if worktree else read_commit(self.repository, wanted)
        self._namespace = found.settings.namespace
        return found

    @contextlib.contextmanager
    def named_errors(self) -> Iterator[None]:
        """Inside, the server's errors become this package's, and say what to do."""
        with errors_named(self.url):
            try:
                yield
            finally:
                self._close()

    def _close(self) -> None:
        for one in {*self._registry.shards, self._registry.home} if self._registry else ():
            one.client.close()

    def changing(self, look: str) -> AbstractContextManager[None]:
        """Around a change, within `named_errors`. `look`: the command that shows whether it was done, if its reply is lost."""
        return changing(lambda: self.registry, self.url, f"luasprocs {look}")
