"""The two servers that everything is measured on."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis

from luasprocs.errors import PortTakenError
from luasprocs.server.embedded import EmbeddedServer
from luasprocs.server.slots import SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterator


def kinds() -> list[str]:
    """Valkey, and Redis where it is installed."""
    return ["valkey", *(["redis"] if shutil.which("redis-server") else [])]


PRIMARIES = 3
PORTS = range(12_000, 22_000)
"""The bus of each node is 10,000 above: below the ports of outgoing connections."""


def _binary(kind: str) -> Path | None:
    found = shutil.which("redis-server") if kind == "redis" else None
    return Path(found) if found else None


@contextlib.contextmanager
def running(kind: str) -> Iterator[EmbeddedServer]:
    """A fresh server without persistence."""
    with (
        tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as folder,
        EmbeddedServer(Path(folder), persistent=False, binary=_binary(kind)) as server,
    ):
        yield server


@contextlib.contextmanager
def cluster(kind: str, primaries: int = PRIMARIES) -> Iterator[list[EmbeddedServer]]:
    """Fresh primaries that share the slots evenly."""
    with tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as folder, contextlib.ExitStack() as stack:
        nodes = [_node(kind, Path(folder) / str(number)) for number in range(primaries)]
        for node in nodes:
            stack.callback(node.stop)
        clients = [stack.enter_context(Redis(port=node.port, protocol=2)) for node in nodes]
        for number, client in enumerate(clients):
            first, last = SLOTS * number // primaries, SLOTS * (number + 1) // primaries - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for other in nodes[:number]:
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        while not all(_whole(client, primaries) for client in clients):
            time.sleep(0.05)
        yield nodes


def _node(kind: str, folder: Path) -> EmbeddedServer:
    while True:
        options = ("--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1")
        node = EmbeddedServer(
            folder, PORTS[secrets.randbelow(len(PORTS))], persistent=False, binary=_binary(kind), options=options
        )
        with contextlib.suppress(PortTakenError):
            return node.start()


def _whole(client: Redis, primaries: int) -> bool:
    info: bytes = client.execute_command("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:%d\r" % primaries in info
