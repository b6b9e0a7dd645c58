"""A cluster of three embedded Valkeys on this machine, for trying sprocs on one; each node as in `luasprocs.server.embedded`."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from typing import TYPE_CHECKING, Any

from luasprocs.errors import ServerError
from luasprocs.server.connection import connect
from luasprocs.server.embedded import HOST, EmbeddedServer
from luasprocs.server.slots import SLOTS

if TYPE_CHECKING:
    from pathlib import Path

NODES = 3
BUS = 10_000
"""How far the port of a node's bus lies above its own."""
PORTS = range(12_000, 22_000)
WHOLE_WITHIN_S = 30.0
PORT_FILE = "port"


class EmbeddedCluster:
    """Three primaries, their files in folders below `folder`; each has the port that it had before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.nodes = [_node(self.folder / f"node{number}") for number in range(1, NODES + 1)]

    @property
    def url(self) -> str:
        """Where it serves: all nodes."""
        return f"redis+cluster://{','.join(f'{HOST}:{node.port}' for node in self.nodes)}"

    @property
    def port(self) -> int:
        """The first node's."""
        return self.nodes[0].port

    @property
    def log_path(self) -> Path:
        return self.nodes[0].log_path.parent.parent

    def start(self) -> EmbeddedCluster:
        """Starts the nodes, and waits until they are a cluster.

        Raises:
            ServerError: a node doesn't start, or they don't become one.
        """
        try:
            for node in self.nodes:
                node.start()
                (node.folder / PORT_FILE).write_text(f"{node.port}\n", encoding="ascii")
            self._join()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops all nodes."""
        for node in self.nodes:
            node.stop()

    def revive(self) -> bool:
        """Starts nodes again that have ended by themselves. Whether there were any. Raises ServerError."""
        return True in [node.revive() for node in self.nodes]

    def _join(self) -> None:
        clients = [connect(node.url) for node in self.nodes]
        with contextlib.ExitStack() as stack:
            for client in clients:
                stack.callback(client.close)
            if not any(_slots(client) for client in clients):
                for number, client in enumerate(clients):
                    first, last = SLOTS * number // NODES, SLOTS * (number + 1) // NODES - 1
                    client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
                    client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for client in clients[1:]:
                client.execute_command("CLUSTER", "MEET", HOST, self.port)
            deadline = time.monotonic() + WHOLE_WITHIN_S
            while not all(map(_is_whole, clients)):
                if time.monotonic() > deadline:
                    raise ServerError(
                        f"the nodes in {self.folder} don't become a cluster: remove the folder to begin anew"
                    )
                time.sleep(0.05)


def _node(folder: Path) -> EmbeddedServer:
    try:
        port = int((folder / PORT_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        port = _free_port()
    return EmbeddedServer(folder, port, options=("--cluster-enabled", "yes", "--cluster-announce-ip", HOST))


def _state(client: Any) -> dict[str, str]:
    said: bytes = client.execute_command("CLUSTER", "INFO")
    return dict(line.split(":", 1) for line in said.decode().split() if ":" in line)


def _slots(client: Any) -> int:
    return int(_state(client)["cluster_slots_assigned"])


def _is_whole(client: Any) -> bool:
    state = _state(client)
    return bool(state["cluster_state"] == "ok" and int(state["cluster_known_nodes"]) >= NODES)


def _free_port() -> int:
    """One whose bus port is free, too."""
    while True:
        port = random.choice(PORTS)  # noqa: S311  # no secret
        with contextlib.suppress(OSError), socket.socket() as own, socket.socket() as bus:
            own.bind((HOST, port))
            bus.bind((HOST, port + BUS))
            return port
