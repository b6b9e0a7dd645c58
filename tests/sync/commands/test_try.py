"""`luasprocs try`: a file on a throw-away server, with the work tree's sprocs around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sync.cli import run
from tests.gitrepo import GitRepo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Try = Callable[..., tuple[int, str, str]]


@pytest.fixture
def tried(repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Try:
    """Exit code, output, errors. The Redis URL leads nowhere."""
    monkeypatch.setenv("LUASPROCS_REDIS", "redis://127.0.0.1:1")
    git = GitRepo(repo)
    git.write("sprocs/lib/double.lua", "-- library=yes\nreturn {of = function(n) return n * 2 end}\n")
    git.write("sprocs/broken.lua", "-- evnt=set\nreturn")
    git.write("sprocs/other.lua", "return 'the other'")

    def typed(source: str, *args: str) -> tuple[int, str, str]:
        git.write("sprocs/mine.lua", source)
        code = run(["try", "sprocs/mine.lua", *args])
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


def test_keys_and_arguments(tried: Try) -> None:
    source = "redis.call('SET', KEYS[1], ARGV[1])\nreturn {redis.call('GET', KEYS[1]), ARGV[2], #KEYS}"
    assert tried(source, "--key", "k 1", "--key", "k2", "v", "-1") == (0, "v\n-1\n2\n", "")
    assert tried(source, "--json", "v", "-1", "--key", "k") == (0, '["v", "-1", 1]\n', "")


def test_a_mistyped_option_is_no_argument(tried: Try) -> None:
    code, out, err = tried("return 1", "--kye", "k")
    assert (code, out) == (2, "")
    assert "No such option '--kye': write -- before" in err
    assert tried("return ARGV[1]", "--", "--kye")[1] == "--kye\n"


def test_the_work_trees_sprocs_are_there_but_broken_ones(tried: Try) -> None:
    assert tried("return require('lib/double.lua').of(21)") == (0, "42\n", "")
    assert tried("return sproc.call('other.lua', {}, {})") == (0, "the other\n", "")


def test_each_run_starts_from_nothing(tried: Try) -> None:
    for _ in range(2):
        assert tried("return redis.call('INCR', 'counter')")[1] == "1\n"


def test_a_reply_nested_without_end_is_said_so(tried: Try) -> None:
    code, out, err = tried("local t = {}\nt[1] = t\nreturn t")
    assert (code, out) == (1, "")
    assert "the reply of mine.lua is nested too deep" in err


def test_a_scripts_error_ends_with_1_at_its_line(tried: Try) -> None:
    code, out, err = tried("-- one\n-- two\nerror('not today')")
    assert (code, out) == (1, "")
    assert "mine.lua:3: not today" in err
    assert err.count("\n") == 1


def test_the_files_own_problems_end_with_1_all_of_them(tried: Try) -> None:
    code, out, err = tried("-- evnt=set\nreturn 1")
    assert (code, out) == (1, "")
    assert err.startswith("sprocs/mine.lua:1:4: ")
    code, _, err = tried("return 1\nlocal = 2")
    assert code == 1
    assert err.startswith("sprocs/mine.lua:2:")


@pytest.mark.usefixtures("clean_environment")
def test_a_file_outside_any_repository(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alone.lua").write_text("return 'alone'")
    assert run(["try", "alone.lua"]) == 0
    assert capsys.readouterr().out == "alone\n"


@pytest.mark.usefixtures("repo")
def test_a_file_that_is_not_there_ends_with_2(capsys) -> None:
    assert run(["try", "nope.lua"]) == 2
    assert "nope.lua" in capsys.readouterr().err
