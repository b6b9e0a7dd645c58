"""A daemon's first look says nothing about where its branch was before: another branch does not replace what is live."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.gitrepo import GitRepo
from tests.status import finding
from tests.sync.service.service import Service, commit_of, live, source_of, stands, state_of
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from tests.servers import Server

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """`main` and `other` have gone apart."""
    found = GitRepo(tmp_path / "shop")
    found.write("sprocs/a.lua", "return 1\n")
    found.commit("first")
    found.git("checkout", "--quiet", "-b", "other")
    found.write("sprocs/a.lua", "return 'other'\n")
    found.commit("on other")
    found.git("checkout", "--quiet", "main")
    found.write("sprocs/a.lua", "return 2\n")
    found.commit("on main")
    return found


def commit_on(repo: GitRepo, branch: str, source: str) -> str:
    repo.git("checkout", "--quiet", branch)
    repo.write("sprocs/a.lua", source)
    return repo.commit(source.strip())


def still(client: Redis, commit: str, wanted: str) -> None:
    """The daemon has looked at what is wanted, and waits."""
    until(lambda: state_of(client).commit == wanted, what=lambda: state_of(client))
    assert stands(client, "diverged").commit == wanted
    assert commit_of(client) == commit


@pytest.mark.parametrize("mirror", ["new", "old"])
def test_another_branch_is_not_one_that_has_just_moved(
    server: Server, repo: GitRepo, tmp_path: Path, mirror: str
) -> None:
    client, main = server.client(), repo.git("rev-parse", "main")
    url, work = f"file://{repo.path}", tmp_path / "daemon"
    work.mkdir()
    with Service(server.url, work, "--remote", url, "--branch", "main") as service:
        live(client, main)
        stands(client, "synced")
        assert service.stop() == 0
    if mirror == "new":
        shutil.rmtree(work / ".luasprocs")
    with Service(server.url, work, "--remote", url, "--branch", "other"):
        still(client, main, repo.git("rev-parse", "other"))
        still(client, main, commit_on(repo, "other", "return 'pushed to other'\n"))
        assert source_of(client, "a.lua") == "return 2\n"
        assert finding(server, "diverged")["names"] == ["a.lua"]


def test_nor_is_one_that_became_the_remotes_head(server: Server, repo: GitRepo, tmp_path: Path) -> None:
    client, main, work = server.client(), repo.git("rev-parse", "main"), tmp_path / "daemon"
    work.mkdir()
    with Service(server.url, work, "--remote", f"file://{repo.path}"):
        live(client, main)
        repo.git("checkout", "--quiet", "other")
        still(client, main, repo.git("rev-parse", "other"))
        repo.git("checkout", "--quiet", "-b", "renamed", "main")
        live(client, commit_on(repo, "renamed", "return 'ahead of main'\n"))


def test_of_a_checkout_neither(server: Server, repo: GitRepo) -> None:
    client, main = server.client(), repo.git("rev-parse", "main")
    with Service(server.url, repo.path):
        live(client, main)
        stands(client, "synced")
    with Service(server.url, repo.path, "--branch", "other"):
        still(client, main, repo.git("rev-parse", "other"))


def test_history_that_is_rewritten_before_their_eyes_is_followed_however_often(
    server: Server, repo: GitRepo, tmp_path: Path
) -> None:
    """A refused commit in between is no reason to stop."""
    client, work = server.client(), tmp_path / "daemon"
    work.mkdir()
    repo.git("branch", "kept", "main")  # so that the mirror knows it
    with Service(server.url, work, "--remote", f"file://{repo.path}", "--branch", "main"):
        live(client, repo.git("rev-parse", "main"))
        repo.git("reset", "--quiet", "--hard", "HEAD~1")
        commit_on(repo, "main", "return return\n")
        stands(client, "refused")
        repo.git("reset", "--quiet", "--hard", "HEAD~1")
        live(client, commit_on(repo, "main", "return 'rewritten twice'\n"))


@pytest.mark.parametrize("mirror", ["new", "old"])
def test_a_branch_rewritten_while_nobody_looked_is_followed_by_who_knew_it(
    server: Server, repo: GitRepo, tmp_path: Path, mirror: str
) -> None:
    client, main = server.client(), repo.git("rev-parse", "main")
    url, work = f"file://{repo.path}", tmp_path / "daemon"
    work.mkdir()
    repo.git("branch", "kept", "main")
    options = ("--remote", url, "--branch", "main")
    with Service(server.url, work, *options):
        live(client, main)
        stands(client, "synced")
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    rewritten = commit_on(repo, "main", "return 'rewritten'\n")
    if mirror == "new":
        shutil.rmtree(work / ".luasprocs")
    with Service(server.url, work, *options):
        if mirror == "new":
            still(client, main, rewritten)
        else:
            live(client, rewritten)
