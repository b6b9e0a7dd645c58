"""A daemon that mirrors a remote over ssh: a real sshd, its keys, those of who comes, and neither asks anybody anything."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from luasprocs.operations.edit import edit_metadata
from luasprocs.registry.live import read_sprocs
from luasprocs.server.registry import Registry
from sync.service.sources import unattended, with_setting
from tests.gitrepo import SETTINGS, GitRepo
from tests.sshd import Sshd
from tests.sync.service.service import KEYS, Service, commit_of, live, stands, state_of
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)
AT_A_TERMINAL = (
    *(sys.executable, "-c"),
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
)
"""What is said at the command's terminal comes out on standard output."""
OPTIONS = " -oBatchMode=yes -oConnectTimeout=10 -oServerAliveInterval=10"


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
    place = tmp_path / "hub.git"
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(place))
    repo.git("remote", "add", "hub", str(place))
    return GitRepo(place)


@pytest.fixture
def sshd(tmp_path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "ssh") as found:
        found.allow("daemon")
        found.known()
        yield found


@pytest.fixture
def work(tmp_path: Path) -> Path:
    place = tmp_path / "daemon"
    place.mkdir()
    return place


def follow(server, work, url, **environ) -> Service:
    return Service(server.url, work, "--remote", url, "--branch", "main", environ=environ)


def once(work, url, *before, **environ) -> subprocess.CompletedProcess[str]:
    """`daemon --once`, behind other words of a command line."""
    command = [sys.executable, "-m", "sync.cli", "daemon", "--once", "--remote", url, "--branch", "main"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LUASPROCS_", "GIT_"))}
    return subprocess.run(
        [*before, *command], cwd=work, env={**clean, **SETTINGS, **environ}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def pushed(repo, source):
    repo.write("sprocs/a.lua", source)
    commit = repo.commit(source.strip())
    repo.git("push", "--quiet", "hub", "main")
    return commit


def degraded(client, words):
    """Waits until it says why it can't fetch."""
    until(lambda: words in state_of(client).reason, what=lambda: state_of(client))
    return stands(client, "degraded").reason


def test_it_fetches_and_pushes_edits(server, repo, hub, sshd, work):
    client = server.client()
    with follow(server, work, sshd.url(hub.path), GIT_SSH_COMMAND=sshd.command("daemon")) as service:
        live(client, repo.git("rev-parse", "HEAD"))
        live(client, pushed(repo, "return 2\n"))
        base = read_sprocs(Registry(client, KEYS), ["b.lua"])[0].blob
        edit_metadata(Registry(client, KEYS), "b.lua", {"timeout": "2s"}, base=base, by="Ann Editor <ann@example.com>")
        until(lambda: "timeout=2s" in hub.git("show", "main:sprocs/b.lua"), what=lambda: state_of(client))
        live(client, hub.git("rev-parse", "main"))
        assert hub.git("log", "-1", "--format=%an", "main") == "Ann Editor"
        assert hub.git("fsck", "--strict") == ""
        assert service.running


def test_keys_that_are_wrong_are_said_and_right_ones_go_on(server, repo, hub, sshd, work):
    client = server.client()
    with follow(server, work, sshd.url(hub.path), GIT_SSH_COMMAND=sshd.command("daemon")) as service:
        live(client, first := repo.git("rev-parse", "HEAD"))
        sshd.allow("another")
        second = pushed(repo, "return 2\n")
        reason = degraded(client, "Permission denied (publickey)")
        assert f"@127.0.0.1:{sshd.port}{hub.path} can't be fetched: " in reason
        assert "public key of the user who runs this" in reason
        assert commit_of(client) == first
        sshd.allow("another", "daemon")
        live(client, second)
        sshd.known(well=False)
        third = pushed(repo, "return 3\n")
        reason = degraded(client, "Host key verification failed")
        assert "known_hosts" in reason
        sshd.known()
        live(client, third)
        sshd.gone()
        sshd.new_host_key()
        sshd.back()
        fourth = pushed(repo, "return 4\n")
        reason = degraded(client, "REMOTE HOST IDENTIFICATION HAS CHANGED")
        assert "@@" not in reason
        assert commit_of(client) == third
        sshd.known()
        live(client, fourth)
        sshd.gone()
        assert "Connection refused" in degraded(client, "Connection refused")
        assert service.running


def test_a_first_look_that_fails_says_why_and_ends(server, hub, sshd, work):
    sshd.known(well=False)
    began = time.monotonic()
    said = once(work, sshd.short_url(hub.path), LUASPROCS_REDIS=server.url, GIT_SSH_COMMAND=sshd.command("daemon"))
    assert (said.returncode, said.stdout) == (2, "")
    assert "Host key verification failed" in said.stderr
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("setting", ["GIT_SSH_COMMAND", "core.sshCommand", "GIT_SSH"])
def test_the_hosts_own_ssh_command_is_taken_and_asks_nobody_at_its_terminal(server, hub, sshd, work, setting, tmp_path):
    """With a terminal at hand ssh would ask there for the passphrase, and the daemon would wait for ever."""
    sshd.key("locked", "a passphrase")
    sshd.allow("locked")
    command = sshd.command("locked")
    environ = {setting: command}
    if setting == "core.sshCommand":
        environ = with_setting(SETTINGS, setting, command)
    if setting == "GIT_SSH":
        program = tmp_path / "ssh-program"
        program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        program.chmod(0o755)
        environ = {setting: str(program)}
    said = once(work, sshd.short_url(hub.path), *AT_A_TERMINAL, LUASPROCS_REDIS=server.url, **environ)
    assert "Permission denied (publickey)" in " ".join(said.stdout.split())
    assert "passphrase" not in said.stdout
    assert said.returncode == 2


def test_a_host_that_says_nothing_is_not_waited_for(server, hub, sshd, work):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        command = f"ssh -oConnectTimeout=1 -F none -oPort={mute.getsockname()[1]}"
        began = time.monotonic()
        said = once(work, sshd.short_url(hub.path), LUASPROCS_REDIS=server.url, GIT_SSH_COMMAND=command)
        assert time.monotonic() - began < 30
    assert said.returncode == 2
    assert "timed out" in said.stderr


def test_how_ssh_is_told_to_ask_nobody():
    assert unattended("ssh") == "ssh" + OPTIONS
    assert unattended("/usr/bin/ssh -i 'a key'") == "/usr/bin/ssh -i 'a key'" + OPTIONS
    for other in ("plink -batch", "my-ssh", "", "ssh 'open"):
        assert unattended(other) == other


def test_a_setting_stands_beside_those_that_are_given():
    assert with_setting({}, "a.b", "c") == {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "a.b",
        "GIT_CONFIG_VALUE_0": "c",
    }
    assert with_setting({"GIT_CONFIG_COUNT": "2"}, "a.b", "c")["GIT_CONFIG_KEY_2"] == "a.b"
    assert with_setting({"GIT_CONFIG_COUNT": "x"}, "a.b", "c")["GIT_CONFIG_COUNT"] == "1"
