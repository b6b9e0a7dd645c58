"""The server that a session names: to run on, or to take a record and its keys from."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.encoding import raw
from luasprocs.errors import SettingsError
from luasprocs.language.values import shown
from luasprocs.operations.contexts import context_named, read_contexts
from luasprocs.server.addresses import same_server
from luasprocs.server.embedded import LOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from luasprocs.operations.replay import Seed
    from luasprocs.state.executions import Execution
    from sync.debugger.configuration import Configuration
    from sync.session import Session


FOLDER = "luasprocs-debug-"
"""How the folders of throw-away servers begin."""


class Server(NamedTuple):
    """`url` "": none is named; `folder`: whose settings say where a record is then, and its namespace if that is ""."""

    url: str
    folder: Path
    namespace: str = ""

    def _session(self) -> Session:
        from sync.session import Session  # noqa: PLC0415  # redis: 160 ms, which a session without a record needn't wait

        flags = {"redis": self.url, "repo": self.folder, "namespace": self.namespace}
        return Session({name: value for name, value in flags.items() if value})

    def record(self, entry: str) -> Execution:
        """A record by its id. Raises SettingsError: there is none."""
        from luasprocs.state.executions import read_executions  # noqa: PLC0415  # as above

        session = self._session()
        with session.named_errors():
            found = (
                read_executions(session.registry, 1, until=dict.fromkeys(_tags(session), entry))
                if _is_id(entry)
                else []
            )
        if not found or found[0].id != entry:
            raise SettingsError(
                f"there is no execution {shown(entry)} on {session.settings.redis_shown}: see luasprocs logs"
            )
        return found[0]

    def seeds(self, record: Execution, keys: Sequence[str]) -> tuple[Seed, ...]:
        """The values that the record's key, and these, have now."""
        from luasprocs.operations.replay import seeds_of  # noqa: PLC0415  # as above

        session = self._session()
        with session.named_errors():
            wanted = dict.fromkeys([*([record.key] if record.key else []), *keys])
            return tuple(seed for key in wanted for seed in seeds_of(session.registry, raw(key)))


def _is_id(entry: str) -> bool:
    time_ms, _, sequence = entry.partition("-")
    return time_ms.isdigit() and (sequence or "0").isdigit()


def _tags(session: Session) -> list[str]:
    return [one.keys.tag for one in session.registry.shards]


def server_of(configuration: Configuration) -> Server:
    """The server that a configuration names.

    Raises:
        SettingsError: two are named, there is no such context, or it is production and nothing is only read from it.
    """
    folder = configuration.program.absolute().parent
    contexts = read_contexts(os.environ)
    if configuration.redis and configuration.environment:
        raise SettingsError("give redis or environment, not both")
    url, namespace = configuration.redis, configuration.namespace
    if configuration.environment:
        named = context_named(contexts, configuration.environment)
        url, namespace = named.url, namespace or named.namespace
    if url and not configuration.execution:
        for one in contexts.values():
            if one.production and same_server(one.url, url):
                raise SettingsError(
                    f"{one.name} is production: nothing is debugged there. Leave redis and environment out for a "
                    "throw-away server; execution takes a recorded run's key from there"
                )
    return Server(url, folder, namespace)


def remove_left() -> None:
    """Removes the folders of throw-away servers that a killed debugger left: nobody holds the lock, and who made it is gone."""
    for lock in Path(tempfile.gettempdir()).glob(f"{FOLDER}*/{LOCK}"):
        with contextlib.suppress(OSError), lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if (found := re.match(rb"process (\d+),", file.read())) and not _lives(int(found[1])):
                shutil.rmtree(lock.parent, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def restore(url: str, seeds: Iterable[Seed]) -> None:
    """Puts these keys onto a throw-away server."""
    from luasprocs.operations.replay import restored  # noqa: PLC0415  # as above
    from luasprocs.server.connection import connect  # noqa: PLC0415  # as above

    with connect(url) as client:
        for seed in seeds:
            restored(client, seed)
