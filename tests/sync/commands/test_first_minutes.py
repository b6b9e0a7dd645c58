"""From nothing to a first sproc, as the README tells it; and `init`, `acl` by themselves."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import AuthenticationError, ResponseError

from luasprocs.language.editor.command_docs import KEPT_OF
from luasprocs.server.info import parse_info
from tests.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sync.commands.shell import Shell


def test_from_nothing_to_a_first_own_sproc(shell: Shell) -> None:
    assert shell.process("init").code == 0
    shell.git("add", "--all")
    shell.git("commit", "-qm", "first")
    assert shell.ok("check").out == ""
    assert shell("plan").code == 1
    shell.ok("sync")
    assert shell.ok("status").out.endswith("in sync\n")
    assert shell.ok("execute", "hello.lua").out == "hello world, number 1\n"
    assert shell.ok("execute", "hello.lua", "you", "--key", "c").out == "hello you, number 1\n"
    assert shell.redis.get("c") == b"1"
    shell.commit(mine="return 'mine'")
    shell.ok("sync")
    assert shell.ok("execute", "mine.lua").out == "mine\n"


def test_init_leaves_what_is_there(shell: Shell) -> None:
    shell.write("a.lua", "return 1")
    (shell.repo / "luasprocs.toml").write_text("# mine\n")
    said = shell.ok("init")
    assert "luasprocs.toml exists" in said.out
    assert (shell.repo / "luasprocs.toml").read_text() == "# mine\n"
    assert [path.name for path in (shell.repo / "sprocs").iterdir()] == ["a.lua"]


def test_init_writes_what_language_servers_of_lua_read(shell: Shell) -> None:
    shell.ok("init")
    (library,) = json.loads((shell.repo / ".luarc.json").read_text())["workspace.library"]
    path = shell.repo / library / "sprocs.lua"
    assert "function redis.call(command, ...) end" in path.read_text()
    assert f"-- The commands are those of {parse_info(shell.redis.info())}.\n" in path.read_text()
    assert shell("plan", "--worktree", "--json").json["created"] == ["hello.lua"]
    path.write_text("an older one")
    assert "sprocs.lua anew" in shell.ok("init").out
    path.unlink()
    (shell.repo / "luasprocs.toml").write_text('folder = ""\n')
    shell.ok("init")
    assert not path.exists(), "at the top it would be a sproc"


def test_init_declares_the_commands_of_the_package_if_no_server_answers(shell: Shell) -> None:
    for url in ("redis://127.0.0.1:1/0", "nonsense"):
        said = shell.ok("--redis", url, "init")
        assert KEPT_OF in said.out
        assert f"-- The commands are those of {KEPT_OF}.\n" in (shell.repo / ".luals/sprocs.lua").read_text()


def test_init_writes_settings_that_can_be_read_whatever_the_folders_name(shell: Shell) -> None:
    for name in ('a "quoted" \\ name', "new\nline", "\udcff", "x" * 250, "日本"):
        folder = shell.repo.parent / name
        folder.mkdir()
        assert shell("--repo", str(folder), "init").code == 0, name
        assert shell("--repo", str(folder), "check").code == 0, name


def test_init_where_nothing_can_be_written_ends_with_2(shell: Shell) -> None:
    (shell.repo / "file").write_text("")
    for folder in ("nope", "file"):
        said = shell("--repo", folder, "init")
        assert (said.code, said.err.count("\n")) == (2, 1)


def test_two_repositories_made_by_init_are_different_owners(shell: Shell) -> None:
    for folder in ("one", "two"):
        (shell.repo.parent / folder).mkdir()
        shell.ok("--repo", str(shell.repo.parent / folder), "init")
    one, two = ((shell.repo.parent / folder / "luasprocs.toml").read_text() for folder in ("one", "two"))
    assert one != two


def test_acl_prints_a_rule_that_the_server_takes(shell: Shell) -> None:
    shell.commit(a="return redis.call('INCR', KEYS[1])")
    shell.ok("sync")
    for role in ("daemon", "deployer", "caller", "viewer"):
        words = shell.ok("acl", role, "--json").json
        printed = shell("acl", role)
        assert printed.out.startswith(f"ACL SETUSER luasprocs-{role} reset on ")
        assert "has no password, so nobody can log in" in printed.err
        shell.redis.execute_command("ACL", "SETUSER", f"luasprocs-{role}", *words, ">secret")

    def url(role: str) -> str:
        return f"redis://luasprocs-{role}:secret@127.0.0.1:{shell.server.port}"

    assert shell.ok("--redis", url("viewer"), "list").rows[0][0] == "a.lua"
    shell.commit(a="return 2")
    assert shell("--redis", url("viewer"), "sync").code == 2
    shell.ok("--redis", url("deployer"), "sync")


def test_acl_without_config(shell: Shell) -> None:
    line = shell("acl", "daemon", "--no-config").out
    words = shell.ok("acl", "daemon", "--no-config", "--json").json
    for said in (line.split(), words):
        assert not [word for word in said if "config" in word]
    assert [word for word in shell.ok("acl", "daemon", "--json").json if word.startswith("+config")]
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    assert re.search(r"`CONFIG SET`\.[^\n]*`requirepass` too\.\n`--no-config` leaves it out", page)
    shell.redis.execute_command("ACL", "SETUSER", "careful", *words, ">secret")
    careful = shell.server.client(username="careful", password="secret")
    for command in (("CONFIG", "GET", "requirepass"), ("CONFIG", "SET", "requirepass", "")):
        with pytest.raises(ResponseError, match="no permissions"):
            careful.execute_command(*command)


def test_acl_names_the_commands_that_sprocs_use_and_no_others_are_given(shell: Shell) -> None:
    shell.commit(a="return redis.call('INCR', KEYS[1])", b="return redis.call('SET', KEYS[1], 'x')")
    shell.ok("sync")
    for role in ("caller", "daemon"):
        words = shell.ok("acl", role, "--key", "app:*", "--command", "incr", "--json").json
        assert "+incr" in words
        assert not {"+@read", "+@write"} & set(words)
        shell.redis.execute_command("ACL", "SETUSER", role, *words, ">secret")
    called = shell.server.client(username="caller", password="secret")
    assert called.execute_command("FCALL", "luasprocs_execute", 1, "app:1", "a.lua") == 1
    for name, key in (("b.lua", "app:1"), ("a.lua", "other")):
        with pytest.raises(ResponseError):
            called.execute_command("FCALL", "luasprocs_execute", 1, key, name)


def test_the_pipe_of_the_security_page_makes_a_user_with_that_password(shell: Shell, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^luasprocs acl daemon .*\| redis-cli", page, re.MULTILINE)
    secret = tmp_path / "password"
    secret.write_text("s3cret\nmore\n")
    words = shlex.split(line.partition("|")[0])[1:]
    words[words.index("--password-file") + 1] = str(secret)
    printed = shell.ok(*words).out
    assert shell.server.cli(*shlex.split(printed)) == "OK\n"
    assert shell.server.client(username="luasprocs-daemon", password="s3cret").ping()
    for password in ("PASSWORD", "more"):
        with pytest.raises(AuthenticationError):
            shell.redis.execute_command("AUTH", "luasprocs-daemon", password)


def test_a_password_file_without_a_password_is_refused(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    said = shell("acl", "daemon", "--password-file", str(tmp_path / "empty"))
    assert (said.code, "has no password" in said.err, said.out) == (2, True, "")


def test_init_recommends_the_extension_unless_somebody_has_recommended_others(shell: Shell) -> None:
    file = shell.repo / ".vscode" / "extensions.json"
    shell.ok("init")
    assert json.loads(file.read_text()) == {"recommendations": ["luasprocs.luasprocs"]}
    file.write_text('{ "recommendations": ["mine.mine"] } // with a comment\n')
    assert ".vscode/extensions.json exists" in shell.ok("init").out
    assert "mine.mine" in file.read_text()
