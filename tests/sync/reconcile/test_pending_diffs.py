"""What waits, as diffs: what a reader without the repository sees of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.registry.live import read_live
from luasprocs.registry.plan import Plan, diff
from luasprocs.server.registry import Registry
from sync.git.repository import Repository
from sync.reconcile import pending_diffs as waiting
from sync.reconcile.desired import Desired, read_commit, read_worktree
from tests.gitrepo import SETTINGS, GitRepo
from tests.live import put, sproc

KEYS = Keys()


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repo(tmp_path):
    made = GitRepo(tmp_path / "repo")
    made.write("sprocs/new.lua", "return 'new'\n")
    made.write("sprocs/same.lua", "return 'same'\n")
    made.write("sprocs/changed.lua", b"one\nreturn 2\n".replace(b"one", b"-- \xff\x1b[31m"))
    made.commit("first")
    return made


@pytest.fixture
def client(server):
    found = server.client()
    put(
        found,
        sproc("same.lua", "return 'same'\n"),
        sproc("changed.lua", "-- was\nreturn 2\n"),
        sproc("gone.lua", "return 1\n"),
    )
    return found


def diffs(client, repo, desired: Desired) -> tuple[str, ...]:
    plan = diff(desired.entries, read_live(Registry(client, KEYS), 0).sprocs)
    return waiting.Diffs(Registry(client, KEYS)).of(Repository.open(repo.path), desired, plan)


@pytest.mark.parametrize("read", [read_commit, read_worktree])
def test_created_updated_deleted(client, repo, read):
    assert diffs(client, repo, read(Repository.open(repo.path))) == (
        "--- live/changed.lua\n+++ git/changed.lua\n@@ -1,2 +1,2 @@\n--- was\n+-- \ufffd\x1b[31m\n return 2",
        "--- live/gone.lua\n+++ /dev/null\n@@ -1 +0,0 @@\n-return 1",
        "--- /dev/null\n+++ git/new.lua\n@@ -0,0 +1 @@\n+return 'new'",
    )


def test_only_so_much_is_shown_and_the_rest_is_said(client, repo):
    for number in range(waiting.SPROCS + 20):
        repo.write(f"sprocs/many/{number:03}.lua", "return 1\n")
    repo.write("sprocs/long.lua", "".join(f"-- {number:05}\n" for number in range(4000)))
    repo.commit("many")
    found = diffs(client, repo, read_commit(Repository.open(repo.path)))
    assert len(found) == waiting.SPROCS + 1
    assert found[-1] == "and 24 more"
    long = next(one for one in found if "git/long.lua" in one).splitlines()
    assert len("\n".join(long)) <= waiting.CHARACTERS + 30
    assert long[-1] == f"\u2026 {4003 - (len(long) - 1)} more lines"


def test_all_of_them_together_have_their_limit(client, repo):
    for number in range(12):
        repo.write(f"sprocs/long{number:02}.lua", "".join(f"-- {line:05}\n" for line in range(4000)))
    repo.commit("long")
    found = diffs(client, repo, read_commit(Repository.open(repo.path)))
    assert sum(map(len, found)) <= waiting.CHARACTERS_IN_ALL + 30
    assert found[-1] == f"and {15 - (len(found) - 1)} more"
    assert len(found) > 9


def test_they_are_read_once_but_for_what_is_edited_by_hand(client, repo):
    repository = Repository.open(repo.path)
    desired = read_commit(repository)
    plan = Plan((), ("changed.lua",), (), 1)
    kept = waiting.Diffs(Registry(client, KEYS))
    first = kept.of(repository, desired, plan)
    client.hset(KEYS.name("changed.lua"), "source", "by hand")
    assert kept.of(repository, desired, plan) == first
    by_hand = kept.of(repository, desired, plan._replace(drifted=("changed.lua",)))
    assert "-by hand" in by_hand[0]


def test_what_git_can_not_tell_is_said(client, repo):
    repository = Repository.open(repo.path)
    desired = read_commit(repository)
    missing = replace(desired, entries={"new.lua": "0123456789" * 4})
    found = waiting.Diffs(Registry(client, KEYS)).of(repository, missing, Plan(("new.lua",), (), (), 0))
    assert len(found) == 1
    assert "0123456789" in found[0]
