"""What befalls a cluster of three primaries and their replicas. Each leaves it whole, with three primaries."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from luasprocs.server.slots import SHARED, slot_of
from tests.cluster.registries import tags
from tests.clusters import FAILOVER_TIMEOUT_MS, HOST
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clusters import Cluster, Node
    from tests.daemons import DaemonProcess

RESHARDED = 60
BUNDLE = 20
AT_ONCE = 10


class Faults:
    """`settle`: called in the midst of those that change the shards, to wait until all of them are as git wants it."""

    def __init__(self, cluster: Cluster, daemons: list[DaemonProcess], settle: Callable[[], object]) -> None:
        self.cluster, self.daemons, self.settle = cluster, daemons, settle

    def slots(self, count: int = 200) -> None:
        """Slots of a primary moved away and back key by key, the tag's own not among them."""
        source, target = self.cluster.primaries[:2]
        kept = {slot_of(tag.encode()) for tag in (*tags(self.cluster), SHARED)}
        some = [slot for slot in self._of(source) if slot not in kept][:count]
        self._move(some, source, target)
        self._move(some, target, source)

    def all_slots(self) -> None:
        """All of a primary."""
        source, target = self.cluster.primaries[:2]
        self.cluster.configure(cluster_allow_replica_migration="no")
        some = self._of(source)
        self._move(some, source, target)
        self.settle()
        self._move(some, target, source)

    def tag(self) -> None:
        """The slot of a registry's tag, away and back."""
        source, target = self.cluster.primaries[:2]
        self._away_and_back(
            [slot_of(next(tag for tag in tags(self.cluster) if self._at(tag) is source).encode())], source, target
        )

    def directory(self) -> None:
        """The slot of what is no single shard's."""
        source = self._at(SHARED)
        target = next(node for node in self.cluster.primaries if node is not source)
        self._away_and_back([slot_of(SHARED.encode())], source, target)

    def added(self) -> None:
        """A primary is added, given slots, rid of them, and deleted."""
        cluster, known = self.cluster, self.cluster.nodes[0].address
        new = cluster.add()
        cluster.cli("add-node", new.address, known)
        until(lambda: all(len(node.lines()) == len(cluster.nodes) for node in cluster.nodes) and cluster.is_up())
        primaries = [node for node in cluster.primaries if node is not new]
        self._reshard(primaries, new, RESHARDED)
        self.settle()
        self._reshard([new], primaries[0], new.slots())
        self.settle()
        cluster.cli("del-node", known, new.id)
        cluster.nodes.remove(new)
        new.kill()

    def killed(self) -> None:
        """kill -9 of a primary; its replica takes over, and it comes back as a replica."""
        victim = self.cluster.primaries[-1]
        victim.kill()
        until(lambda: len(self.cluster.primaries) == 3)
        victim.start()

    def migration_killed(self) -> None:
        """kill -9 of the source, then of the target, while the servers themselves move slots from one to the other."""
        for victim in (0, 1):
            pair = self.cluster.primaries[:2]
            first, last, *_ = min(one for one in pair[0].owners() if one[2][1] == pair[0].port)
            pair[0].ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", first, (first + last) // 2, "NODE", pair[1].id)
            time.sleep(random.uniform(0, 0.2))
            pair[victim].kill()
            until(lambda: len(self.cluster.primaries) == 3)
            pair[victim].start()
            self.cluster.until_whole()

    def failover(self) -> None:
        """CLUSTER FAILOVER."""
        self.cluster.fail_over(next(node for node in self.cluster.nodes if not node.is_primary))

    def split(self) -> None:
        """A primary that is stopped until its replica has taken over."""
        victim = self.cluster.primaries[0]
        victim.freeze()
        try:
            other = next(node for node in self.cluster.nodes if node is not victim)
            until(lambda: all(primary[1] != victim.port for _, _, primary, *_ in other.owners()))
        finally:
            victim.thaw()

    def frozen(self) -> None:
        """A primary that is stopped for less than the others bear."""
        victim = self.cluster.primaries[1]
        victim.freeze()
        time.sleep(FAILOVER_TIMEOUT_MS / 2000)
        victim.thaw()

    def daemons_killed(self, times: int = 3) -> None:
        """kill -9 of a daemon each second."""
        for number in range(times):
            daemon = self.daemons[number % len(self.daemons)]
            daemon.kill()
            daemon.spawn()
            time.sleep(1)

    def _at(self, tag: str) -> Node:
        return self.cluster.at(f"{{{tag}}}")

    def _of(self, node: Node) -> list[int]:
        return [
            slot for first, last, one, *_ in node.owners() if one[1] == node.port for slot in range(first, last + 1)
        ]

    def _away_and_back(self, slots: list[int], source: Node, target: Node) -> None:
        self._move(slots, source, target)
        self.settle()
        self._move(slots, target, source)

    def _move(self, slots: list[int], source: Node, target: Node) -> None:
        """BUNDLE of them are on their way at a time."""
        rest = [node for node in self.cluster.primaries if node not in {source, target}]
        for first in range(0, len(slots), BUNDLE):
            some = slots[first : first + BUNDLE]
            _each(target, "SETSLOT", some, "IMPORTING", source.id)
            _each(source, "SETSLOT", some, "MIGRATING", target.id)
            left = some
            while left:
                found = _each(source, "GETKEYSINSLOT", left, AT_ONCE)
                left = [slot for slot, keys in zip(left, found, strict=True) if keys]
                pipe = source.client().pipeline(transaction=False)
                for keys in filter(None, found):
                    pipe.execute_command("MIGRATE", HOST, target.port, "", 0, 10_000, "KEYS", *keys)
                pipe.execute()
            for node in (target, source, *rest):
                _each(node, "SETSLOT", some, "NODE", target.id)

    def _reshard(self, sources: list[Node], target: Node, count: int) -> None:
        words = ("--cluster-from", ",".join(node.id for node in sources), "--cluster-to", target.id)
        how = ("--cluster-slots", str(count), "--cluster-yes")
        self.cluster.cli("reshard", self.cluster.nodes[0].address, *words, *how)


def _each(node: Node, word: str, slots: list[int], *more: object) -> list[Any]:
    """CLUSTER WORD SLOT MORE for each slot; a node whose replicas are slow is asked again."""
    pipe = node.client(socket_timeout=30).pipeline(transaction=False)
    for slot in slots:
        pipe.execute_command("CLUSTER", word, slot, *more)
    replies = pipe.execute(raise_on_error=False)
    slow = [slot for slot, reply in zip(slots, replies, strict=True) if "NOREPLICAS" in str(reply)]
    wrong = [reply for reply in replies if isinstance(reply, Exception) and "NOREPLICAS" not in str(reply)]
    if wrong:
        raise wrong[0]
    return _each(node, word, slow, *more) if slow else replies
