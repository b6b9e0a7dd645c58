"""What a sync must notice although no sproc's file changed."""

from __future__ import annotations

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.errors import ProblemsError
from luasprocs.operations.rollback import rollback
from luasprocs.server.registry import Registry
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.syncer import Syncer
from tests.gitrepo import GitRepo

KEYS = Keys()


@pytest.fixture
def git(tmp_path):
    return GitRepo(tmp_path / "shop")


def sync(client, git):
    repository = Repository.open(git.path)
    return Syncer(Registry(client, KEYS), repository).sync(read_commit(repository))


def test_changed_defaults_reach_every_sproc_and_survive_a_rollback(server, git):
    client = server.client()
    git.write("sprocs/a.lua", "return 1")
    git.write("sprocs/b.lua", "-- owner=me\nreturn 1")
    git.commit("one")
    sync(client, git)
    git.write("luasprocs.toml", '[defaults]\nowner = "team"\n')
    git.commit("two")
    assert sync(client, git).plan.updated == ("a.lua", "b.lua")
    assert [client.hget(KEYS.name(name), "owner") for name in ("a.lua", "b.lua")] == [b"team", b"me"]
    assert not sync(client, git).changed
    git.write("sprocs/a.lua", "return 2")
    git.commit("three")
    assert sync(client, git).plan.updated == ("a.lua",)
    rollback(Registry(client, KEYS), by="ann@host")
    stored = client.hgetall(KEYS.name("a.lua"))
    assert (stored[b"source"], stored[b"owner"]) == (b"return 1", b"team")


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "no library any more"])
def test_a_library_that_goes_is_refused_while_others_require_it(server, git, gone):
    client = server.client()
    git.write("sprocs/a.lua", "local l = require('l.lua') return l.x")
    path = git.write("sprocs/l.lua", "-- library=Yes\nreturn {x = 1}")
    git.commit("one")
    sync(client, git)
    if gone:
        path.unlink()
    else:
        path.write_text("return {x = 1}")
    git.commit("two")
    with pytest.raises(ProblemsError, match=r"sprocs/a\.lua:1:"):
        sync(client, git)
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "a.lua") == 1
