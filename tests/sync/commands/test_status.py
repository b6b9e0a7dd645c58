"""`luasprocs status`: what is live, and whether it is what git wants."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.operations.identity import user_at_host
from luasprocs.server.connection import connect
from tests.sync.service.service import Service
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import OwnServer, StartDaemon
    from tests.sync.commands.shell import Shell

FIELDS = [
    *("commit", "generation", "branch", "applied_at", "count"),
    *("in_sync", "drift", "pinned", "shards", "daemons", "gaps", "refused", "jobs", "findings"),
]


def test_in_sync(shell: Shell) -> None:
    commit = shell.commit(a="return 1", b="return 2")
    shell.ok("sync")

    said = shell.ok("status", "--json").json

    assert list(said) == FIELDS
    assert datetime.fromisoformat(said["applied_at"]).tzinfo is not None
    del said["applied_at"]
    assert said == {
        "commit": commit,
        "generation": 1,
        "branch": "main",
        "count": 2,
        "in_sync": True,
        "drift": [],
        "pinned": None,
        "shards": [],
        "daemons": [],
        "gaps": [],
        "refused": None,
        "jobs": {"open": 0, "delayed": 0, "dead": 0},
        "findings": [],
    }
    assert shell.ok("status").out.endswith("in sync\n")


def test_never_synced(shell: Shell) -> None:
    shell.commit(a="return 1")
    said = shell("status")
    assert said.code == 1
    assert "registry    empty" in said.out
    empty = shell("status", "--json")
    assert empty.code == 1
    assert list(empty.json) == FIELDS
    assert (empty.json["in_sync"], empty.json["commit"], empty.json["generation"]) == (False, None, 0)


def test_a_commit_that_is_not_live_yet(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    commit = shell.commit(a="return 2")
    said = shell("status")
    assert said.code == 1
    assert f"wants {commit[:10]}" in said.out
    assert "in sync" not in said.out
    assert not shell("status", "--json").json["in_sync"]


def test_an_edit_by_hand_is_named(shell: Shell) -> None:
    shell.commit(a="return 1", b="return 2")
    shell.ok("sync")
    shell.redis.hset(Keys().name("b.lua"), "source", "return 'by hand'")

    said = shell("status")

    assert said.code == 1
    assert any("b.lua" in line for line in said.out.splitlines() if line.startswith("drift"))
    assert shell("status", "--json").json["drift"] == ["b.lua"]


def test_a_live_edit_is_not_behind_until_git_changes_the_file(shell: Shell) -> None:
    shell.commit(a="return 1", b="return 2")
    shell.ok("sync")
    shell.ok("edit", "a.lua", "--set", "timeout=2s")
    said = shell("status", "--json")
    codes = {one["code"] for one in said.json["findings"]}
    assert ("unsaved_edit" in codes, "behind" in codes, said.json["in_sync"]) == (True, False, False)
    shell.commit(a="return 3")
    assert "behind" in {one["code"] for one in shell("status", "--json").json["findings"]}


def test_a_flushed_server(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.flushall()
    assert shell("status").code == 1
    assert not shell("status", "--json").json["in_sync"]


def test_flushed_functions(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.execute_command("FUNCTION", "FLUSH")

    said = shell("status", "--json")

    assert said.code == 1
    assert len(said.json["drift"]) == 1
    assert "engine" in said.json["drift"][0]


def test_a_rollback_is_pinned_until_the_next_sync(shell: Shell) -> None:
    old = shell.commit(a="return 1")
    shell.ok("sync")
    new = shell.commit(a="return 2")
    shell.ok("sync")
    shell.ok("rollback")

    said = shell("status", "--json")

    assert said.code == 1
    assert (said.json["commit"], said.json["pinned"], said.json["in_sync"]) == (old, new, False)
    assert f"rolled back from commit {new[:10]}" in shell("status").out
    shell.ok("sync")
    assert shell.ok("status", "--json").json["pinned"] is None


def test_it_says_what_is_live_without_a_repository(shell: Shell, monkeypatch) -> None:
    commit = shell.commit(a="return 1")
    shell.ok("sync")
    monkeypatch.chdir(shell.repo.parent)
    assert shell("status", "--json").json["commit"] == commit


def test_an_evicting_server_is_warned_of(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.config_set("maxmemory-policy", "allkeys-lru")
    said = shell.ok("status")
    assert "evicting    maxmemory-policy allkeys-lru removes sprocs as soon as maxmemory is set" in said.out
    (one,) = shell.ok("status", "--json").json["findings"]
    assert (one["level"], one["code"]) == ("info", "evicting")
    shell.redis.config_set("maxmemory", "500mb")
    said = shell("status")
    assert (said.code, "in sync" in said.out) == (1, False)
    shell.redis.config_set("maxmemory", "0")
    shell.redis.config_set("maxmemory-policy", "noeviction")


DREAM = "-- event=set\n-- key=dream*\nredis.call('SET', 'sc2', KEYS[1] .. '=' .. ARGV[1])\n"


def test_daemons_are_listed(shell: Shell, start_daemon: StartDaemon) -> None:
    shell.commit(dream=DREAM)
    shell.ok("sync")
    assert "no daemon is alive, so nothing runs: events" in shell("status").out
    daemon = start_daemon(shell.server.url)
    shell.redis.set("dream", "1")
    shell.ok("wait")
    shell.ok("wait")

    (found,) = shell.ok("status", "--json").json["daemons"]

    assert list(found) == [
        *("id", "host", "pid", "alive", "age_ms", "started_at", "covers", "lag", "read", "runs", "ignored"),
    ]  # fmt: skip
    assert (found["host"], found["pid"], found["alive"]) == (socket.gethostname(), daemon.pid, True)
    assert (found["lag"], found["read"], found["runs"]) == (0, 1, 1)
    assert list(found["covers"]) == ["__keyspace@0__:dream*"]
    assert 0 <= found["age_ms"] < 60_000
    assert datetime.fromisoformat(found["started_at"]).tzinfo is not None
    said = shell.ok("status").out
    where = f"pid {daemon.pid} on {found['host']}"
    assert f"daemon      {found['id']}: {where}, 1 source, lag 0, 1 run by events, last seen " in said
    assert said.endswith("in sync\n")

    assert daemon.stop() == 0
    assert shell("status", "--json").json["daemons"] == []
    assert "no daemon is alive" in shell("status").out


def test_a_daemon_that_was_killed_is_shown_as_dead(shell: Shell, start_daemon: StartDaemon) -> None:
    shell.commit(dream=DREAM, late="-- runasync=yes\nwhile true do end")
    shell.ok("sync")
    daemon = start_daemon(shell.server.url)
    shell.ok("wait")
    shell.ok("execute", "late.lua")
    until(lambda: shell.ok("jobs").rows[0][2] == "running")
    daemon.kill()
    found: Any = shell.redis.hgetall(Keys().daemons)
    ((name, beat),) = found.items()
    heard_ms, rest = beat.split(b" ", 1)
    shell.redis.hset(Keys().daemons, name, b"%d %s" % (int(heard_ms) - 5000, rest))
    (dead,) = shell("status", "--json").json["daemons"]
    assert dead["alive"] is False
    assert dead["age_ms"] >= 5000
    shell.redis.config_set("min-replicas-to-write", 1)
    try:
        assert shell("status", "--json").json["daemons"][0]["alive"] is None
        assert f"daemon      {dead['id']}: not known to be alive, as the server takes no writes" in shell("status").out
    finally:
        shell.redis.config_set("min-replicas-to-write", 0)
    said = shell("status")
    assert said.code == 1
    assert f"daemon      {dead['id']}: gone; last seen " in said.out
    assert "no_daemon   no daemon is alive" in said.out
    assert f"daemon_silent no heartbeat, and not stopped in order: {dead['id']} for " in said.out
    [[_, _, state, *_, why]] = shell.ok("jobs").rows
    assert (state, why) == ("stalled", f"on {dead['id']}, which sends no heartbeats")
    assert shell.ok("jobs", "list", "--json").json["stalled"]
    assert "in sync" not in said.out


def test_gaps_are_listed(shell: Shell) -> None:
    shell.commit(dream=DREAM)
    shell.ok("sync")
    gap = ("source", "__keyspace@0__:dream*", "from_ms", 1700000000123, "to_ms", 1700000001000)
    shell.redis.execute_command("XADD", Keys().gaps, "*", *gap, "why", "no daemon listened", "daemon", "d")
    assert shell("status", "--json").json["gaps"] == [
        {
            "kind": None,
            "source": "__keyspace@0__:dream*",
            "from": "2023-11-14T22:13:20.123Z",
            "to": "2023-11-14T22:13:21.000Z",
            "why": "no daemon listened",
            "daemon": "d",
            "slots": None,
            "events": None,
            "shard": "",
        }
    ]
    line = (
        "gap         events of __keyspace@0__:dream* were missed from 2023-11-14T22:13:20.123Z to 2023-11-14T22:13:21.000Z: "
        "no daemon listened\n"
    )
    assert line in shell("status").out


def test_gaps_are_acknowledged(shell: Shell) -> None:
    shell.commit(dream="return 1")
    shell.ok("sync")
    gap = {"source": "s", "from_ms": 1, "to_ms": 2, "why": "w", "daemon": "d"}
    shell.redis.xadd(Keys().gaps, gap)  # type: ignore[arg-type]
    shell.redis.hset(Keys().stats("dream.lua"), "last_missed", shell.redis.time()[0] * 1000)
    assert [one["code"] for one in shell("status", "--json").json["findings"]] == ["gap", "missed"]
    assert shell.ok("status", "--acknowledge").out.endswith("in sync\n")
    assert shell.ok("status", "--json").json["findings"] == []
    assert len(shell.ok("status", "--json").json["gaps"]) == 1, "what happened is still told"
    kept: Any = shell.redis.hgetall(Keys().acknowledged)
    assert all(value.decode().split(" ")[2] == user_at_host() for value in kept.values())
    shell.ok("status", "--acknowledge")
    assert shell.redis.hgetall(Keys().acknowledged) == kept, "there was nothing more to know"
    shell.redis.xadd(Keys().gaps, gap)  # type: ignore[arg-type]
    assert [one["code"] for one in shell("status", "--json").json["findings"]] == ["gap"]


def test_what_is_stopped_says_by_whom_and_since_when(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.ok("suspend", "a", "freeze")
    shell.ok("pause", "a.lua")
    said = shell("status")
    assert said.code == 1
    assert "in sync" not in said.out
    lines = said.out.splitlines()
    since = datetime.now(UTC).strftime("%Y-%m-%dT")
    assert any(line.startswith(f"suspended   syncs are suspended by {user_at_host()} since {since}") for line in lines)
    assert any(line.startswith(f"paused      paused: a.lua by {user_at_host()} since {since}") for line in lines)
    suspended, paused = shell("status", "--json").json["findings"]
    assert (suspended["code"], suspended["by"], paused["code"], paused["names"]) == (
        *("suspended", user_at_host()),
        *("paused", ["a.lua"]),
    )
    assert {"since", "hint", "level"} <= suspended.keys() & paused.keys()
    assert shell("status", "--json").json["in_sync"]


def test_a_server_that_does_not_answer_is_a_finding(shell: Shell) -> None:
    shell.commit(a="return 1")
    gone = ("--redis", "redis://ann:s3cret@127.0.0.1:1/0")
    said = shell(*gone, "status", "--json")
    assert said.code == 1
    assert [(one["level"], one["code"]) for one in said.json["findings"]] == [("error", "unreachable")]
    text = shell(*gone, "status")
    message, hint = text.out.splitlines()
    assert message.startswith("unreachable nothing answers")
    assert "--redis" in hint
    assert (text.code, text.err, "in sync" in text.out) == (1, "", False)
    assert "s3cret" not in said.out + text.out + text.err


def told(shell: Shell, code: str) -> str:
    """Waits until `status` prints a finding of that code; then it exits 1 and calls nothing in sync."""
    until(lambda: f"\n{code} " in shell("status").out)
    said = shell("status")
    assert (said.code, "in sync" in said.out) == (1, False), said.out
    return next(line for line in said.out.splitlines() if line.startswith(code))


def test_a_branch_that_does_not_contain_what_is_live(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.git("checkout", "-qb", "other")
    shell.commit(a="return 2")
    shell.ok("sync")
    shell.git("checkout", "-q", "main")
    shell.commit(a="return 3")
    with Service(shell.server.url, shell.repo):
        told(shell, "diverged")


def test_a_repository_that_a_daemon_can_not_read(shell: Shell) -> None:
    shell.commit(a="return 1")
    with Service(shell.server.url, shell.repo) as daemon:
        until(lambda: shell("status").code == 0)
        head = shell.repo / ".git" / "HEAD"
        was = head.read_text()
        head.write_text("ref: refs/heads/none\n")
        daemon.until("degraded")
        told(shell, "degraded")
        head.write_text(was)
        until(lambda: shell("status").code == 0)


def test_dead_jobs(shell: Shell) -> None:
    shell.commit(a="-- runasync=yes\nerror('boom')")
    with Service(shell.server.url, shell.repo):
        until(lambda: shell("status").code == 0)
        shell("execute", "a.lua")
        assert "1 job has used up the retries" in told(shell, "dead_jobs")


def test_only_the_last_gaps_are_listed(shell: Shell) -> None:
    for number in range(15):
        shell.redis.xadd(Keys().gaps, {"source": f"s{number}", "from_ms": 1, "to_ms": 2, "why": "w", "daemon": "d"})
    found = shell("status", "--json").json["gaps"]
    assert [gap["source"] for gap in found] == [f"s{number}" for number in range(5, 15)]


def test_heartbeats_and_gaps_that_somebody_wrote_over(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.set(Keys().daemons, "text")
    shell.redis.set(Keys().gaps, "text")
    said = shell("status", "--json")
    assert (said.code, said.json["daemons"], said.json["gaps"]) == (1, [], [])  # a sync repairs them
    assert said.json["findings"][0]["names"] == [f"{Keys().daemons} is not a hash", f"{Keys().gaps} is not a stream"]


def test_saved_files_that_are_refused_are_not_in_sync(shell: Shell) -> None:
    for number in range(12):
        shell.commit(**{f"s{number}": "return 1"})
    with Service(shell.server.url, shell.repo, "--worktree") as daemon:
        until(lambda: shell("status", "--json").json["in_sync"])
        broken = shell.repo / "sprocs" / "s1.lua"
        broken.write_text("return (")
        until(lambda: shell("status", "--json").json["refused"])
        said = shell("status")
        assert said.code == 1
        assert "refused     sprocs/s1.lua:1:" in said.out
        assert "in sync" not in said.out
        broken.write_text("return 1")
        until(lambda: shell("status").code == 0)
        daemon.until("in sync again")
        assert daemon.output.count("sprocs/s1.lua:1:") == 1
        for number in range(2, 12):
            (shell.repo / "sprocs" / f"s{number}.lua").unlink()
        daemon.until("sync --worktree with --prune-all")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda git: (git / "HEAD").write_text("garbage"),
        lambda git: (git / "config").write_text("[core]\nrepositoryformatversion = 99\n"),
        lambda git: (git / "objects").rename(git / "gone"),
    ],
    ids=["HEAD", "version", "objects"],
)
def test_a_repository_that_git_cant_open_is_not_in_sync(shell: Shell, spoil: Callable[[Path], object]) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    assert shell("status").code == 0
    spoil(shell.repo / ".git")
    said = shell("status", "--json")
    (finding,) = said.json["findings"]
    assert (said.code, finding["code"], finding["message"].startswith("git: ")) == (1, "degraded", True)


def test_a_server_that_is_busy_is_a_finding(shell: Shell) -> None:
    client, other = shell.redis, shell.server.client()
    client.config_set("busy-reply-threshold", 1)

    def loops() -> None:
        with contextlib.suppress(ResponseError):
            other.eval("while true do end", 0)

    thread = threading.Thread(target=loops)
    thread.start()
    try:
        busy = until(lambda: "busy" in (said := shell("status", "--json")).out and said)
    finally:
        until(lambda: client.execute_command("SCRIPT", "KILL"))
        thread.join()
    assert (busy.code, [one["code"] for one in busy.json["findings"]]) == (1, ["unreachable"])


@pytest.mark.wording
def test_while_writes_are_paused_daemons_are_not_dead(
    own_server: OwnServer, shell: Shell, start_daemon: StartDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = replace(shell, server=own_server(kind="valkey"))  # Redis doesn't tell
    monkeypatch.setenv("LUASPROCS_REDIS", shell.server.url)
    shell.commit(a="-- event=set\n-- key=x\nreturn 1")
    shell.ok("sync")
    start_daemon(shell.server.url)
    shell.redis.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    try:
        time.sleep(3)
        found = {one["code"]: one["message"] for one in shell("status", "--json").json["findings"]}
    finally:
        shell.redis.execute_command("CLIENT", "UNPAUSE")
    assert found.keys() == {"unreachable"}
    assert "writes are paused" in found["unreachable"]


@pytest.mark.wording
def test_a_server_that_hangs_is_told_soon_and_what_takes_long_is_not_cut(shell: Shell) -> None:
    url = f"{shell.server.url}?socket_connect_timeout=1"
    shell.commit(a="return 1")
    shell.ok("sync")
    os.kill(shell.server.pid, signal.SIGSTOP)
    try:
        started_s = time.monotonic()
        assert "no answer in time" in shell("--redis", url, "status").out
        assert "no answer in time" in shell("wait", "--timeout", "1s").err
        took_s = time.monotonic() - started_s
    finally:
        os.kill(shell.server.pid, signal.SIGCONT)
    assert took_s < 8, "each has a second"
    with connect(url) as client:
        assert client.blpop(["nothing"], 2) is None
