"""`luasprocs check`: what is wrong, before anybody commits it. No server in sight."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sync.cli import run
from tests.gitrepo import GitRepo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Check = Callable[..., tuple[int, list[str], str]]

BROKEN_HEADER = "-- fine\n-- evnt=set\nreturn 1\n"
BROKEN_SYNTAX = "return 1\nlocal = 2\n"


@pytest.fixture
def git(repo: Path) -> GitRepo:
    return GitRepo(repo)


@pytest.fixture
def check(git: GitRepo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Check:
    """Exit code, lines of errors, output. The Redis URL leads nowhere."""
    monkeypatch.chdir(git.path)
    monkeypatch.setenv("LUASPROCS_REDIS", "redis://127.0.0.1:1")

    def typed(*args: str) -> tuple[int, list[str], str]:
        code = run(["check", *args])
        said = capsys.readouterr()
        return code, said.err.splitlines(), said.out

    return typed


def test_what_is_fine_is_silent_in_a_pipe(git: GitRepo, check: Check) -> None:
    git.write("sprocs/a.lua", "return 1")
    assert check() == (0, [], "")
    assert check("sprocs/a.lua") == (0, [], "")


def test_every_problem_of_every_file_is_listed_with_its_place(git: GitRepo, check: Check) -> None:
    git.write("sprocs/header.lua", BROKEN_HEADER + "local = 2\n")
    git.write("sprocs/deep/syntax.lua", BROKEN_SYNTAX)
    git.write("sprocs/utf16.lua", "return 1".encode("utf-16"))
    git.write("sprocs/a.lua", "return 1")

    code, errors, out = check()

    assert (code, out) == (1, "")
    assert [line.split(":")[:2] for line in errors[:-1]] == [
        ["sprocs/deep/syntax.lua", "2"],
        ["sprocs/header.lua", "2"],
        ["sprocs/header.lua", "4"],
        ["sprocs/utf16.lua", "1"],
    ]
    assert errors[-1] == "luasprocs: 4 problems found"


def test_files_are_named_as_they_were_typed(git: GitRepo, check: Check, monkeypatch) -> None:
    path = git.write("sprocs/bad.lua", BROKEN_HEADER)
    assert check("sprocs/bad.lua")[1][0].startswith("sprocs/bad.lua:2:4: ")
    assert check(str(path))[1][0].startswith(f"{path}:2:4: ")
    monkeypatch.chdir(path.parent)
    assert check("bad.lua")[1][0].startswith("bad.lua:2:4: ")


def test_only_the_files_named_are_looked_at(git: GitRepo, check: Check) -> None:
    git.write("sprocs/bad.lua", BROKEN_HEADER)
    git.write("sprocs/good.lua", "return 1")
    assert check("sprocs/good.lua") == (0, [], "")


def test_misuse_of_the_sandbox_is_found(git: GitRepo, check: Check) -> None:
    git.write("sprocs/io.lua", "return io.open('/etc/passwd')")
    code, errors, _ = check("sprocs/io.lua")
    assert code == 1
    assert errors[0].startswith("sprocs/io.lua:1:8: ")


def test_staged_is_the_index_not_the_work_tree(git: GitRepo, check: Check) -> None:
    git.write("sprocs/a.lua", "return 1")
    git.write("sprocs/b.lua", "return 1")
    git.commit()
    git.write("sprocs/a.lua", BROKEN_HEADER)
    git.git("add", "sprocs/a.lua")
    git.write("sprocs/a.lua", "return 'repaired, not staged'")
    git.write("sprocs/b.lua", BROKEN_SYNTAX)

    code, errors, _ = check("--staged")
    assert code == 1
    assert [line.split(": ")[0] for line in errors] == ["sprocs/a.lua:2:4", "luasprocs"]
    assert check("--staged", "sprocs/b.lua")[0] == 0
    assert check("--staged", "sprocs/a.lua")[0] == 1
    code, errors, _ = check()
    assert code == 1
    assert "b.lua:2:" in errors[0]


def test_staged_before_the_first_commit(git: GitRepo, check: Check) -> None:
    git.write("sprocs/a.lua", BROKEN_HEADER)
    git.git("add", "--all")
    assert check("--staged")[0] == 1


def test_json_is_one_problem_a_line(git: GitRepo, check: Check) -> None:
    git.write("sprocs/a.lua", BROKEN_HEADER)
    code, errors, out = check("sprocs/a.lua", "--json")
    assert (code, errors) == (1, [])
    (problem,) = map(json.loads, out.splitlines())
    assert problem.pop("message")
    place = {"path": "sprocs/a.lua", "line": 2, "column": 4, "end_line": 2, "end_column": 8}
    assert problem == {**place, "kind": "error", "code": "header.unknown-key"}


@pytest.mark.parametrize("args", [(), ("nope.lua",)])
def test_what_is_not_there_ends_with_2(check: Check, args: tuple[str, ...]) -> None:
    code, errors, out = check(*args)
    assert (code, out) == (2, "")
    assert len(errors) == 1
    assert errors[0].startswith("luasprocs: ")


@pytest.mark.parametrize("content", [b"", b"\0", b"\xef\xbb\xbfreturn 1", b"\x1bLua", b"-- \xff\nreturn 1", b"x" * 99])
def test_no_content_makes_it_crash(git: GitRepo, check: Check, content: bytes) -> None:
    git.write("sprocs/a.lua", content)
    code, errors, _ = check("sprocs/a.lua")
    assert code == (1 if content else 0)
    assert all(line.startswith(("sprocs/a.lua:1:", "luasprocs: 1 problem")) for line in errors)


def test_a_symlink_a_folder_and_a_huge_file_are_named(git: GitRepo, check: Check) -> None:
    git.write("elsewhere.lua", "return 1")
    (git.path / "sprocs").mkdir()
    (git.path / "sprocs/link.lua").symlink_to("../elsewhere.lua")
    (git.path / "sprocs/folder.lua").mkdir()
    git.write("sprocs/huge.lua", b"--" + b"x" * 10_000_000)
    code, errors, _ = check()
    assert code == 1
    assert any("link.lua:1:1: " in line and "symlink" in line for line in errors)
    assert any("huge.lua:1:1: " in line and "bytes" in line for line in errors)
    assert check("sprocs/folder.lua")[0] == 2


def test_a_submodule_is_found_before_sync_refuses_it(git: GitRepo, check: Check, tmp_path: Path) -> None:
    other = GitRepo(tmp_path / "other")
    other.write("b.lua", "return 1")
    other.commit()
    git.write("sprocs/a.lua", "return 1")
    git.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", other.path.as_uri(), "sprocs/theirs")
    wanted = "sprocs/theirs:1:1: this is a submodule, which no sync enters"

    for args in ((), ("--staged",)):
        code, errors, _ = check(*args)
        assert code == 1
        assert errors[0].startswith(wanted), args
        assert len(errors) == 2
    assert "'theirs' is a submodule" in check("sprocs/theirs/b.lua")[1][0]
    git.git("submodule", "deinit", "--all", "--force")  # as in a clone without --recurse-submodules
    assert check()[1][0].startswith(wanted)


def test_a_symlink_in_place_of_the_sproc_folder_is_found_before_sync_refuses_it(git: GitRepo, check: Check) -> None:
    git.write("real/a.lua", "return 1")
    (git.path / "sprocs").symlink_to("real")
    for args, place in (((), "sprocs"), (("sprocs/a.lua",), "sprocs/a.lua")):
        code, errors, _ = check(*args)
        assert code == 1
        assert errors[0].startswith(f"{place}:1:1: the folder 'sprocs' is a symlink: sync doesn't follow it")
    assert check("real/a.lua")[0] == 0


def test_a_symlink_to_a_folder_is_named_only_if_it_could_be_a_sproc(git: GitRepo, check: Check) -> None:
    git.write("sprocs/a.lua", "return 1")
    git.write("real/b.lua", "local = 2")
    (git.path / "sprocs/linked").symlink_to("../real")
    assert check() == (0, [], "")
    (git.path / "sprocs/linked.lua").symlink_to("../real")
    assert check()[1][0].startswith("sprocs/linked.lua:1:1: the file is a symlink")


def test_what_git_ignores_is_left_out_as_by_sync(git: GitRepo, check: Check) -> None:
    git.write("sprocs/a.lua", "return 1")
    git.write("sprocs/mine/b.lua", BROKEN_SYNTAX)
    git.write(".gitignore", "mine/")
    assert check() == (0, [], "")
    assert check("sprocs/mine/b.lua")[0] == 1


def test_no_sprocs_at_all_are_warned_of(git: GitRepo, check: Check) -> None:
    git.write("sprocs/a.lua", "return 1")
    git.commit()
    git.git("rm", "--quiet", "--cached", "sprocs/a.lua")
    code, errors, out = check("--staged")
    assert (code, out, len(errors)) == (0, "", 1)
    assert errors[0].startswith("luasprocs: warning: the index has no sprocs: ")
    assert check() == (0, [], "")
    (git.path / "sprocs/a.lua").rename(git.path / "sprocs/a.txt")
    code, errors, _ = check()
    assert code == 0
    assert errors[0].startswith("luasprocs: warning: the work tree has no sprocs: ")


def test_hostile_text_in_a_file_is_shown_harmless(git: GitRepo, check: Check) -> None:
    git.write("sprocs/a.lua", "-- \x1b]0;owned\x07=1\n-- event=\x1b[2Jset\nreturn 1")
    code, errors, _ = check("sprocs/a.lua")
    assert code == 1
    assert "\x1b" not in "".join(errors)
    assert "\x07" not in "".join(errors)


def test_keys_in_two_slots_are_a_warning_if_the_sprocs_are_for_a_cluster(git: GitRepo, check: Check) -> None:
    two = "redis.call('PUBLISH', 'news', 1)\nredis.call('SET', 'a', 1)\nreturn redis.call('GET', 'b')"
    git.write("sprocs/two.lua", two)
    git.write("sprocs/async.lua", f"-- runasync=yes\n{two}")
    git.write("sprocs/one.lua", "redis.call('SET', '{s}a', 1)\nreturn redis.call('GET', '{s}b')")
    assert check() == (0, [], "")
    git.write("luasprocs.toml", "cluster = true\n")
    expected = ["sprocs/two.lua:3:20"]
    assert two_slots(check()) == expected
    git.git("add", ".")
    git.write("sprocs/two.lua", "return 1")
    assert two_slots(check()) == []
    assert two_slots(check("--staged")) == two_slots(check("--staged", "sprocs/two.lua")) == expected
    assert two_slots(check("--staged", "sprocs/one.lua")) == []


def two_slots(checked: tuple[int, list[str], str]) -> list[str]:
    """The places of these warnings, which alone don't fail a check."""
    code, problems, _ = checked
    assert code == 0
    return [line.split(": ")[0] for line in problems if "two slots" in line]
