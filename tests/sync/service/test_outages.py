"""What goes wrong on git's side: remotes that are slow, gone or refuse, full disks, kills at each step; and a read-only Redis."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from luasprocs.errors import RepositoryError
from luasprocs.operations.edit import edit_metadata
from luasprocs.operations.request import request
from luasprocs.registry.history import read_history
from luasprocs.registry.live import read_sprocs
from luasprocs.server.registry import Registry
from luasprocs.state import requests as control
from sync.git.remote import Asking
from tests.githttp import GitHttp
from tests.gitrepo import GitRepo
from tests.sync.service.service import KEYS, Service, commit_of, live, source_of, stands, state_of
from tests.until import until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def repo(tmp_path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    found.write("sprocs/a.lua", "return 1\n")
    found.write("sprocs/b.lua", "-- event=set\n-- key=ev:*\nreturn 1\n")
    found.commit("first")
    return found


@pytest.fixture
def hub(repo, tmp_path) -> GitRepo:
    """A bare repository that `repo` pushes to."""
    place = tmp_path / "hubs" / "shop.git"
    place.parent.mkdir()
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(place))
    found = GitRepo(place)
    found.git("config", "http.receivepack", "true")
    repo.git("remote", "add", "hub", str(place))
    return found


def pushed(repo, source):
    repo.write("sprocs/a.lua", source)
    commit = repo.commit(source.strip())
    repo.git("push", "--quiet", "hub", "main")
    return commit


def test_a_remote_over_http_that_refuses_is_gone_is_slow_and_comes_back(server, repo, hub, tmp_path):
    client = server.client()
    work = tmp_path / "daemon"
    work.mkdir()
    with (
        GitHttp(hub.path.parent, "right") as http,
        Service(server.url, work, "--remote", http.url("shop.git", "ann:right")) as service,
    ):
        live(client, repo.git("rev-parse", "HEAD"))
        http.password = "another"
        second = pushed(repo, "return 2\n")
        reason = stands(client, "degraded").reason
        assert "uthentication failed" in reason, reason
        http.password = "right"
        live(client, second)
        http.gone()
        third = pushed(repo, "return 3\n")
        reason = stands(client, "degraded").reason
        assert "connect" in reason, reason
        assert commit_of(client) == second
        assert client.llen(KEYS.list) == 2
        http.back()
        live(client, third)
        http.slow_s = 1.5
        live(client, pushed(repo, "return 4\n"))
        http.slow_s = 0
        until(lambda: state_of(client).state == "synced")
        assert "right" not in service.output + str(state_of(client))
        assert service.running


def test_a_stop_does_not_wait_for_a_remote_that_says_nothing(server, repo, hub, tmp_path):
    work = tmp_path / "daemon"
    work.mkdir()
    with GitHttp(hub.path.parent) as http, Service(server.url, work, "--remote", http.url("shop.git")) as service:
        live(server.client(), repo.git("rev-parse", "HEAD"))
        http.slow_s, before = 60, http.requests
        until(lambda: http.requests > before)
        began = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - began < 30


def test_a_fetch_that_hangs_delays_neither_healing_nor_requests(server, repo, hub, tmp_path):
    """A black hole: it takes connections and never says a word."""
    client = server.client()
    registry, first = Registry(client, KEYS), repo.git("rev-parse", "HEAD")
    work = tmp_path / "daemon"
    work.mkdir()
    with GitHttp(hub.path.parent) as http, Service(server.url, work, "--remote", http.url("shop.git")):
        live(client, first)
        live(client, pushed(repo, "return 2\n"))
        http.slow_s, before = 600, http.requests
        until(lambda: http.requests > before)
        fetch = control.request(registry, "fetch", "ann", 5)
        client.delete(KEYS.name("a.lua"))
        until(lambda: source_of(client, "a.lua") == "return 2\n")
        assert read_history(registry, 1)[0].action == "heal"
        back = request(registry, "rollback", by="ann", generation="1")
        assert back.ok
        assert source_of(client, "a.lua") == "return 1\n"
        assert http.requests == before + 1  # all that in one fetch
        assert "has not answered for" in stands(client, "degraded").reason
        answer = control.wait_for_answer(registry, fetch, 30)
        assert answer is not None
        assert (answer.ok, answer.refusal) == (False, "expired")
        http.slow_s = 0
        stands(client, "pinned")
        request(registry, "sync", by="ann")
        live(client, repo.git("rev-parse", "HEAD"))
        third = pushed(repo, "return 3\n")
        request(registry, "fetch", by="ann")
        assert commit_of(client) == third


def test_what_waits_ends_with_all_that_it_has_started(tmp_path):
    """A helper that keeps git's output open would be waited for, too."""
    asking = Asking()
    waits = ("-c", f"alias.wait=!echo $$ >{tmp_path}/pid; sleep 60; true", "wait")
    began = time.monotonic()
    with pytest.raises(RepositoryError, match="no answer within"):
        asking.run(*waits, folder=tmp_path, environ=dict(os.environ), timeout_s=0.5)
    threading.Timer(0.5, asking.give_up).start()
    with pytest.raises(RepositoryError, match="given up"):
        asking.run(*waits, folder=tmp_path, environ=dict(os.environ), timeout_s=30)
    assert time.monotonic() - began < 25
    until(lambda: not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists())
    assert asking.run("--version", folder=tmp_path, environ=dict(os.environ), timeout_s=5)[0] == 0
    asking.give_up()


