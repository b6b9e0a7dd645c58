"""The real servers of the tests: the embedded Valkey and redis-server from PATH, or what `LUASPROCS_TEST_SERVERS` names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from luasprocs.server.embedded import EmbeddedServer
from luasprocs.server.valkey_binary import find_binary
from tests.soak import SOAK

if TYPE_CHECKING:
    from collections.abc import Sequence

UNPACKED = Path(__file__).parents[1] / ".servers" / "bin"
"""What `.ci/fetch-servers` made."""
KNOWN = {
    "valkey": "the embedded Valkey",
    "redis": "redis-server of PATH (apt-get install redis-server)",
    "redis8": "Redis 8.0 of Debian 13 (.ci/fetch-servers)",
    "valkey81": "Valkey 8.1 of Debian 13 (.ci/fetch-servers)",
}
CHOSEN = dict(word.partition("=")[::2] for word in os.environ.get("LUASPROCS_TEST_SERVERS", "valkey,redis").split(","))
"""The kinds that this run tests: some of KNOWN, or others with their program, `redis82=/opt/redis/bin/redis-server`."""
KINDS = tuple(CHOSEN)
MISSING = "there is no server: "
NOT_HERE = "this server has no "
"""How a skip begins that says what a server can't: docs/servers.md has it as a row of its own."""
QUIET = (
    *("--loglevel", "warning"),
    *("--shutdown-timeout", "0"),
    *("--repl-diskless-sync-delay", "0"),
    *("--enable-debug-command", "local"),
)


def in_ci() -> bool:
    return os.environ.get("CI", "") not in {"", "0", "false"}


def product_of(kind: str) -> str:
    """`redis` or `valkey`."""
    return "valkey" if kind.startswith("valkey") else "redis"


def binary_of(kind: str) -> Path | None:
    """The server's program; None if this machine has none."""
    if kind == "valkey":
        return find_binary()
    program = CHOSEN.get(kind) or (UNPACKED / f"{product_of(kind)}-server" if kind in {"redis8", "valkey81"} else None)
    found = shutil.which(program or "redis-server")
    return Path(found) if found else None


def missing(kind: str) -> str:
    """Why the server can't be tested; "" if it can be."""
    return "" if binary_of(kind) else MISSING + KNOWN.get(kind, CHOSEN[kind])


def version_of(kind: str) -> str:
    """`Redis 8.0.2`, as the program says it."""
    said = subprocess.run([str(binary_of(kind)), "--version"], capture_output=True, check=True, timeout=30).stdout
    found = re.search(rb"v=(\d+\.\d+\.\d+)", said)
    assert found, said
    return f"{product_of(kind).capitalize()} {found[1].decode()}"


def share(kind: str, whole: Sequence[str]) -> Sequence[str]:
    """What a test tries on one kind of server, each other part on the other ones; all of it in the long form."""
    return whole if SOAK else whole[KINDS.index(kind) :: len(KINDS)]


class Server:
    """A running server, and the clients that a test opened on it. `kind`: its product, `valkey` or `redis`."""

    def __init__(
        self, kind: str, folder: Path, options: Sequence[str] = (), *, port: int = 0, persistent: bool = False
    ) -> None:
        self.kind = product_of(kind)
        self.process = EmbeddedServer(folder, port, persistent, binary=binary_of(kind), options=(*QUIET, *options))
        self._clients: list[redis.Redis] = []
        self._settings: dict[str, str] = {}

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def port(self) -> int:
        return self.process.port

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def socket_path(self) -> Path | None:
        return self.process.socket_path

    def start(self) -> Server:
        self.process.start()
        return self

    def stop(self) -> None:
        """Stop it in order; its clients are closed."""
        self.close_clients()
        self.process.stop()

    def kill(self) -> None:
        self.process.kill()

    def restart(self) -> None:
        """Stop it and start it on the same port and folder."""
        self.process.stop()
        self.process._any_port = False
        self.process.start()

    def client(self, **options: object) -> redis.Redis:
        """A redis-py client as luasprocs uses it; `username=`, `password=`, `db=`, … are redis-py's."""
        settings: dict[str, object] = {
            "protocol": 2,
            "decode_responses": False,
            "retry": Retry(NoBackoff(), 0),
            "driver_info": None,  # redis-py's version would be read from its files for each client
        }
        client = redis.Redis(host="127.0.0.1", port=self.port, **{**settings, **options})  # type: ignore[arg-type]
        self._clients.append(client)
        return client

    def close_clients(self) -> None:
        while self._clients:
            self._clients.pop().close()

    def cli(self, *arguments: str | bytes) -> str:
        """What redis-cli prints for a command, as a person would type it."""
        program = shutil.which("redis-cli")
        if program is None:
            (pytest.fail if in_ci() else pytest.skip)("redis-cli is not on PATH")
            raise AssertionError
        done = subprocess.run([program, "-p", str(self.port), *arguments], capture_output=True, check=True, timeout=30)
        return done.stdout.decode("utf-8", "surrogateescape")

    def reset(self) -> None:
        """As after its start: no data, functions, users, subscribers, settings; restarted if it must."""
        try:
            self.wipe()
        except redis.RedisError:
            self.process.kill()
            self._settings = {}
            self.process.start()
            self.wipe()

    def release(self) -> None:
        """Nobody needs it for now: its clients are closed, and what a test left running there takes no more CPU."""
        try:
            self.client(socket_timeout=10).ping()
        except redis.RedisError:
            self.process.kill()
        self.close_clients()

    def wipe(self) -> None:
        """The same of one that runs and answers."""
        client = self.client(socket_timeout=10, decode_responses=True)
        self._lead(client)
        self._restore_settings(client)
        client.execute_command("ACL", "SETUSER", "default", "reset", "on", "nopass", "~*", "&*", "+@all")
        users = [user for user in client.execute_command("ACL", "USERS") if user != "default"]
        with client.pipeline(transaction=False) as pipe:
            if users:
                pipe.execute_command("ACL", "DELUSER", *users)
            pipe.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            pipe.execute_command("FLUSHALL", "SYNC")
            pipe.execute_command("FUNCTION", "FLUSH", "SYNC")
            pipe.execute_command("SCRIPT", "FLUSH", "SYNC")
            pipe.execute_command("CONFIG", "RESETSTAT")
            pipe.execute()
        self.close_clients()

    def _lead(self, client: redis.Redis) -> None:
        client.execute_command("REPLICAOF", "NO", "ONE")

    def _restore_settings(self, client: redis.Redis) -> None:
        now: dict[str, str] = client.config_get("*")  # type: ignore[assignment]
        self._settings = self._settings or now
        changed = [(name, value) for name, value in self._settings.items() if now[name] != value]
        if changed:
            client.execute_command("CONFIG", "SET", *(part for pair in changed for part in pair))
