"""Clusters of three primaries, with or without replicas, as real processes."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import redis

from luasprocs.errors import PortTakenError
from luasprocs.server.slots import SLOTS, SlotRange, slot_of
from tests.servers import Server, in_ci
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"
PRIMARIES = 3
BUS = 10_000
"""How far the port of a node's bus lies above its own."""
PORTS = range(12_000, 22_000)
"""With the buses' they end below those that systems give to outgoing connections."""
NODE_TIMEOUT_MS = 15_000
FAILOVER_TIMEOUT_MS = 2_000
"""Of a cluster with replicas: how long a primary is silent before it counts as failed."""


class Node(Server):
    """One node; `ranges`: the slots that it was given at the start."""

    ranges: tuple[SlotRange, ...] = ()

    @property
    def id(self) -> str:
        return str(self.ask("CLUSTER", "MYID"))

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def is_primary(self) -> bool:
        return str(self.ask("ROLE")[0]) == "master"

    def ask(self, *words: object) -> Any:
        """A command's reply, with text for bytes."""
        return self._asking.execute_command(*words)

    @functools.cached_property
    def _asking(self) -> redis.Redis:
        """One client for all that is asked: a new one for each takes longer than its question."""
        return redis.Redis(
            host=HOST, port=self.port, protocol=2, decode_responses=True, socket_timeout=30, driver_info=None
        )

    def close_clients(self) -> None:
        super().close_clients()
        self._asking.close()

    def slots(self) -> int:
        """How many slots it serves, as it says itself."""
        own = next(line for line in self.lines() if "myself" in line)
        pairs = (word.split("-") for word in own.split()[8:] if not word.startswith("["))
        return sum(int(pair[-1]) - int(pair[0]) + 1 for pair in pairs)

    def owners(self) -> list[Any]:
        """CLUSTER SLOTS as it sees them: first slot, last slot, the primary, its replicas."""
        client = self.client(decode_responses=True)
        client.response_callbacks.clear()
        return list(client.execute_command("CLUSTER", "SLOTS"))

    def lines(self) -> list[str]:
        """Those of CLUSTER NODES."""
        found: Any = self.ask("CLUSTER", "NODES")
        return list(found) if isinstance(found, dict) else str(found).splitlines()

    def state(self) -> dict[str, str]:
        found: Any = self.ask("CLUSTER", "INFO")
        if isinstance(found, dict):
            return found
        return dict(line.split(":", 1) for line in str(found).split() if ":" in line)

    def freeze(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGCONT)

    def _lead(self, client: redis.Redis) -> None:
        """Who leads in a cluster is the cluster's business."""


