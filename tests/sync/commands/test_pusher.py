"""Who pushed is in the history, whoever makes the push live."""

from __future__ import annotations

import base64
import getpass
import hashlib
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.registry.history import read_history
from luasprocs.server.registry import Registry
from sync.git.pusher import note_push, pusher, who_pushed
from tests.gitrepo import GitRepo
from tests.sync.commands.hub import Hub

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sync.commands.shell import Shell

OWN = f"{getpass.getuser()}@{socket.gethostname()}"


def applied_by(hub: Hub) -> str:
    return read_history(Registry(hub.shell.redis, Keys()), 1)[0].applied_by


@pytest.mark.parametrize(
    "variable", ["GL_USERNAME", "GITEA_PUSHER_NAME", "GITHUB_USER_LOGIN", "REMOTE_USER", "BB_USER_NAME"]
)
def test_the_account_at_the_host_is_recorded(hub: Hub, variable: str) -> None:
    hub.clone.environ[variable] = "ann.author"
    commit = hub.commit(a="return 1")
    hub.pushed()
    assert applied_by(hub) == f"ann.author, by push to {OWN}"
    assert "ann.author" in hub.shell.ok("history").out
    assert who_pushed(hub.bare.path, commit) == "ann.author"


def test_without_a_host_it_is_the_unix_user(hub: Hub) -> None:
    hub.commit(a="return 1")
    hub.pushed()
    assert applied_by(hub) == OWN


def test_a_daemon_that_is_first_records_who_pushed(hub: Hub) -> None:
    """The daemon's part played by a sync between git's two hooks."""
    hub.clone.environ["GL_USERNAME"] = "ben"
    between = hub.hooks / "post-receive.local"
    between.write_text(f"#!/bin/sh\n{sys.executable} -m sync.cli --redis {hub.server.url} sync >/dev/null\n")
    between.chmod(0o755)
    hub.commit(a="return 1")
    assert f"synced by ben, by push to {OWN}" in hub.pushed()
    assert applied_by(hub) == f"ben, by push to {OWN}"


def test_a_signed_push_names_its_signer(hub: Hub, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"carla@example.com {key.with_suffix('.pub').read_text()}")
    for repo in (hub.bare, hub.clone):
        repo.git("config", "gpg.format", "ssh")
        repo.git("config", "gpg.ssh.allowedSignersFile", str(signers))
    hub.bare.git("config", "receive.certNonceSeed", "seed")
    hub.clone.git("config", "user.signingKey", str(key))
    hub.clone.environ["GL_USERNAME"] = "somebody else"
    hub.commit(a="return 1")
    hub.pushed("--signed", "origin", "main")
    assert applied_by(hub).startswith("carla@example.com, by push to")


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "\x1b[2J", "\u202eevil"])
def test_what_can_t_be_a_name_is_passed_over(name: str) -> None:
    assert pusher({"GL_USERNAME": name, "GITEA_PUSHER_NAME": "ann"}) == "ann"


def test_a_key_that_sshd_tells_of(tmp_path: Path) -> None:
    blob = b"\0\0\0\x0bssh-ed25519 and so on"
    file = tmp_path / "auth"
    file.write_text(f"publickey ssh-ed25519 {base64.b64encode(blob).decode()}\n")
    wanted = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    assert pusher({"SSH_USER_AUTH": str(file)}) == f"SHA256:{wanted}"
    file.write_text("publickey ssh-ed25519 !!\n")
    assert pusher({"SSH_USER_AUTH": str(file)}) == getpass.getuser()


def test_many_pushes_keep_the_newest(tmp_path: Path) -> None:
    for number in range(2000):
        note_push(tmp_path, f"{number:040x}", "somebody with a name")
    note_push(tmp_path, f"{1999:040x}", "another")
    assert who_pushed(tmp_path, f"{1999:040x}") == "another"
    assert who_pushed(tmp_path, f"{0:040x}") == ""
    assert (tmp_path / "luasprocs-pushes").stat().st_size < 100_000
    note_push(tmp_path / "missing", "a" * 40, "ann")


def test_a_sync_in_a_clone_is_of_who_syncs(shell: Shell) -> None:
    GitRepo(shell.repo).write(".git/luasprocs-pushes", b"\xff\xfe no line of ours\n")
    shell.commit(a="return 1")
    shell.ok("sync")
    assert OWN in shell.ok("history").out
