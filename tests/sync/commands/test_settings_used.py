"""Where a setting comes from: --redis, LUASPROCS_REDIS, --config, git config; namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.keys import Keys

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell


def test_the_nearest_redis_url_wins(shell: Shell, monkeypatch) -> None:
    """Each place names another db of the server; a sync shows which one was used."""
    base = shell.server.url.rsplit("/", 1)[0]
    config = shell.repo.parent / "host.toml"
    config.write_text(f'redis = "{base}/2"\n')
    shell.commit(a="return 1")
    shell.git("config", "luasprocs.redis", f"{base}/1")

    def used(*flags: str) -> int:
        shell.ok(*flags, "sync", "--adopt")
        found = [db for db in range(5) if shell.server.client(db=db).exists(Keys().revision)]
        shell.redis.flushall()
        shell.redis.execute_command("FUNCTION", "FLUSH")
        (db,) = found
        return db

    monkeypatch.delenv("LUASPROCS_REDIS")
    assert used() == 1
    assert used("--config", str(config)) == 2
    monkeypatch.setenv("LUASPROCS_REDIS", f"{base}/3")
    assert used("--config", str(config)) == 3
    assert used("--config", str(config), "--redis", f"{base}/4") == 4


def test_a_namespace_of_the_flag_keeps_registries_apart(shell: Shell) -> None:
    shell.commit(a="return 'plain'")
    shell.ok("sync")
    shell.commit(a="return 'shop'")
    shell.ok("--namespace", "shop", "sync")

    assert shell.ok("execute", "a.lua").out == "plain\n"
    assert shell.ok("--namespace", "shop", "execute", "a.lua").out == "shop\n"
    assert shell.redis.lrange("shop:__*_Sproc_List_*__", 0, -1) == [b"a.lua"]
    assert shell.redis.execute_command("FCALL", "shop_luasprocs_execute", 0, "a.lua") == b"shop"
    assert shell.ok("--namespace", "shop", "status", "--json").json["in_sync"]
    assert shell("--namespace", "other", "execute", "a.lua").code == 2


def test_a_namespace_of_luasprocs_toml_is_used_by_every_command(shell: Shell) -> None:
    (shell.repo / "luasprocs.toml").write_text('namespace = "{shop}"\n')
    shell.commit(a="return 'shop'")

    shell.ok("sync")

    assert all(key.startswith(b"{shop}:") for key in shell.everything() if key != b"functions")
    assert shell.ok("execute", "a.lua").out == "shop\n"
    assert shell.ok("list").rows[0][0] == "a.lua"
    assert shell.ok("show", "a.lua", "--json").json["name"] == "a.lua"
    assert shell.ok("status", "--json").json["in_sync"]
    assert len(shell.ok("history").rows) == 1
    assert "{shop}:" in shell("acl", "caller").out


def test_a_namespace_of_the_flag_wins_over_luasprocs_toml(shell: Shell) -> None:
    (shell.repo / "luasprocs.toml").write_text('namespace = "shop"\n')
    shell.commit(a="return 1")
    shell.ok("--namespace", "flag", "sync")
    assert shell.redis.exists(Keys("flag").revision)
    assert not shell.redis.exists(Keys("shop").revision)


def test_the_folder_of_luasprocs_toml_is_the_commits(shell: Shell) -> None:
    (shell.repo / "lua").mkdir()
    (shell.repo / "lua" / "b.lua").write_text("return 'b'")
    (shell.repo / "luasprocs.toml").write_text('folder = "lua"\n')
    shell.commit(a="return 'a'")
    assert shell.ok("sync", "--json").json["created"] == ["b.lua"]


def test_repo_names_a_repository_elsewhere(shell: Shell, monkeypatch) -> None:
    shell.commit(a="return 1")
    monkeypatch.chdir("/")
    shell.ok("--repo", str(shell.repo), "sync")
    assert shell.ok("--repo", str(shell.repo / "sprocs"), "status", "--json").json["in_sync"]


def test_what_cannot_be_used_is_named_with_its_place(shell: Shell) -> None:
    shell.commit(a="return 1")
    (shell.repo / "luasprocs.toml").write_text('\nfoldr = "lua"\n')
    shell.commit()
    cases = {
        ("sync",): "luasprocs.toml:2:1: ",
        ("--namespace", "a b", "sync"): "--namespace: ",
        ("--config", "nope.toml", "status"): "nope.toml",
        ("--repo", "nope", "sync"): "nope",
    }
    for args, said in cases.items():
        result = shell(*args)
        assert result.code == 2, (args, result)
        assert said in result.err
        assert result.err.count("\n") == 1
