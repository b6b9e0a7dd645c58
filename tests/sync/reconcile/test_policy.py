"""Which commits may become live: real signatures of GPG and SSH, real servers, sync and daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sync.git.repository import Repository
from sync.git.signature import Signature, read_signature
from sync.reconcile.policy import Policy
from tests.gitrepo import GitRepo
from tests.sync.commands.conftest import clean_environment, repo, shell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sync.commands.shell import Shell

__all__ = ("clean_environment", "repo", "shell")

SIGNED = Policy(signed=True)
FORWARD = Policy(fast_forward=True)
ANN = "ann@example.invalid"


def run(*command: str, **environ: str) -> None:
    subprocess.run(command, env=os.environ | environ, check=True, capture_output=True)


@pytest.fixture
def made(tmp_path: Path) -> GitRepo:
    return GitRepo(tmp_path / "repo")


@pytest.fixture(scope="session")
def ssh_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys of ann and ben, and `allowed`, which lists ann's."""
    folder = tmp_path_factory.mktemp("ssh")
    for name in ("ann", "ben"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name))
    (folder / "allowed").write_text(f"{ANN} {(folder / 'ann.pub').read_text()}")
    return folder


@pytest.fixture(scope="session")
def gpg_home() -> Iterator[Path]:
    """A keyring with ann's key. A short path: gpg-agent's socket lies in it."""
    home = Path(tempfile.mkdtemp(prefix="gpg"))
    home.chmod(0o700)
    run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", f"Ann <{ANN}>", "ed25519", "sign", GNUPGHOME=str(home))
    yield home
    run("gpgconf", "--kill", "all", GNUPGHOME=str(home))
    shutil.rmtree(home, ignore_errors=True)


def commit(made: GitRepo, *settings: str) -> str:
    """Signed if there are settings for that."""
    made.git(*settings, "commit", "--quiet", "--allow-empty", "--message", "one", *(["-S"] if settings else []))
    return made.git("rev-parse", "HEAD")


def with_ssh(made: GitRepo, keys: Path, who: str = "ann", *, allowed: str = "allowed") -> str:
    """A commit signed by SSH, in a repository that takes those of `allowed`."""
    made.git("config", "gpg.ssh.allowedSignersFile", str(keys / allowed))
    return commit(made, "-c", "gpg.format=ssh", "-c", f"user.signingKey={keys / who}")


def refusal(made: GitRepo, policy: Policy, live: str = "", revision: str | None = None, folder: str = "sprocs") -> str:
    repository = Repository.open(made.path)
    return policy.refusal(repository, repository.resolve(revision), live, folder)


def changing(made: GitRepo, path: str, *settings: str, keys: Path | None = None) -> str:
    """A commit that changes a file; signed by ann if there are `keys`."""
    made.write(path, f"return {made.git('rev-list', '--all', '--count')}\n")
    made.git("add", "--all")
    return with_ssh(made, keys) if keys else commit(made, *settings)


def test_without_a_policy_everything_may_become_live(made):
    commit(made)
    assert refusal(made, Policy(), live="f" * 40) == ""


def test_an_unsigned_commit_is_refused_with_who_and_why(made):
    sha = commit(made)
    said = refusal(made, SIGNED)
    assert f"commit {sha[:12]} of Ann Author <{ANN}> has no good signature: it is not signed" in said


def test_what_is_live_already_is_not_asked_about(made):
    sha = commit(made)
    assert refusal(made, SIGNED, live=sha) == ""


def test_ssh_a_signer_that_is_allowed_may(made, ssh_keys):
    with_ssh(made, ssh_keys)
    assert refusal(made, SIGNED) == ""
    repository = Repository.open(made.path)
    assert repository.signature(repository.resolve()) == Signature(True, ANN)


def test_ssh_a_signer_that_is_not_allowed_is_refused(made, ssh_keys):
    with_ssh(made, ssh_keys, "ben")
    assert "No principal matched" in refusal(made, SIGNED)


def test_ssh_without_the_file_of_allowed_signers_says_which_setting(made, ssh_keys):
    with_ssh(made, ssh_keys, allowed="nowhere")
    assert refusal(made, SIGNED)
    made.git("config", "--unset", "gpg.ssh.allowedSignersFile")
    assert "gpg.ssh.allowedSignersFile" in refusal(made, SIGNED)


