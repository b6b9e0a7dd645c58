"""`evalsha=yes` from git: by the repository's default, and what a sync without a daemon does about it."""

from __future__ import annotations

from tests.gitrepo import GitRepo
from tests.live import sproc

ONE = "-- evalsha=yes\nreturn 1\n"


def test_a_sync_loads_what_is_missing_where_no_daemon_does(shell, repo, server):
    client, shop = server.client(), GitRepo(repo)
    shop.write("sprocs/one.lua", ONE)
    shop.commit("one")
    sha = sproc("one.lua", ONE).sha
    for _ in range(2):
        assert shell("sync").code == 0
        assert client.evalsha(sha, 0) == 1
        client.script_flush()
    shop.write("sprocs/other.lua", "return 2")
    shop.commit("another one")
    assert shell("sync").code == 0
    assert client.evalsha(sha, 0) == 1
    client.script_flush()
    shop.write("sprocs/other.lua", "return 3")
    assert shell("sync", "--worktree").code == 0
    assert client.evalsha(sha, 0) == 1


def test_the_repositorys_default_is_for_those_that_it_fits(shell, repo, server):
    client, shop = server.client(), GitRepo(repo)
    texts = {
        "plain.lua": "return 1\n",
        "no.lua": "-- evalsha=no\nreturn 2\n",
        "lib.lua": "-- library=yes\nreturn 3\n",
        "async.lua": "-- runasync=yes\nreturn 4\n",
        "uses.lua": "return sproc.name\n",
    }
    for name, text in texts.items():
        shop.write(f"sprocs/{name}", text)
    shop.write("luasprocs.toml", '[defaults]\nevalsha = "yes"\n')
    assert shell("check").code == 0
    shop.commit("all of them")
    assert shell("sync").code == 0
    shas = {name: sproc(name, text).sha for name, text in texts.items()}
    there = dict(zip(shas, client.script_exists(*shas.values()), strict=True))
    assert there == {"plain.lua": True, "no.lua": False, "lib.lua": False, "async.lua": False, "uses.lua": True}
