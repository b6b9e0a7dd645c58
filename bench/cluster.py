"""Three shards: calls by redis-py's cluster client, a sync against that of the slowest shard alone, and what status costs.

The four servers and the client share the machine's cores: on two of them three shards can't be as quick as one.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from redis import RedisCluster

import luasprocs
from bench.calls import NAME, ONE_COMMAND
from bench.pairs import Result, ratio
from bench.servers import cluster, kinds
from bench.syncing import SPROCS, repository_in
from luasprocs.language.sproc import git_blob_id, read_sproc
from luasprocs.operations.put import put
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.server.connection import connect
from luasprocs.server.fleet import open_registry
from luasprocs.server.registry import Registry
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.syncer import Syncer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from luasprocs.client import Sprocs
    from luasprocs.server.embedded import EmbeddedServer

CALLS = 6_000
SYNC_PAIRS, CALL_PAIRS, STATUS_PAIRS = 3, 9, 15
FUNCTION = "luasprocs_execute"


def _rate(call: Callable[[str], None]) -> float:
    """Calls a second, their keys spread over the shards."""
    started = time.perf_counter()
    for number in range(CALLS):
        call(f"key{number % 1000}")
    return CALLS / (time.perf_counter() - started)


def _evalsha(client: RedisCluster, sha: str, key: str) -> None:
    client.evalsha(sha, 1, key)


def _fcall(client: RedisCluster, key: str) -> None:
    """redis-py asks the server by COMMAND GETKEYS which keys an FCALL has, each time."""
    client.fcall(FUNCTION, 1, key, NAME)


def _to_its_node(client: RedisCluster, key: str) -> None:
    client.execute_command("FCALL", FUNCTION, 1, key, NAME, target_nodes=client.get_node_from_key(key))


def _connected(sprocs: Sprocs, key: str) -> None:
    sprocs.execute(NAME, keys=[key])


def calls() -> Iterator[Result]:
    source = ONE_COMMAND
    for kind in kinds():
        with cluster(kind) as nodes, RedisCluster("127.0.0.1", nodes[0].port, protocol=2) as client:
            put(open_registry(nodes[0].url), [read_sproc(NAME, NAME, source, git_blob_id(source))])
            sha = str(client.script_load(source))
            evalsha = partial(_rate, partial(_evalsha, client, sha))
            ours = partial(_rate, partial(_connected, luasprocs.connect(client)))
            by_node, asking = partial(_rate, partial(_to_its_node, client)), partial(_rate, partial(_fcall, client))
            what = f"EVALSHA, RedisCluster, 3 shards, {kind} (requests/s)"
            yield ratio(f"luasprocs.connect(client) / {what}", ours, evalsha, CALL_PAIRS, at_least=0.95)
            yield ratio(f"FCALL to the key's node / {what}", by_node, evalsha, CALL_PAIRS, at_least=0.95)
            yield ratio(f"client.fcall() / {what}", asking, evalsha, CALL_PAIRS, at_least=0.2)


def _empty(nodes: list[EmbeddedServer]) -> None:
    for node in nodes:
        with connect(node.url) as client:
            client.flushall()
            client.execute_command("FUNCTION", "FLUSH")


def _sync(folder: Path, nodes: list[EmbeddedServer]) -> float:
    """Seconds of a cold sync."""
    _empty(nodes)
    started = time.perf_counter()
    repository = Repository.open(folder)
    outcome = Syncer(open_registry(nodes[0].url), repository).sync(read_commit(repository))
    took_s = time.perf_counter() - started
    assert len(outcome.plan.created) == SPROCS
    return took_s


def _status(registry: Registry) -> float:
    started = time.perf_counter()
    live = read_snapshot(registry, "", SPROCS).live
    assert live is not None
    assert len(live.sprocs) == SPROCS
    return time.perf_counter() - started


def _syncs_and_status() -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="luasprocs-bench-") as name:
        folder = Path(name)
        repository_in(folder)
        for kind in kinds():
            with cluster(kind) as nodes, cluster(kind, 1) as only:
                yield ratio(
                    f"cold sync of {SPROCS} sprocs to 3 shards / to a shard alone, {kind} (s)",
                    partial(_sync, folder, nodes),
                    partial(_sync, folder, only),
                    SYNC_PAIRS,
                    at_most=1.5,
                )
                yield ratio(
                    f"what status reads of {SPROCS} sprocs, 3 shards / a shard alone, {kind} (s)",
                    partial(_status, open_registry(nodes[0].url)),
                    partial(_status, open_registry(only[0].url)),
                    STATUS_PAIRS,
                    at_most=4.0,
                )


def results() -> Iterator[Result]:
    yield from calls()
    yield from _syncs_and_status()