def test_an_edit_is_pushed_over_http_and_waits_while_the_remote_is_gone(server, repo, hub, tmp_path):
    client = server.client()
    work = tmp_path / "daemon"
    work.mkdir()
    with (
        GitHttp(hub.path.parent, "right") as http,
        Service(server.url, work, "--remote", http.url("shop.git", "ann:right"), "--branch", "main"),
    ):
        live(client, repo.git("rev-parse", "HEAD"))
        wish(client, timeout="2s")
        until(lambda: "timeout=2s" in hub.git("show", "main:sprocs/b.lua"))
        live(client, hub.git("rev-parse", "main"))
        http.gone()
        stands(client, "degraded")
        before = hub.git("rev-parse", "main")
        wish(client, timeout="3s")
        time.sleep(2)
        assert hub.git("rev-parse", "main") == before
        assert client.hget(KEYS.name("b.lua"), "timeout") == b"3s"
        http.back()
        until(lambda: "timeout=3s" in hub.git("show", "main:sprocs/b.lua"))
        live(client, hub.git("rev-parse", "main"))
        assert hub.git("fsck", "--strict") == ""


def wish(client, **changes):
    sproc = read_sprocs(Registry(client, KEYS), ["b.lua"])[0]
    edit_metadata(Registry(client, KEYS), "b.lua", changes, base=sproc.blob, by="Ann Editor <ann@example.com>")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "luasprocs-test", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("only root can mount a small file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place):
    with (place / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(os.urandom(4096))
        except OSError:
            pass


def test_a_disk_that_is_full_while_it_mirrors(server, repo, hub, small_disk):
    client = server.client()
    with Service(server.url, small_disk, "--remote", f"file://{hub.path}", "--branch", "main") as service:
        live(client, first := repo.git("rev-parse", "HEAD"))
        fill(small_disk)
        second = pushed(repo, "return 2\n")
        reason = stands(client, "degraded").reason
        assert "No space left" in reason, reason
        assert commit_of(client) == first
        (small_disk / "filler").unlink()
        live(client, second)
        assert service.running


def test_a_disk_that_is_full_when_an_edit_is_to_be_committed(server, repo, small_disk):
    client = server.client()
    repo.git("clone", "--quiet", str(repo.path), str(small_disk / "shop"))
    shop = GitRepo(small_disk / "shop")
    head = shop.git("rev-parse", "HEAD")
    with Service(server.url, shop.path) as service:
        live(client, head)
        fill(small_disk)
        wish(client, timeout="2s")
        until(lambda: "No space left" in service.output + str(state_of(client).reason), what=lambda: service.output)
        assert shop.git("rev-parse", "HEAD") == head
        assert client.hget(KEYS.name("b.lua"), "timeout") == b"2s"
        (small_disk / "filler").unlink()
        until(lambda: "timeout=2s" in shop.git("show", "HEAD:sprocs/b.lua"), what=lambda: service.output)
        until(lambda: shop.git("status", "--porcelain") == "")
        assert shop.git("fsck", "--strict") == ""


def test_killed_at_each_git_command_of_a_fetch_the_next_start_converges(server, server_kind, repo, hub, tmp_path):
    """A `git` on PATH that kills the daemon before its n-th command; every second n on each server."""
    client = server.client()
    real = shutil.which("git")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(
        f"#!/bin/sh\nn=$(cat {tmp_path}/left); n=$((n-1)); echo $n > {tmp_path}/left\n"
        f'[ $n = 0 ] && kill -9 $PPID && exit 1\nexec {real} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    work = tmp_path / "daemon"
    work.mkdir()
    service = Service(
        server.url,
        work,
        *("--remote", f"file://{hub.path}", "--branch", "main"),
        environ={"PATH": f"{folder}:{os.environ['PATH']}"},
    )
    deaths = 0
    try:
        for step in range(1 if server_kind == "valkey" else 2, 9, 2):
            last = pushed(repo, f"return {step + 10}\n")
            (tmp_path / "left").write_text(str(step))
            service.spawn()
            deadline = time.monotonic() + 10
            while service.running and commit_of(client) != last and time.monotonic() < deadline:
                time.sleep(0.02)
            deaths += not service.running
            service.kill()
            (tmp_path / "left").write_text("9999")
            service.start()
            live(client, last)
            service.kill()
    finally:
        service.kill()
    assert deaths >= 2


def test_a_server_that_turns_read_only(server, repo):
    client = server.client()
    with Service(server.url, repo.path) as service:
        live(client, first := repo.git("rev-parse", "HEAD"))
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        repo.write("sprocs/a.lua", "return 2\n")
        second = repo.commit("second")
        until(lambda: "read-only" in service.output.lower() or "readonly" in service.output.lower())
        assert commit_of(client) == first
        client.execute_command("REPLICAOF", "NO", "ONE")
        live(client, second)
        assert service.running
