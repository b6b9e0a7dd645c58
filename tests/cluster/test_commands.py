"""Commands on a cluster, as they are typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.server.fleet import open_registry
from luasprocs.server.slots import slot_of
from sync.session import Session
from tests.daemons import DaemonProcess
from tests.gitrepo import SETTINGS, GitRepo
from tests.sync.commands.shell import Shell
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from luasprocs.server.registry import Registry
    from tests.clusters import Cluster

HURRIED = "?socket_timeout=0.5&socket_connect_timeout=0.5"


@pytest.fixture
def shell(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Shell:
    """A user in a repository whose sprocs are live; LUASPROCS_REDIS names a node."""
    for name, value in {**SETTINGS, "HOME": str(tmp_path), "LUASPROCS_REDIS": cluster.urls[1]}.items():
        monkeypatch.setenv(name, value)
    repo = GitRepo(tmp_path / "shop")
    repo.write("sprocs/add.lua", "return redis.call('INCR', KEYS[1])")
    repo.write("sprocs/job.lua", "-- runasync=yes\nreturn 1")
    repo.commit("first")
    monkeypatch.chdir(tmp_path / "shop")
    shell = Shell(tmp_path / "shop", cluster.nodes[1], capsysbinary)
    assert shell("sync").code == 0
    return shell


def key_of_each(cluster: Cluster) -> list[str]:
    return [next(f"k{n}" for n in range(100) if cluster.at(f"k{n}") is node) for node in cluster.primaries]


def test_what_each_shard_has_is_shown_and_one_shard_alone(cluster: Cluster, shell: Shell) -> None:
    tags = [shard.keys.tag for shard in open_registry(cluster.url).shards]
    for key in key_of_each(cluster):
        assert shell.ok("execute", "add.lua", "--key", key).out == "1\n"
        shell("execute", "job.lua", "--key", key)
    assert [one["shard"] for one in shell.ok("logs", "--json").lines] == tags
    assert [one["key"] for one in shell.ok("logs", "--json", "--shard", tags[1]).lines] == key_of_each(cluster)[1:2]
    jobs = shell.ok("jobs", "--json").lines
    assert sorted(one["shard"] for one in jobs) == sorted(tags)
    [job] = shell.ok("jobs", "list", "--json", "--shard", tags[2]).lines
    assert f"{job['id']} was queued: dropped" in shell.ok("jobs", "drop", job["id"]).out
    assert shell.ok("jobs", "list", "--json", "--shard", tags[2]).out == ""
    assert "there is no shard 'x'" in shell("logs", "--shard", "x").err


def test_status_lists_the_shards(cluster: Cluster, shell: Shell) -> None:
    said = shell.ok("status", "--json").json
    assert [(one["address"], one["generation"], one["problem"]) for one in said["shards"]] == [
        (node.address, 1, None) for node in cluster.primaries
    ]
    assert said["shards"][0]["slots"] == [[*one] for one in cluster.primaries[0].ranges]
    text = shell.ok("status").out
    assert [line.split()[3].rstrip(",") for line in text.splitlines() if line.startswith("shard")] == [
        node.address for node in cluster.primaries
    ]
    [alone] = shell("status", "--json", "--shard", said["shards"][2]["tag"]).json["shards"]
    assert alone == said["shards"][2]


def test_what_is_read_while_a_slot_moves_is_read_again(cluster: Cluster, shell: Shell) -> None:
    session = Session({}, lenient=True)
    looks: list[Registry] = []

    def read() -> bool:
        looks.append(session.registry)
        shard = session.registry.shards[1]
        assert shard.client.ping()
        if len(looks) == 1:
            assert shard.client.ping()  # the nodes were asked, and won't be for a second
            cluster.move_slot(slot_of(shard.keys.tag.encode()), source, target)
        return bool(shard.client.exists(shard.keys.list))

    with session.named_errors():
        tag = session.registry.shards[1].keys.tag
        source = cluster.at(f"{{{tag}}}")
        target = next(node for node in cluster.nodes if node is not source)
        session.settled(read)
    assert len(looks) == 2
    assert looks[0] is not looks[1]
    cluster.move_slot(slot_of(tag.encode()), target, source)
    assert shell("status", "--json").json["in_sync"]


def test_a_daemon_hears_shards_once_there_are_events(cluster: Cluster, shell: Shell) -> None:
    with DaemonProcess(cluster.url):
        until(lambda: ", 0 sources, lag 0" in shell("status").out)
        (shell.repo / "sprocs/seen.lua").write_text("-- event=set\n-- key=x:*\nreturn 1")
        shell.ok("sync", "--worktree")
        until(lambda: ", hears 3 of 3 shards, lag 0" in shell("status").out)
        cluster.nodes[2].freeze()
        try:
            assert ", hears 2 of 3 shards, " in shell("--redis", f"{cluster.urls[1]}{HURRIED}", "status").out
        finally:
            cluster.nodes[2].thaw()


def test_a_node_that_hangs_is_named_by_status_and_keeps_a_sync_from_beginning(cluster: Cluster, shell: Shell) -> None:
    url = f"{cluster.urls[1]}{HURRIED}"
    node = cluster.nodes[2]
    node.freeze()
    try:
        said = shell("--redis", url, "status", "--json")
        assert (said.code, [one["code"] for one in said.json["findings"]]) == (1, ["shard_differs"])
        assert [bool(one["problem"]) for one in said.json["shards"]] == [False, False, True]
        GitRepo(shell.repo).write("sprocs/new.lua", "return 1")
        refused = shell("--redis", url, "sync", "--worktree")
        assert refused.code != 0
        assert node.address in refused.err
    finally:
        node.thaw()
    assert shell("status", "--json").json["generation"] == 1


def test_the_first_sproc_that_init_writes_runs_without_keys(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert shell("--repo", str(tmp_path / "new"), "init").code == 0
    GitRepo(shell.repo).write("sprocs/hello.lua", (tmp_path / "new/sprocs/hello.lua").read_text())
    assert shell("sync", "--worktree").code == 0
    assert shell.ok("execute", "hello.lua", "you").out == "hello you, number 1\n"
