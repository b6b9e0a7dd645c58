"""The same sprocs are told the same problems wherever they stand: on disk, in the index, in a commit, in an editor."""

from __future__ import annotations

from pathlib import Path

import pytest

from luasprocs.errors import Problem
from luasprocs.language.check import check
from luasprocs.language.workspace import Overlay
from sync.git.repository import Repository
from sync.reconcile.check import check_files, check_staged
from sync.reconcile.desired import read_commit, read_worktree
from sync.reconcile.desired_sprocs import problems_in
from sync.reconcile.workspaces import DiskWorkspace
from tests.gitrepo import GitRepo

FILES: dict[str, str | bytes] = {
    "luasprocs.toml": '[defaults]\nrunasync = "yes"\n',
    "sprocs/header.lua": "-- evnt=set\n-- library=maybe\nreturn io, redis.call('GETT')",
    "sprocs/syntax.lua": "-- timeout=5\nreturn return",
    "sprocs/async.lua": "return io.open(ARGV[1]), require('socket')",
    "sprocs/server.lua": "-- runasync=no\nreturn io.open(ARGV[1]), require('socket')",
    "sprocs/lib/a.lua": "-- library=yes\n-- runasync=no\nreturn require('lib/b.lua')",
    "sprocs/lib/b.lua": "-- library=yes\n-- runasync=no\nreturn require('lib/a.lua')",
    "sprocs/clash.lua": "return require('gone.lua')",
    "sprocs/Clash.lua": "return require('async.lua'), require('header.lua'), require('link.lua')",
    "sprocs/utf.lua": b"\xff",
    "sprocs/huge.lua": b"-" * 1_100_000,
}
CODES = {
    *(
        "header.unknown-key",
        "header.bad-value",
        "lua.syntax",
        "lua.unknown-global",
        "lua.unknown-command",
        "name.clash",
    ),
    *("require.unknown", "require.not-library", "require.circle", "encoding.not-utf-8", "file.too-large"),
    "file.not-regular",
}


@pytest.fixture
def git(tmp_path: Path) -> GitRepo:
    git = GitRepo(tmp_path / "shop")
    for name, content in FILES.items():
        git.write(name, content)
    (git.path / "sprocs/link.lua").symlink_to("async.lua")
    git.commit()
    return git


def test_all_workspaces_are_told_the_same(git: GitRepo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(git.path)
    count, disk = check_files({}, [])
    repository = Repository.open(git.path)
    assert count == len(FILES)
    assert {one.code for one in disk} == CODES
    assert check_staged({}, [])[1] == disk
    assert problems_in(repository, read_commit(repository)) == disk
    assert problems_in(repository, read_worktree(repository)) == disk


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith(".lua")))
def test_a_file_is_told_what_the_whole_is_told_of_it(git: GitRepo, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(git.path)
    whole = [one for one in check_files({}, [])[1] if one.path == name and one.code != "require.circle"]
    for told in (check_files({}, [name])[1], check_staged({}, [name])[1]):
        found = [one for one in told if one.code != "require.circle"]
        assert [one._replace(message="") for one in found] == [one._replace(message="") for one in whole]
        assert ("require.circle" in {one.code for one in told}) == name.startswith("sprocs/lib/")


def test_what_is_no_file_has_a_code(git: GitRepo, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(git.path)
    git.write("sprocs/upper.LUA", "return 1")
    git.git("add", "--all")
    found = check_staged({}, [])[1]
    assert [one.code for one in found if one.path == "sprocs/upper.LUA"] == ["file.ignored"]
    assert [one.code for one in found if one.path == "sprocs/link.lua"] == ["file.not-regular"]


def test_an_editor_is_told_of_what_is_not_saved_yet(git: GitRepo):
    folder = git.path / "sprocs"
    saved = DiskWorkspace(folder, {}, {})
    assert {"lib/a.lua", "server.lua"} <= set(saved.names)
    mended = Overlay(saved, {"server.lua": b"return 1", "new.lua": b"return require('lib/new.lua')"})
    (problem,) = check(mended, ["server.lua", "new.lua"])
    assert (problem.path, problem.code) == (str(folder / "new.lua"), "require.unknown")
    assert isinstance(problem, Problem)


def test_files_of_one_name_outside_the_folder_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.lua").write_text("return =", encoding="utf-8")
    count, problems = check_files({}, ["one/a.lua", "two/a.lua"])
    assert count == 2
    assert [one.path for one in problems] == ["one/a.lua", "two/a.lua"]


def test_a_link_to_another_sproc_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sprocs").mkdir()
    (tmp_path / "sprocs" / "a.lua").write_text("return =", encoding="utf-8")
    (tmp_path / "sprocs" / "b.lua").symlink_to("a.lua")
    _, problems = check_files({}, [])
    assert [(one.path, one.code) for one in problems] == [
        ("sprocs/a.lua", "lua.syntax"),
        ("sprocs/b.lua", "file.not-regular"),
    ]
