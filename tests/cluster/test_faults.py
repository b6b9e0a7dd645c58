"""A ledger beside a cluster that fails: what is lost lies in a gap, nothing runs twice, no job vanishes.

A sync and a rollback run beside each fault; afterwards all shards become as git wants them.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.server.fleet import open_registry
from luasprocs.state.barrier import wait_for_events
from luasprocs.state.jobs import count_jobs, read_jobs
from tests.cluster.faults import Faults
from tests.cluster.ledger import SPROCS, Writers, check, effects, gaps, lost_by_servers, repeats
from tests.cluster.registries import everywhere, tags
from tests.daemons import DaemonProcess
from tests.gitrepo import GitRepo
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from luasprocs.server.registry import Registry
    from tests.clusters import Cluster

DAEMONS, WRITERS, RATE = (4, 8, 60) if SOAK else (2, 4, 20)
SHORT = ("slots", "killed", "tag")
LOSING = ("killed", "migration_killed", "split", "failover", "tag", "added", "all_slots", "daemons_killed")
"""What may leave a gap."""
EQUAL_S = 5.0
"""After a fault all shards equal git within so much, on processors that have time for it."""
LONG = (*SHORT, "all_slots", "directory", "added", "failover", "split", "frozen", "daemons_killed")
pytestmark = [pytest.mark.long, pytest.mark.soak, pytest.mark.timeout(1800 if SOAK else 240)]


class Scene:
    """A repository that daemons follow, and a sproc in it that changes."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.repo = cluster, GitRepo(folder / "repo")
        self.version = 0
        for name, source in SPROCS.items():
            self.repo.write(f"sprocs/{name}.lua", source)
        self.commit()
        self.daemons = [self.process("daemon") for _ in range(DAEMONS)]

    def process(self, *command: str) -> DaemonProcess:
        return DaemonProcess(self.cluster.seeds_url, command=command, cwd=self.repo.path)

    def commit(self) -> None:
        self.version += 1
        self.repo.write("sprocs/version.lua", f"return {self.version}")
        self.repo.commit()

    def change(self) -> None:
        """A sync, then a rollback, which the next commit ends."""
        self.commit()
        for word in ("sync", "rollback"):
            self.process(word).spawn().wait()
        self.commit()

    def is_equal(self) -> bool:
        """Whether all shards hold what git has, under one generation, and the directory names these alone."""
        wanted = {path.name: path.read_text() for path in (self.repo.path / "sprocs").iterdir()}
        try:
            found = everywhere(self.cluster)
        except ValueError:  # two registries on one node
            return False
        same = all(one.sources == wanted and one.engine for one in found)
        return same and len({one.generation for one in found}) == 1 and len(tags(self.cluster)) == len(found)

    def said(self) -> str:
        return "\n\n".join(daemon.output[-4000:] for daemon in self.daemons)

    def settle(self) -> float:
        """Waits until all shards are as git wants them. Returns how long that took, in seconds."""
        began_s = time.monotonic()
        until(self.is_equal, what=self.said)
        return time.monotonic() - began_s


@pytest.fixture
def scene(replicated: Cluster, tmp_path: Path) -> Iterator[Scene]:
    made = Scene(replicated, tmp_path)
    try:
        for daemon in made.daemons:
            daemon.spawn()
        for daemon in made.daemons:
            daemon.until(" listening")
        made.settle()
        yield made
    finally:
        for daemon in made.daemons:
            daemon.kill()


@pytest.mark.parametrize("fault", LONG if SOAK else SHORT)
def test_the_ledger_holds_through(scene: Scene, fault: str) -> None:
    writers, waiting = _through(scene, fault)
    check(writers, effects(scene.cluster), gaps(scene.cluster), waiting)


@pytest.mark.parametrize("server_kind", ["valkey"])
def test_the_ledger_holds_through_a_migration_whose_ends_are_killed(scene: Scene) -> None:
    """What a migration brings may run twice, told."""
    writers, waiting = _through(scene, "migration_killed")
    found = effects(scene.cluster)
    silent = {one.key for one in writers.events if one.sure} - found.ran.keys()
    waiting |= lost_by_servers(scene.cluster, silent)
    check(writers, found, gaps(scene.cluster), waiting, repeats(scene.cluster))


def _through(scene: Scene, fault: str) -> tuple[Writers, set[str]]:
    """What was written beside a fault, and the keys of jobs that wait, after all else is done."""
    cluster, faults = scene.cluster, Faults(scene.cluster, scene.daemons, scene.settle)
    with Writers(cluster, WRITERS, RATE) as writers:
        until(lambda: len(writers.events) > WRITERS * RATE)
        beside = threading.Thread(target=scene.change)
        beside.start()
        getattr(faults, fault)()
        beside.join()
        until(cluster.is_up, what=lambda: "\n".join(cluster.nodes[0].lines()))
        took_s = scene.settle()
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        print(f"{fault}: all shards equal git after {took_s:.1f} s at load {load:.1f} a processor")
        assert took_s < EQUAL_S * max(1, load), scene.said()
        cluster.until_whole()
        reached = len(writers.events)
        until(lambda: len(writers.events) > reached + WRITERS * RATE)
    sure = {one.key for one in writers.events if one.sure}
    asked = {one.key for one in writers.jobs if one.sure}
    registry = open_registry(cluster.url)
    wait_for_events(registry)

    def is_done() -> bool:
        """All is done, or nothing waits that might be."""
        waits, found = in_hand(registry), effects(cluster)
        return not (sure - found.ran.keys() or asked - found.done.keys()) or (fault in LOSING and not waits)

    until(is_done, what=scene.said)
    waiting = {key for job in read_jobs(registry, 1 << 30) for key in job.keys}
    return writers, waiting


def in_hand(registry: Registry) -> int:
    """Jobs that are not dead, and events that wait for their key's shard."""
    counts = count_jobs(registry)
    sent: list[Any] = [shard.client.xlen(shard.keys.outbox) for shard in registry.shards]
    waiting: int = counts["open"] + counts["delayed"] + sum(sent)
    return waiting
