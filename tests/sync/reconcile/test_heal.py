"""What somebody broke by hand is healed by the next sync of the same commit, and does not block a rollback past it."""

from __future__ import annotations

import pytest

import luasprocs
from luasprocs.contract.keys import Keys
from luasprocs.errors import ScriptError
from luasprocs.operations.rollback import rollback
from luasprocs.server.registry import Registry
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.syncer import Syncer
from tests.gitrepo import GitRepo
from tests.live import put, sproc

KEYS = Keys()


@pytest.fixture
def git(tmp_path):
    repo = GitRepo(tmp_path / "shop")
    repo.write("sprocs/a.lua", "-- event=set\n-- key=k\nreturn 1")
    repo.write("sprocs/b.lua", "return 2")
    repo.commit("one")
    return repo


@pytest.fixture
def client(server, git):
    client = server.client()
    sync(client, git)
    return client


def sync(client, git):
    repository = Repository.open(git.path)
    return Syncer(Registry(client, KEYS), repository).sync(read_commit(repository))


HARMS = {
    "triggers deleted": lambda client: client.delete(KEYS.triggers),
    "triggers edited": lambda client: client.hset(KEYS.triggers, "__keyevent@0__:del", "b.lua"),
    "digests deleted": lambda client: client.delete(KEYS.digests),
    "list out of order": lambda client: client.lpush(KEYS.list, client.rpop(KEYS.list)),
    "name twice": lambda client: client.rpush(KEYS.list, "b.lua"),
    "ghost": lambda client: client.rpush(KEYS.list, "ghost.lua"),
    "hash deleted": lambda client: client.delete(KEYS.name("b.lua")),
    "functions flushed": lambda client: client.execute_command("FUNCTION", "FLUSH"),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("engine", [True, False], ids=["", "without engine"])
def test_harm_is_healed(client, git, harm, engine):
    before = (client.lrange(KEYS.list, 0, -1), client.hgetall(KEYS.triggers), client.hgetall(KEYS.name("b.lua")))
    HARMS[harm](client)
    if not engine:
        client.execute_command("FUNCTION", "FLUSH")
    assert sync(client, git).changed
    assert before == (
        client.lrange(KEYS.list, 0, -1),
        client.hgetall(KEYS.triggers),
        client.hgetall(KEYS.name("b.lua")),
    )
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "b.lua") == 2
    assert not sync(client, git).changed


@pytest.mark.parametrize("harm", HARMS)
def test_a_rollback_goes_back_past_a_heal(client, git, harm):
    HARMS[harm](client)
    sync(client, git)
    git.write("sprocs/b.lua", "return 3")
    git.commit("two")
    sync(client, git)
    rollback(Registry(client, KEYS), 1, by="ann@host")
    assert client.lrange(KEYS.list, 0, -1) == [b"a.lua", b"b.lua"]
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "b.lua") == 2


def test_a_rollback_brings_back_nothing_that_a_heal_has_put_right(client, git):
    client.hset(KEYS.name("b.lua"), "source", "return 'by hand'")
    sync(client, git)
    git.write("sprocs/c.lua", "return 3")
    git.commit("two")
    sync(client, git)
    rollback(Registry(client, KEYS), 1, by="ann@host")
    assert client.execute_command("FCALL", "luasprocs_execute", 0, "b.lua") == 2


def test_a_rollback_restores_metadata_edited_by_hand(client, git):
    git.write("sprocs/b.lua", "return 3")
    git.commit("two")
    sync(client, git)
    client.hset(KEYS.name("a.lua"), "key", "by hand")
    rollback(Registry(client, KEYS), by="ann@host")
    assert client.hget(KEYS.name("a.lua"), "key") == b"k"


def test_a_reply_that_is_no_text_is_a_script_error(client):
    put(client, sproc("x.lua", r"return '\255'"), owner="me", adopt=True)
    with pytest.raises(ScriptError, match="not UTF-8"):
        luasprocs.connect(client).execute("x.lua", reply=str)
