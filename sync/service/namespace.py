"""Which registry a daemon serves: as the host says, as git says, or, as long as git can't be asked, as Redis tells."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from luasprocs.contract.encoding import text
from luasprocs.contract.keys import LIBRARY, Keys
from luasprocs.contract.replies import About
from luasprocs.errors import LuasprocsError
from luasprocs.runtime.log import log
from luasprocs.server.endpoint import Endpoint
from luasprocs.server.fleet import open_registry
from luasprocs.server.registry import Registry
from luasprocs.state.desired import read_sync_state

if TYPE_CHECKING:
    from collections.abc import Collection

    from redis import Redis

    from sync.service.sources import Source

GIT_WITHIN_S = 5.0
"""How long a remote may take to name the namespace; then the daemon starts without it."""


class Chosen(NamedTuple):
    """`sure`: the host or git says so; else the daemon moves to what git says once it can be asked."""

    keys: Keys
    sure: bool = True


def choose(url: str, given: str | None, source: Source) -> Chosen:
    """The names of the registry. `given`: the host's namespace, None for none.

    Raises:
        SettingsError: the URL can't be used.
    """
    if given is not None:
        return Chosen(Keys(given))
    try:
        return Chosen(Keys(source.desired().settings.namespace))  # of a mirror what was fetched before
    except LuasprocsError:
        pass
    try:
        return Chosen(fetched(source))
    except LuasprocsError as error:
        return guessed(url, given, [source.name], str(error))


def fetched(source: Source, within_s: float = GIT_WITHIN_S) -> Keys:
    """As git says after a fetch.

    Raises:
        LuasprocsError: the remote can't be fetched in time, or what it has can't be read.
    """
    timer = threading.Timer(within_s, source.give_up)
    timer.start()
    try:
        source.refresh()
    finally:
        timer.cancel()
    return Keys(source.desired().settings.namespace)


def guessed(url: str, given: str | None, names: Collection[str], why: str) -> Chosen:
    """As long as git does not say it. `names`: what the source may be called; `why`: for the log."""
    if given is not None:
        return Chosen(Keys(given))
    found = _of_source(url, names)
    which = f"namespace {found!r}" if found else "the registry without a namespace"
    log.warning("git does not say which namespace to serve (%s): %s is served until it does", why, which)
    return Chosen(Keys(found), sure=False)


def _of_source(url: str, names: Collection[str]) -> str:
    """The namespace of a registry that was last synced from a source of such a name, else ""."""
    registry = None
    try:
        registry = open_registry(url)
        for about in _engines(registry.client):
            ours = about.db == str(Endpoint.of(url).db)
            if ours and read_sync_state(_of_namespace(registry, about.namespace)).source in names:
                return about.namespace
    except (RedisError, LuasprocsError) as error:
        log.debug("Redis does not tell which registries it has: %s", error)
    finally:
        for one in registry.shards if registry else ():
            one.client.close()
    return ""


def _of_namespace(registry: Registry, namespace: str) -> Registry:
    """Where the state of the sync stands of a registry with another namespace."""
    home = registry.home
    return Registry(home.client, Keys(namespace, home.keys.tag))


def _engines(client: Redis) -> list[About]:
    """The engines that are loaded, as they present themselves."""
    found: Any = client.execute_command("FUNCTION", "LIST", "LIBRARYNAME", f"*{LIBRARY}")
    libraries = [text(dict(zip(one[::2], one[1::2], strict=True)).get(b"library_name", b"")) for one in found]
    return [About.of(client.execute_command("FCALL_RO", f"{library}_about", 0)) for library in libraries]
