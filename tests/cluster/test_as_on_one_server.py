"""What is promised of requests, pins, live edits and findings, on a cluster of three shards, with a daemon that follows git."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from luasprocs.operations.edit import edit
from luasprocs.registry.live import read_live
from luasprocs.server.fleet import open_registry
from luasprocs.state import requests
from luasprocs.state.desired import read_sync_state
from tests.cluster.registries import keys_on
from tests.daemons import DaemonProcess
from tests.until import until

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry
    from tests.clusters import Cluster
    from tests.sync.commands.shell import Shell

pytestmark = pytest.mark.timeout(120)


def daemon(cluster: Cluster, shell: Shell) -> DaemonProcess:
    return DaemonProcess(cluster.url, command=("daemon",), cwd=shell.repo, environ={"LUASPROCS_INTERVAL": "1s"})


def stands(registry: Registry, state: str, commit: str = "") -> None:
    until(
        lambda: (found := read_sync_state(registry)).state == state and found.commit.startswith(commit),
        what=lambda: read_sync_state(registry),
    )


def codes(shell: Shell) -> set[str]:
    return {one["code"] for one in shell("status", "--json").json["findings"]}


def answered(registry: Registry, asked: str) -> requests.Answer:
    found = requests.wait_for_answer(registry, asked, 15)
    assert found is not None
    return found


def test_a_request_that_nobody_answered_is_not_done_later(cluster: Cluster, shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.commit(a="return 2")
    shell.ok("sync")
    registry = open_registry(cluster.url)
    overtaken = [requests.request(registry, action, "ann", 60) for action in ("sync", "rollback")]
    late = requests.request(registry, "rollback", "ann", 0.05)
    shell.ok("rollback")
    with daemon(cluster, shell):
        stands(registry, "pinned")
        assert [answered(registry, one).refusal for one in (*overtaken, late)] == ["overtaken", "overtaken", "expired"]
        assert shell.ok("execute", "a.lua").out == "1\n"


def test_a_rollback_stays_and_an_unrelated_commit_comes(cluster: Cluster, shell: Shell) -> None:
    shell.commit(a="return 1", b="return 1")
    shell.ok("sync")
    shell.commit(a="return 2")
    shell.ok("sync")
    shell.ok("rollback", "--why", "2 was wrong")
    registry = open_registry(cluster.url)
    with daemon(cluster, shell):
        commit = shell.commit(b="return 3")
        stands(registry, "pinned", commit)
        until(lambda: shell("execute", "b.lua").out == "3\n")
        assert shell.ok("execute", "a.lua").out == "1\n"
        assert codes(shell) == {"pinned"}
        shell.ok("unpin")
        stands(registry, "synced")
        assert shell.ok("execute", "a.lua").out == "2\n"


def test_an_edit_that_git_has_overtaken_waits(cluster: Cluster, shell: Shell) -> None:
    shell.commit(a="return 1", b="return 1")
    shell.ok("sync")
    registry = open_registry(cluster.url)
    edit(registry, "a.lua", b"return 'edited'\n", base=read_live(registry).sprocs["a.lua"].blob, by="ann@host")
    commit = shell.commit(a="return 2", b="return 2")
    with daemon(cluster, shell):
        stands(registry, "synced", commit)
        assert (shell.ok("execute", "a.lua").out, shell.ok("execute", "b.lua").out) == ("edited\n", "2\n")
        assert codes(shell) == {"behind", "unsaved_edit"}
        shell.ok("edit", "a.lua", "--undo")
        until(lambda: shell("execute", "a.lua").out == "2\n")
        until(lambda: codes(shell) == set())


def test_what_is_wrong_on_one_shard_is_a_finding(cluster: Cluster, shell: Shell) -> None:
    event = "-- event=set\n-- key=x:*\nif KEYS[1] == 'x:bad' then error('no') end\n"
    shell.commit(ev=event, job="-- runasync=yes\nerror('never')")
    shell.ok("sync")
    registry = open_registry(cluster.url)
    with daemon(cluster, shell) as running:
        stands(registry, "synced")
        assert codes(shell) == set()
        cluster.at("x:bad").ask("SET", "x:bad", "1")
        until(lambda: codes(shell) == {"failing"})
        shell("execute", "job.lua")
        until(lambda: codes(shell) == {"failing", "dead_jobs"}, what=lambda: codes(shell))
        shell.ok("pause", "ev.lua")
        assert "paused" in codes(shell)
        shell.ok("resume", "ev.lua")
        node = cluster.nodes[2]
        node.ask("HSET", keys_on(cluster, node).name("ev.lua"), "source", "return 'hacked'")
        until(lambda: node.ask("HGET", keys_on(cluster, node).name("ev.lua"), "source") == event.strip() + "\n")
        os.kill(running.pid, signal.SIGSTOP)
        try:
            until(lambda: {"no_daemon", "daemon_silent"} <= codes(shell))
        finally:
            os.kill(running.pid, signal.SIGCONT)
        until(lambda: "no_daemon" not in codes(shell))