class Cluster:
    """Three primaries that share the slots evenly; `replicas` of each.

    `nodes`: the primaries as they were started, then their replicas. `url`: that of any node; `urls`: those of all.
    """

    def __init__(self, kind: str, folder: Path, replicas: int = 0) -> None:
        self._kind, self._folder, self._replicas = kind, folder, replicas
        self.nodes: list[Node] = []

    @property
    def url(self) -> str:
        return self.nodes[0].url

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    @property
    def seeds_url(self) -> str:
        return self.seeds()

    def seeds(self, login: str = "", *, before: str = "") -> str:
        """`redis+cluster://` with all nodes. `login`: `user:password`; `before`: a seed to be asked first."""
        hosts = ",".join(filter(None, (before, *(node.address for node in self.nodes))))
        return f"redis+cluster://{login and login + '@'}{hosts}"

    @property
    def primaries(self) -> list[Node]:
        """The nodes that serve slots now, in the order of their start."""
        return [node for node in self.nodes if node.pid and node.is_primary and node.slots()]

    def start(self) -> Cluster:
        """Takes two seconds: so long a node that has just started calls its cluster down.

        Raises:
            AssertionError: it doesn't become whole.
        """
        try:
            for _ in range(PRIMARIES * (1 + self._replicas)):
                self.add()
            self._join()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        for node in self.nodes:
            node.thaw()
            node.kill()
            node.close_clients()

    def add(self) -> Node:
        """A node more, started, that nobody knows."""
        timeout_ms = FAILOVER_TIMEOUT_MS if self._replicas else NODE_TIMEOUT_MS
        options = (
            *("--cluster-enabled", "yes"),
            *("--cluster-node-timeout", str(timeout_ms)),
            *("--cluster-announce-ip", HOST),
            *("--repl-ping-replica-period", "1"),
        )
        while True:
            folder = self._folder / f"node{len(list(self._folder.iterdir()))}"
            folder.mkdir()
            node = Node(self._kind, folder, options, port=free_port())
            with contextlib.suppress(PortTakenError):
                node.start()
                self.nodes.append(node)
                return node

    def _join(self) -> None:
        """As `redis-cli --cluster create` does it, which waits a second here and there."""
        leading = self.nodes[:PRIMARIES]
        bounds = [SLOTS * number // PRIMARIES for number in range(PRIMARIES + 1)]
        for number, node in enumerate(leading):
            node.ranges = (SlotRange(bounds[number], bounds[number + 1] - 1),)
            node.ask("CLUSTER", "ADDSLOTSRANGE", *node.ranges[0])
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for other in self.nodes[:number]:
                node.ask("CLUSTER", "MEET", HOST, other.port)
        for number, replica in enumerate(self.nodes[PRIMARIES:]):
            until(functools.partial(replica.ask, "CLUSTER", "REPLICATE", leading[number % PRIMARIES].id))
        self.until_whole()

    def until_whole(self) -> None:
        """Waits until all nodes see the same: every slot served, all nodes up; and replicas have what their primaries have."""
        until(self._settled, what=lambda: "\n".join(self.nodes[0].lines()))

    def is_up(self) -> bool:
        """Whether all nodes say that every slot is served."""
        return all(node.state()["cluster_state"] == "ok" for node in self.nodes)

    def _settled(self) -> bool:
        owners = [[(one[0], one[1], one[2][1]) for one in sorted(node.owners())] for node in self.nodes]
        return all(one == owners[0] for one in owners) and all(map(self._sees_all, self.nodes))

    def _sees_all(self, node: Node) -> bool:
        state, lines = node.state(), node.lines()
        return (
            state["cluster_state"] == "ok"
            and state["cluster_slots_ok"] == str(SLOTS)
            and len(lines) == len(self.nodes)
            and all(" connected" in line and "fail" not in line and "handshake" not in line for line in lines)
            and (node.is_primary or node.ask("ROLE")[3] == "connected")
        )

    def as_started(self) -> bool:
        """Whether every node runs, and serves what it was given at the start."""
        try:
            roles = [(node.is_primary, node.slots() if node.is_primary else 0) for node in self.nodes]
            settled = self._settled()
        except (redis.RedisError, OSError):
            return False
        given = [(bool(node.ranges), sum(one.last - one.first + 1 for one in node.ranges)) for node in self.nodes]
        return settled and roles == given and len(self.nodes) == PRIMARIES * (1 + self._replicas)

    def flush(self) -> None:
        """No data, functions, users, subscribers; settings as at the start."""
        for node in self.primaries:
            node.wipe()

    def release(self) -> None:
        for node in self.nodes:
            node.close_clients()

    def configure(self, **settings: str) -> None:
        """CONFIG SET on each node; `_` for `-`."""
        for node in self.nodes:
            for name, value in settings.items():
                node.ask("CONFIG", "SET", name.replace("_", "-"), value)

    def at(self, key: str | bytes) -> Node:
        """The primary that serves a key."""
        return self.serving(slot_of(key.encode() if isinstance(key, str) else key))

    def serving(self, slot: int) -> Node:
        """The primary that serves a slot, as the first node that runs has it."""
        known = next(node for node in self.nodes if node.pid)
        for first, last, primary, *_ in known.owners():
            if slot in SlotRange(first, last):
                return next(node for node in self.nodes if node.port == primary[1])
        raise AssertionError(f"nobody serves slot {slot}")

    def move_slot(self, slot: int, source: Node, target: Node) -> int:
        """Moves a slot key by key, as `redis-cli --cluster reshard` does. How many keys it had."""
        self.begin_move(slot, source, target)
        return self.end_move(slot, source, target)

    def begin_move(self, slot: int, source: Node, target: Node) -> None:
        """The slot is on its way; none of its keys is yet."""
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)

    def end_move(self, slot: int, source: Node, target: Node) -> int:
        """Moves its keys, then the slot."""
        moved, target_id = sum(self._migrated(slot, source, target)), target.id
        for node in (target, source, *self.primaries):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        return moved

    def _migrated(self, slot: int, source: Node, target: Node) -> Iterator[int]:
        with redis.Redis(host=HOST, port=source.port, protocol=2) as client:
            while keys := client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
                client.execute_command("MIGRATE", HOST, target.port, "", 0, 10_000, "KEYS", *keys)
                yield len(keys)

    def fail_over(self, replica: Node) -> None:
        """CLUSTER FAILOVER, until all nodes know of it.

        Asked for again: the others give no second vote for the same primary within twice the node timeout.
        """
        while not replica.is_primary:
            replica.ask("CLUSTER", "FAILOVER")
            with contextlib.suppress(AssertionError):
                until(lambda: replica.is_primary, 1.5)
        self.until_whole()

    def cli(self, *words: str, node: Node | None = None) -> str:
        """What `redis-cli --cluster WORDS` prints, or with a node `redis-cli -c` connected to that."""
        program = shutil.which("redis-cli")
        if program is None:
            (pytest.fail if in_ci() else pytest.skip)("redis-cli is not on PATH")
            raise AssertionError
        where = ["-c", "-p", str(node.port)] if node else ["--cluster"]
        done = subprocess.run([program, *where, *words], capture_output=True, check=False, timeout=120)
        said = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
        assert done.returncode == 0, said
        return said

    def redis_cluster(self, **settings: Any) -> redis.RedisCluster:
        """redis-py's own client."""
        return redis.RedisCluster(host=HOST, port=self.nodes[0].port, protocol=2, **settings)


def free_port() -> int:
    """One whose bus port is free, too."""
    while True:
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as own, socket.socket() as bus:
            own.bind((HOST, port))
            bus.bind((HOST, port + BUS))
            return port
