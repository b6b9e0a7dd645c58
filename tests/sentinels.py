"""A master, two replicas and three Sentinels, as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any, Self

import redis

from luasprocs.server.connection import connect
from tests.servers import Server, binary_of
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NAME = "mymaster"
HOST = "127.0.0.1"


class Sentinels:
    """`servers`: any of them may be the master; `ports`: the Sentinels'.

    `quick`: Sentinels look more often than they do by default, so that a master that was replaced is demoted in a second.
    """

    def __init__(
        self, kind: str, folder: Path, ports: Sequence[int], options: Sequence[str] = (), *, quick: bool = True
    ) -> None:
        self._kind, self._folder, self.ports, self._quick = kind, folder, ports, quick
        self._options = tuple(options)
        self.servers: list[Server] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self._clients: dict[int, redis.Redis] = {}

    @property
    def url(self) -> str:
        """Without a user."""
        return f"redis+sentinel://{','.join(f'{HOST}:{port}' for port in self.ports)}/{NAME}"

    def __enter__(self) -> Self:
        self._server()
        master = self.servers[0].port
        for _ in range(2):
            self._server("--replicaof", HOST, str(master))
        try:
            self._start_sentinels(master)
            self.until_whole()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        for server in self.servers:
            if server.pid:
                os.kill(server.pid, signal.SIGCONT)
            server.stop()

    def _server(self, *options: str, port: int = 0) -> Server:
        folder = self._folder / f"server{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        made = Server(self._kind, folder, (*self._options, "--repl-ping-replica-period", "1", *options), port=port)
        self.servers.append(made.start())
        return made

    def _start_sentinels(self, master: int) -> None:
        for port in self.ports:
            folder = self._folder / f"sentinel{port}"
            folder.mkdir()
            file = folder / "sentinel.conf"
            file.write_text(
                f"port {port}\nbind {HOST}\ndir {folder}\n"
                f"sentinel monitor {NAME} {HOST} {master} 2\n"
                f"sentinel down-after-milliseconds {NAME} 1000\n"
                f"sentinel failover-timeout {NAME} 4000\n"
                f"sentinel parallel-syncs {NAME} 2\n"
            )
            command = [str(binary_of(self._kind)), str(file), "--sentinel"]
            with (folder / "log").open("wb") as log:
                self.processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
            self._clients[port] = redis.Redis(port=port, socket_timeout=5)
        for port in self.ports:
            until(self.sentinel(port).ping)
            if self._quick:
                self.sentinel(port).execute_command(
                    *["SENTINEL", "DEBUG", "info-period", "300", "publish-period", "250", "tilt-period", "500"]
                )

    def sentinel(self, port: int) -> Any:
        return self._clients[port]

    def until_whole(self) -> None:
        """Waits until each Sentinel knows the others and both replicas, and all of them see everything up."""
        until(lambda: all(map(self._sees_all, self.ports)), what=self._seen)

    def _sees_all(self, port: int) -> bool:
        client = self.sentinel(port)
        state, replicas = client.sentinel_master(NAME), client.sentinel_slaves(NAME)
        return bool(
            state["flags"] == "master"
            and state["port"] == self.master.port
            and state["num-other-sentinels"] == 2
            and len(replicas) == 2
            and all(one["flags"] == "slave" and one["master-link-status"] == "ok" for one in replicas)
        )

    def _seen(self) -> str:
        client = self.sentinel(self.ports[0])
        return f"{client.sentinel_master(NAME)} {client.sentinel_slaves(NAME)}"

    @property
    def master(self) -> Server:
        """The server that the first Sentinel names."""
        _, port = self.sentinel(self.ports[0]).sentinel_get_master_addr_by_name(NAME)
        return next(one for one in self.servers if one.port == port)

    def client(self) -> redis.Redis:
        """A client of the master, wherever it is."""
        return connect(self.url, socket_timeout=5)

    def order(self) -> None:
        """SENTINEL FAILOVER, until it is done."""
        old = self.master
        until(lambda: self.sentinel(self.ports[0]).execute_command("SENTINEL", "FAILOVER", NAME))
        until(lambda: self.master is not old)

    def kill(self) -> Server:
        """kill -9 of the master; until there is another one."""
        old = self.master
        old.kill()
        until(lambda: self.master is not old)
        return old

    def stop(self) -> Server:
        """SIGSTOP of the master; until there is another one."""
        old = self.master
        os.kill(old.pid, signal.SIGSTOP)
        until(lambda: self.master is not old)
        return old

    def revive(self, killed: Server) -> None:
        """The killed one is there again, on its port, as a replica."""
        killed.stop()
        self.servers.remove(killed)
        self._server("--replicaof", HOST, str(self.master.port), port=killed.port)
        self.until_whole()
