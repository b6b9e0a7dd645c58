"""A daemon whose git can't be reached when it starts: what is live in Redis runs all the same, and its state says so."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.server.registry import Registry
from luasprocs.state.desired import read_sync_state
from sync.git.repository import Repository
from sync.service.follower import Follower
from sync.service.rules import Rules
from sync.service.sources import Checkout
from tests.githttp import GitHttp
from tests.gitrepo import GitRepo
from tests.live import put, sproc
from tests.soak import SOAK
from tests.status import finding
from tests.sync.service.service import KEYS, Service, live, stands, state_of
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from redis import Redis

    from tests.servers import Server

pytestmark = pytest.mark.timeout(120)
EVENT = "-- event=set\n-- key=ev:*\nredis.call('INCR', 'fired')\n"
ASYNC = "-- runasync=yes\nredis.call('INCR', 'worked')\n"
TICKS = "-- every=1s\nredis.call('INCR', 'ticks')\n"
SPROCS = {"a.lua": EVENT, "late.lua": ASYNC, "tick.lua": TICKS}
SHOP = Keys("shop")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def ended(service: Service) -> Iterator[Service]:
    """Spawned: with nothing live it does not listen yet; killed at the end."""
    service.spawn()
    try:
        yield service
    finally:
        service.kill()


def everything_runs(client: Redis, keys: Keys = KEYS) -> None:
    """An event, a schedule and a job."""
    client.execute_command("FCALL", keys.function("enqueue"), 0, "late.lua", "ann", 1)
    until(lambda: client.set("ev:1", "x") and client.get("fired"))
    until(lambda: client.get("worked"))
    until(lambda: client.get("ticks"))


@pytest.fixture
def hub(tmp_path: Path) -> GitRepo:
    """A bare repository with those sprocs and a namespace."""
    repo = GitRepo(tmp_path / "shop")
    for name, source in SPROCS.items():
        repo.write(f"sprocs/{name}", source)
    repo.write("luasprocs.toml", 'namespace = "shop"\n')
    repo.commit("first")
    place = tmp_path / "hubs" / "shop.git"
    place.parent.mkdir()
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(place))
    return GitRepo(place)


@pytest.mark.parametrize("remote", ["gone", "silent"])
def test_what_is_live_runs_and_the_state_is_degraded(server: Server, tmp_path: Path, remote: str) -> None:
    client = server.client()
    put(client, *(sproc(name, source) for name, source in SPROCS.items()))
    port = free_port()
    with socket.socket() as silent:  # it accepts, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        where = 1 if remote == "gone" else silent.getsockname()[1]
        options = ("--remote", f"http://127.0.0.1:{where}/shop.git", "--branch", "main")
        environ = {"LUASPROCS_HTTP": f"127.0.0.1:{port}"}
        with Service(server.url, tmp_path, *options, environ=environ) as service:
            everything_runs(client)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
                assert answer.status == 200
            if remote == "gone":
                assert finding(server, "degraded")["by"] == stands(client, "degraded").daemon
            assert service.stop() == 0


def test_a_repository_without_a_commit_keeps_nothing_from_running(server: Server, tmp_path: Path) -> None:
    client = server.client()
    put(client, *(sproc(name, source) for name, source in SPROCS.items()))
    with Service(server.url, GitRepo(tmp_path / "empty").path):
        everything_runs(client)
        stands(client, "degraded")


def test_the_namespace_that_git_names_is_found_in_redis_and_in_git_later(
    server: Server, hub: GitRepo, tmp_path: Path
) -> None:
    client = server.client()
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with GitHttp(hub.path.parent) as http:
        http.gone()
        options = ("--remote", http.url("shop.git"), "--branch", "main")
        with ended(Service(server.url, first, *options)) as service:
            assert "Failed to connect" in stands(client, "degraded").reason
            assert "the registry without a namespace is served until it does" in service.output
            http.back()
            until(lambda: client.hget(SHOP.revision, "commit") == hub.git("rev-parse", "main").encode())
            everything_runs(client, SHOP)
            assert not client.exists(KEYS.revision, KEYS.desired)
            assert service.stop() == 0
        client.delete("fired", "worked", "ticks")
        http.gone()
        with Service(server.url, second, *options) as service:
            everything_runs(client, SHOP)
            assert "namespace 'shop' is served" in service.output
            until(lambda: read_sync_state(Registry(client, SHOP)).state == "degraded")


def test_what_was_mirrored_before_is_at_hand(server: Server, hub: GitRepo, tmp_path: Path) -> None:
    client = server.client()
    with GitHttp(hub.path.parent) as http:
        follow = ("--remote", http.url("shop.git"), "--branch", "main")
        with ended(Service(server.url, tmp_path, *follow)) as service:
            until(lambda: client.hget(SHOP.revision, "commit"))
            assert service.stop() == 0
        http.gone()
        client.flushall()
        client.function_flush()
        with ended(Service(server.url, tmp_path, *follow)):
            until(lambda: client.hget(SHOP.revision, "commit") == hub.git("rev-parse", "main").encode())
            everything_runs(client, SHOP)


def test_with_the_remote_there_nothing_is_guessed(server: Server, hub: GitRepo, tmp_path: Path) -> None:
    with GitHttp(hub.path.parent) as http:
        options = ("--remote", http.url("shop.git"), "--branch", "main")
        with ended(Service(server.url, tmp_path, *options)) as service:
            until(lambda: server.client().hget(SHOP.revision, "commit"))
            assert "git does not say" not in service.output


def test_its_live_commit_is_that_of_git_once_it_can_be_asked(server: Server, hub: GitRepo, tmp_path: Path) -> None:
    hub.git("config", "http.receivepack", "true")
    work = GitRepo(tmp_path / "work")
    work.git("pull", "--quiet", str(hub.path), "main")
    (work.path / "luasprocs.toml").unlink()
    commit = work.commit("no namespace")
    work.git("push", "--quiet", str(hub.path), "HEAD:main")
    client = server.client()
    daemon = tmp_path / "daemon"
    daemon.mkdir()
    with GitHttp(hub.path.parent) as http:
        http.gone()
        with ended(Service(server.url, daemon, "--remote", http.url("shop.git"), "--branch", "main")):
            stands(client, "degraded")
            http.back()
            live(client, commit)
            stands(client, "synced")


async def test_a_git_that_hangs_later_is_degraded_until_it_answers(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = GitRepo(tmp_path / "shop")
    repo.write("sprocs/a.lua", "return 1\n")
    repo.commit()
    hangs, program = tmp_path / "hangs", tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nwhile [ -e {hangs} ]; do sleep 0.05; done\nexec {shutil.which("git")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("sync.service.follower.SLOW_S", 0.3)
    client = server.client()
    follower = Follower(server.url, KEYS, Checkout(Repository.open(repo.path)), Rules(), "d", 0.2)
    running = asyncio.create_task(follower.run())

    def stands_at(state: str) -> bool:
        last = follower.health.last
        return last is not None and last.state.state == state

    await asyncio.to_thread(until, lambda: stands_at("synced"))
    hangs.touch()
    await asyncio.to_thread(until, lambda: stands_at("degraded"))
    assert "git has not answered since 2" in (await asyncio.to_thread(stands, client, "degraded")).reason
    hangs.unlink()
    await asyncio.to_thread(until, lambda: stands_at("synced"))
    await asyncio.to_thread(stands, client, "synced")
    follower.stop()
    await running


@pytest.mark.parametrize("so", ["*ls-tree*", "*rev-parse*"] if SOAK else ["*rev-parse*"])
def test_a_daemon_ends_though_git_hangs(server: Server, tmp_path: Path, so: str) -> None:
    repo, git = GitRepo(tmp_path / "shop"), Hanging(tmp_path, so)
    repo.write("sprocs/a.lua", "return 1\n")
    first = repo.commit()
    with Service(server.url, repo.path, environ=git.environ) as service:
        live(server.client(), first)
        git.begins()
        repo.write("sprocs/a.lua", "return 2\n")
        repo.commit()
        time.sleep(1)
        assert service.stop(9) == 0


def test_what_is_live_runs_though_the_repository_can_t_be_opened_until_it_can(server: Server, tmp_path: Path) -> None:
    client, repo = server.client(), GitRepo(tmp_path / "shop")
    repo.write("sprocs/a.lua", EVENT)
    first = repo.commit()
    with Service(server.url, repo.path) as service:
        live(client, first)
        assert service.stop() == 0
    repo.git("config", "luasprocs.requireSigned", "yes")
    (repo.path / ".git").rename(tmp_path / "away")
    with Service(server.url, repo.path):
        until(lambda: client.set("ev:1", "x") and client.get("fired"))
        assert "is in no git repository" in stands(client, "degraded").reason
        (tmp_path / "away").rename(repo.path / ".git")
        stands(client, "synced")
        repo.write("sprocs/b.lua", "return 2\n")
        repo.commit()
        assert "signature" in stands(client, "refused").reason, "git's settings are read again"


def test_where_nothing_is_live_a_repository_is_needed(server: Server, tmp_path: Path) -> None:
    with ended(Service(server.url, tmp_path)) as service:
        assert service.wait() == 2
        assert "is in no git repository" in service.output


class Hanging:
    """A git for the PATH of daemons: each of its commands waits as long as it `hangs`, or only those that are `so` called."""

    def __init__(self, folder: Path, so: str = "*") -> None:
        self._flag, self._program = folder / "hangs", folder / "bin/git"
        self._program.parent.mkdir()
        wait = f"while [ -e {self._flag} ]; do sleep 0.05; done"
        self._program.write_text(f'#!/bin/sh\ncase "$*" in {so}) {wait};; esac\nexec {shutil.which("git")} "$@"\n')
        self._program.chmod(0o755)
        self.environ = {"PATH": f"{self._program.parent}:{os.environ['PATH']}"}

    def begins(self) -> None:
        self._flag.touch()

    def ends(self) -> None:
        self._flag.unlink()


@pytest.mark.parametrize("so", ["config*", "*rev-parse*", "*ls-tree*"] if SOAK else ["config*"])
def test_what_is_live_runs_while_git_hangs(server: Server, tmp_path: Path, so: str) -> None:
    client, repo, git, port = server.client(), GitRepo(tmp_path / "shop"), Hanging(tmp_path, so), free_port()
    for name, source in SPROCS.items():
        repo.write(f"sprocs/{name}", source)
    repo.write("luasprocs.toml", 'namespace = "shop"\n')
    commit = repo.commit()
    with Service(server.url, repo.path) as service:
        until(lambda: client.hget(SHOP.revision, "commit") == commit.encode())
        assert service.stop() == 0
    repo.git("config", "luasprocs.requireSigned", "yes")
    git.begins()
    with Service(server.url, repo.path, environ={"LUASPROCS_HTTP": f"127.0.0.1:{port}", **git.environ}) as service:
        everything_runs(client, SHOP)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.status == 200
        until(lambda: "git has not answered since 2" in read_sync_state(Registry(client, SHOP)).reason)
        git.ends()
        until(lambda: read_sync_state(Registry(client, SHOP)).state == "synced")
        repo.write("sprocs/b.lua", "return 2\n")
        repo.commit()
        until(lambda: "signature" in read_sync_state(Registry(client, SHOP)).reason)
        assert service.output.count("connected to") == 1, "to begin again would miss events"
        git.begins()
        assert service.stop(9) == 0


def test_a_daemon_that_only_runs_what_is_live_does_so_while_git_hangs(server: Server, tmp_path: Path) -> None:
    client, git = server.client(), Hanging(tmp_path)
    put(client, *(sproc(name, source) for name, source in SPROCS.items()))
    git.begins()
    with Service(server.url, tmp_path, "--no-sync", environ=git.environ) as service:
        everything_runs(client)
        git.ends()
        time.sleep(0.5)
        client.delete("fired")
        everything_runs(client)
        assert service.output.count("listening") == 1
        assert not state_of(client).state
        assert service.stop() == 0


def test_where_redis_is_git_may_have_to_say(server: Server, tmp_path: Path) -> None:
    repo, git = GitRepo(tmp_path / "shop"), Hanging(tmp_path)
    repo.write("sprocs/a.lua", EVENT)
    commit = repo.commit()
    repo.git("config", "luasprocs.redis", server.url)
    git.begins()
    with ended(Service("", repo.path, environ=git.environ)) as service:
        service.until("Nothing begins until it does")
        git.ends()
        live(server.client(), commit)