def test_a_signature_of_another_commit_is_refused(made, ssh_keys):
    """The tree is another one than was signed."""
    with_ssh(made, ssh_keys)
    signed = made.git("cat-file", "commit", "HEAD")
    made.write("sprocs/a.lua", "return 'evil'")
    made.git("add", "--all")
    forged = signed.replace(signed.split()[1], made.git("write-tree"), 1)
    sha = made.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=forged.encode() + b"\n")
    assert "has no good signature" in refusal(made, SIGNED, revision=sha)


def test_gpg_a_key_of_the_keyring_may_others_may_not(made, gpg_home, monkeypatch):
    for environ in (made.environ, os.environ):
        monkeypatch.setitem(environ, "GNUPGHOME", str(gpg_home))
    commit(made, "-c", f"user.signingKey={ANN}")
    assert refusal(made, SIGNED) == ""
    repository = Repository.open(made.path)
    assert repository.signature(repository.resolve()) == Signature(True, f"Ann <{ANN}>")

    empty = gpg_home / "empty"
    empty.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("GNUPGHOME", str(empty))
    assert "No public key" in refusal(made, SIGNED)


def test_a_commit_that_replaces_another_is_not_believed(made, ssh_keys):
    """`git replace` would show a signed commit in the place of the unsigned one that is applied."""
    unsigned = commit(made)
    signed = with_ssh(made, ssh_keys)
    made.git("replace", "--force", unsigned, signed)
    assert "has no good signature" in refusal(made, SIGNED, revision=unsigned)


def test_only_what_descends_from_the_live_commit_may_follow_it(made):
    old = commit(made)
    new = commit(made)
    made.git("checkout", "--quiet", "--orphan", "other")
    other = commit(made)
    assert refusal(made, FORWARD, live=old, revision=new) == ""
    assert refusal(made, FORWARD, live="", revision=old) == ""
    assert "does not descend" in refusal(made, FORWARD, live=new, revision=old)
    assert f"commit {other[:12]} of Ann Author" in refusal(made, FORWARD, live=new, revision=other)
    assert "doesn't have that one" in refusal(made, FORWARD, live="f" * 40, revision=new)


def test_an_unsigned_commit_is_not_carried_in_by_a_signed_one(made, ssh_keys):
    live = changing(made, "sprocs/a.lua", keys=ssh_keys)
    evil = changing(made, "sprocs/b.lua")
    changing(made, "sprocs/a.lua", keys=ssh_keys)
    top = changing(made, "README.md", keys=ssh_keys)
    said = refusal(made, SIGNED, live=live)
    assert (
        f"with {top[:12]} comes commit {evil[:12]} of Ann Author <{ANN}> has no good signature: it is not signed"
        in said
    )
    assert f"git rebase --exec 'git commit --amend --no-edit -S' {live[:12]}" in said
    made.git(
        *("-c", "gpg.format=ssh", "-c", f"user.signingKey={ssh_keys / 'ann'}", "rebase", "--quiet"),
        *("--exec", "git commit --amend --no-edit -S", live),
    )
    assert refusal(made, SIGNED, live=live) == ""


def test_of_what_comes_along_only_what_changes_sprocs_or_the_settings_need_be_signed(made, ssh_keys):
    live = changing(made, "sprocs/a.lua", keys=ssh_keys)
    changing(made, "README.md")
    changing(made, "sprocs2/a.lua")
    top = changing(made, "README.md", keys=ssh_keys)
    assert refusal(made, SIGNED, live=live) == ""
    assert "comes commit" in refusal(made, SIGNED, live=live, folder="")
    assert "comes commit" in refusal(made, SIGNED, live=live, folder="sprocs2")
    settings = changing(made, "luasprocs.toml")
    changing(made, "sprocs/a.lua", keys=ssh_keys)
    assert f"comes commit {settings[:12]}" in refusal(made, SIGNED, live=top)


def test_what_another_branch_brings_in_is_asked_about_and_so_is_the_merge(made, ssh_keys):
    live = changing(made, "sprocs/a.lua", keys=ssh_keys)
    made.git("checkout", "--quiet", "-b", "topic")
    topic = changing(made, "sprocs/b.lua")
    made.git("checkout", "--quiet", "main")
    first = changing(made, "sprocs/c.lua", keys=ssh_keys)
    signing = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={ssh_keys / 'ann'}")
    made.git(*signing, "merge", "--quiet", "--no-edit", "--no-ff", "-S", "topic")
    assert f"comes commit {topic[:12]}" in refusal(made, SIGNED, live=live)
    assert f"comes commit {topic[:12]}" in refusal(made, SIGNED, live=first)
    assert refusal(made, SIGNED, live=topic) == ""

    made.git("reset", "--quiet", "--hard", first)
    made.git("checkout", "--quiet", "-B", "topic", live)
    changing(made, "sprocs/b.lua", keys=ssh_keys)
    made.git("checkout", "--quiet", "main")
    made.git("merge", "--quiet", "--no-edit", "--strategy", "ours", "topic")  # nobody's, and it takes b.lua away
    merge = made.git("rev-parse", "HEAD")
    changing(made, "sprocs/c.lua", keys=ssh_keys)
    assert f"comes commit {merge[:12]}" in refusal(made, SIGNED, live=live)


def test_where_all_is_new_the_commits_own_signature_covers_it(made, ssh_keys):
    unsigned = changing(made, "sprocs/a.lua")
    changing(made, "sprocs/b.lua", keys=ssh_keys)
    assert refusal(made, SIGNED) == ""
    assert refusal(made, SIGNED, live="f" * 40) == ""
    assert refusal(made, SIGNED, live="worktree") == ""
    assert refusal(made, SIGNED, live=unsigned) == ""


def test_words_of_git_are_read_to_the_reason():
    expired = """gpg: Signature made Tue
gpg:                using EDDSA key 1
gpg: Good signature from "Ann <a@b>" [expired]
gpg: Note: This key has expired!
"""
    assert read_signature(1, expired) == Signature(False, "Ann <a@b>", "Note: This key has expired!")
    assert read_signature(1, "") == Signature(False, "", "it is not signed")
    assert not read_signature(1, 'gpg: Good signature from "Ann <a@b>"\n').good


def test_sync_plan_and_daemon_refuse_alike(shell: Shell, ssh_keys: Path) -> None:
    live = shell.commit(a="return 1")
    shell.ok("sync")
    shell.git("config", "luasprocs.requireSigned", "yes")
    unsigned = shell.commit(a="return 2")

    said = shell("sync")
    assert (said.code, f"commit {unsigned[:12]} of Ann Author <{ANN}>" in said.err) == (2, True)
    assert "sync would refuse: require_signed is set" in shell("plan").err
    assert shell.ok("execute", "a.lua").out == "1\n"
    said = shell.process("daemon", "--once")
    assert said.code == 2
    assert "it is not signed" in said.err
    assert b"it is not signed" in shell.redis.hget("__*_Sproc_Desired_*__", "reason")  # type: ignore[operator]
    assert shell("sync", "--worktree").code == 2
    assert f"refused     require_signed is set, and commit {unsigned[:12]} of Ann Author <{ANN}>" in shell("status").out
    assert "it is not signed" in shell("status", "--json").json["refused"]
    shell.git("config", "luasprocs.requireSigned", "no")
    assert "it is not signed" in shell("status").out  # as the daemon, which has its own settings, saw it
    shell.git("config", "luasprocs.requireSigned", "yes")

    with_ssh(GitRepo(shell.repo), ssh_keys)
    said = shell("sync")
    assert (said.code, f"comes commit {unsigned[:12]} of Ann Author <{ANN}>" in said.err) == (2, True)
    assert f"comes commit {unsigned[:12]}" in shell.process("daemon", "--once").err
    assert f"comes commit {unsigned[:12]}" in shell("status").out

    shell.git("reset", "--soft", live)
    with_ssh(GitRepo(shell.repo), ssh_keys)
    shell.ok("sync")
    assert shell.ok("execute", "a.lua").out == "2\n"
    assert "refused" not in shell.ok("status").out

    shell.git("config", "luasprocs.requireSigned", "no")
    shell.git("config", "luasprocs.requireFastForward", "yes")
    said = shell("sync", "--revision", live)
    assert (said.code, "does not descend" in said.err) == (2, True)
    assert shell.ok("execute", "a.lua").out == "2\n"


def test_a_setting_that_is_neither_yes_nor_no_is_no_no(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.git("config", "luasprocs.requireSigned", "ture")
    said = shell("sync")
    assert (said.code, said.err) == (2, "luasprocs: git config luasprocs.requiresigned: 'ture' is neither yes nor no\n")
