from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import Problem, ProblemsError, RepositoryError, SettingsError
from luasprocs.language.files import SOURCE_LIMIT_BYTES
from luasprocs.language.rules import with_defaults
from luasprocs.language.sproc import git_blob_id
from sync.git.entries import CONFLICT, SPECIAL, SUBMODULE, SYMLINK, Entry
from sync.git.repository import Repository
from sync.reconcile.desired import INDEX, WORKTREE, read_commit, read_entries, read_index, read_worktree
from sync.reconcile.desired_sprocs import check_sprocs, problems_in, read_sprocs
from tests.gitrepo import SETTINGS, GitRepo

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, SETTINGS[name])


@pytest.fixture
def repo(tmp_path):
    return GitRepo(tmp_path / "repo")


def wanted(repo: GitRepo, *files: tuple[str, str | bytes]) -> list[Problem]:
    """Commits files and goes a sync's way through them: the problems that it stops at, none when it gets through."""
    for name, content in files:
        repo.write(name, content)
    repo.commit()
    repository = Repository.open(repo.path)
    desired = read_commit(repository)
    try:
        check_sprocs(repository, desired, read_sprocs(repository, desired, desired.entries))
    except ProblemsError as error:
        assert list(error.problems) == [
            problem for problem in problems_in(repository, desired) if problem.kind == "error"
        ]
        return list(error.problems)
    assert [problem for problem in problems_in(repository, desired) if problem.kind == "error"] == []
    return []


def listen(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of all blobs that are read from now on."""
    asked: list[str] = []
    really = repository.blobs

    def blobs(ids: Iterable[str]) -> dict[str, bytes]:
        asked.extend(wanted := list(ids))
        return really(wanted)

    monkeypatch.setattr(repository, "blobs", blobs)
    return asked


def test_a_commit_wants_its_lua_files_by_blob_and_reads_them(repo):
    source = b"-- event=set\r\n-- key=dream*\r\nreturn 1\r\n"
    assert (
        wanted(repo, ("sprocs/sc1.lua", source), ("sprocs/billing/charge.lua", "return 2"), ("sprocs/README", "x"))
        == []
    )
    repository = Repository.open(repo.path)
    desired = read_commit(repository)
    assert desired.entries == {"sc1.lua": git_blob_id(source), "billing/charge.lua": git_blob_id(b"return 2")}
    assert (desired.commit, desired.branch, desired.folder) == (repository.resolve(), "main", "sprocs")
    (sproc,) = read_sprocs(repository, desired, ["sc1.lua"])
    assert (sproc.name, sproc.source, sproc.blob) == ("sc1.lua", source, git_blob_id(source))
    assert (sproc.values, sproc.commit) == ({"event": "set", "key": "dream*"}, desired.commit.sha)


def test_only_the_blobs_of_the_names_are_read(repo, monkeypatch):
    wanted(
        repo,
        ("sprocs/a.lua", "return 1"),
        ("sprocs/b.lua", "return 2"),
        ("sprocs/lib.lua", "-- library=yes\nreturn {}"),
    )
    repository = Repository.open(repo.path)
    desired = read_commit(repository)
    asked = listen(repository, monkeypatch)
    check_sprocs(repository, desired, read_sprocs(repository, desired, ["b.lua"]))
    assert asked == [git_blob_id(b"return 2")]
    assert read_sprocs(repository, desired, []) == []


def test_names_with_blanks_quotes_globs_and_emoji_are_fine(repo):
    names = ["a b.lua", 'it\'s "q".lua', "*?[a-z]\\.lua", "dream 😴.lua", "-x.lua", ":(top).lua", "ü/ü.lua"]
    assert wanted(repo, *((f"sprocs/{name}", f"return [==[{name}]==]") for name in names)) == []
    desired = read_commit(Repository.open(repo.path))
    assert sorted(desired.entries) == sorted(names)


@pytest.mark.parametrize("name", ["new\nline.lua", "escape\x1b[31m.lua", "tab\t.lua", "delete\x7f.lua", "c1\x9b.lua"])
def test_a_control_character_in_a_name_is_a_problem_that_shows_it_escaped(repo, name):
    (problem,) = wanted(repo, (f"sprocs/{name}", "return 1"), ("sprocs/a.lua", "return 1"))
    assert problem.path == f"sprocs/{name}"
    assert "control character" in problem.message
    assert problem.message.isprintable()


def test_a_name_that_is_no_utf8_is_a_problem(repo):
    (problem,) = wanted(repo, ("sprocs/latin\udce4.lua", "return 1"))
    assert "not UTF-8" in problem.message


@pytest.mark.parametrize(
    ("source", "line", "column", "message"),
    [
        (b"\xef\xbb\xbfreturn 1", 1, 1, "BOM"),
        ("return 1".encode("utf-16"), 1, 1, "UTF-16"),
        (b"return '\0'", 1, 9, "NUL"),
        (b"-- fine\nreturn '\xff'", 2, 9, "not UTF-8"),
        (b"-- evnt=set\nreturn 1", 1, 4, "did you mean 'event'"),
        (b"-- event=get\nreturn 1", 1, 10, "unknown event 'get'"),
        (b"-- event=set\n\nreturn redis.call('GET' 'x')", 3, 25, "expected near"),
        (b"return require('nowhere.lua')", 1, 1, "required library 'nowhere.lua' does not exist"),
    ],
)
def test_a_bad_file_is_a_problem_with_its_place(repo, source, line, column, message):
    problems = wanted(repo, ("sprocs/sub/bad.lua", source), ("sprocs/good.lua", "return 1"))
    assert problems
    assert problems[0].path == "sprocs/sub/bad.lua"
    assert problems[0].line == line
    assert message in problems[0].message
    assert "require" in message or "library" in message or problems[0].column == column


def test_crlf_is_fine_and_counts_as_one_line_end(repo):
    assert wanted(repo, ("sprocs/a.lua", b"-- event=set\r\nreturn 1\r\n")) == []
    (problem,) = wanted(repo, ("sprocs/a.lua", b"-- event=set\r\n\r\nreturn return\r\n"))
    assert problem.line == 3


def test_symlinks_and_submodules_are_problems_and_never_followed(repo, tmp_path):
    other = GitRepo(tmp_path / "other")
    other.write("x.lua", "return 1")
    other.commit()
    repo.write("sprocs/a.lua", "return 1")
    (repo.path / "sprocs" / "link.lua").symlink_to("/etc/passwd")
    for name in ("sub.lua", "vendored"):
        repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.path), f"sprocs/{name}")
    problems = wanted(repo)
    assert [(problem.path, problem.message.split(":")[0].split(",")[0]) for problem in problems] == [
        ("sprocs/link.lua", "the file is a symlink"),
        ("sprocs/sub.lua", "this is a submodule"),
        ("sprocs/vendored", "this is a submodule"),
    ]


def test_a_file_of_10_mb_is_a_problem_and_is_not_read(repo, monkeypatch):
    big = b"-" * (10 * 1024 * 1024)
    (problem,) = wanted(repo, ("sprocs/big.lua", big), ("sprocs/a.lua", "return 1"))
    assert str(problem).startswith("sprocs/big.lua:1:1: the file has 10,485,760 bytes, more than 1,048,576")
    repository = Repository.open(repo.path)
    asked = listen(repository, monkeypatch)
    problems_in(repository, read_commit(repository))
    assert git_blob_id(big) not in asked
    for read in (read_index, read_worktree):
        assert [str(found) for found in problems_in(repository, read(repository))] == [str(problem)]


def test_a_file_of_exactly_the_limit_is_read(repo):
    source = b"return 1 --".ljust(SOURCE_LIMIT_BYTES, b"-")
    assert wanted(repo, ("sprocs/a.lua", source)) == []


def test_names_that_clash_where_case_does_not_count_are_problems(repo):
    problems = wanted(
        repo, ("sprocs/Pay.lua", "return 1"), ("sprocs/pay.lua", "return 2"), ("sprocs/b.lua", "return 3")
    )
    assert len(problems) == 1
    assert problems[0].path in {"sprocs/Pay.lua", "sprocs/pay.lua"}
    assert "case" in problems[0].message


def test_every_problem_of_every_file_is_told_at_once(repo):
    (repo.path / "sprocs").mkdir()
    (repo.path / "sprocs" / "link.lua").symlink_to("x")
    problems = wanted(
        repo,
        ("sprocs/clash.lua", "return return"),
        ("sprocs/Clash.lua", "-- evnt=set\nreturn return"),
        ("sprocs/header.lua", "-- event=get\n-- value=maybe\nreturn 1"),
        ("sprocs/syntax.lua", "return return"),
        ("sprocs/lib.lua", "-- library=maybe\nreturn {}"),
        ("sprocs/uses.lua", "local a, b = require('lib.lua'), require('gone.lua')\nreturn 1"),
        ("sprocs/bad\x01.lua", "return 1"),
        ("sprocs/good.lua", "return 1"),
    )
    assert problems == sorted(problems)
    found = [(problem.path, problem.line) for problem in problems]
    assert sorted(found) == sorted(
        [
            ("sprocs/clash.lua", 1),  # its name
            ("sprocs/clash.lua", 1),  # its syntax
            ("sprocs/Clash.lua", 1),
            ("sprocs/Clash.lua", 2),
            ("sprocs/header.lua", 1),
            ("sprocs/header.lua", 2),
            ("sprocs/syntax.lua", 1),
            ("sprocs/lib.lua", 1),
            ("sprocs/uses.lua", 1),  # gone.lua; lib.lua is told about by itself
            ("sprocs/bad\x01.lua", 1),
            ("sprocs/link.lua", 1),
        ]
    )


def test_a_problem_anywhere_stops_the_reading_of_any_sproc(repo):
    (repo.path / "sprocs").mkdir()
    (repo.path / "sprocs" / "link.lua").symlink_to("x")
    wanted(repo, ("sprocs/a.lua", "return 1"))
    repository = Repository.open(repo.path)
    desired = read_commit(repository)
    for attempt in (
        lambda: read_sprocs(repository, desired, ["a.lua"]),
        lambda: read_sprocs(repository, desired, []),
        lambda: check_sprocs(repository, desired, []),
    ):
        with pytest.raises(ProblemsError, match=r"^sprocs/link\.lua:1:1: the file is a symlink"):
            attempt()


def test_a_changed_sproc_may_require_a_library_that_did_not_change(repo):
    lib, plain = ("sprocs/lib.lua", "-- library=yes\nreturn {}"), ("sprocs/plain.lua", "return 1")
    wanted(
        repo, lib, plain, ("sprocs/a.lua", "return require('lib.lua')"), ("sprocs/b.lua", "return require('plain.lua')")
    )
    repository = Repository.open(repo.path)
    desired = read_commit(repository)
    check_sprocs(repository, desired, read_sprocs(repository, desired, ["a.lua"]))
    with pytest.raises(ProblemsError, match=r"^sprocs/b\.lua:1:\d+: .*no library=yes"):
        check_sprocs(repository, desired, read_sprocs(repository, desired, ["b.lua"]))


def test_misuse_is_told_by_a_check_and_stops_no_sync(repo):
    assert wanted(repo, ("sprocs/a.lua", "print('x')\nreturn 1")) == []
    repository = Repository.open(repo.path)
    (problem,) = problems_in(repository, read_commit(repository))
    assert (problem.path, problem.line, problem.kind) == ("sprocs/a.lua", 1, "misuse")


def test_a_check_of_some_names_tells_only_of_them(repo):
    wanted(repo, ("sprocs/a.lua", "return return"), ("sprocs/b.lua", "-- evnt=1\nreturn 1"))
    repository = Repository.open(repo.path)
    assert [problem.path for problem in problems_in(repository, read_commit(repository), ["b.lua"])] == ["sprocs/b.lua"]


# -- which folder, which settings


def test_the_commit_s_own_settings_say_which_folder(repo):
    wanted(repo, ("sprocs/a.lua", "return 1"))
    first = repo.git("rev-parse", "HEAD")
    wanted(repo, ("lua/b.lua", "return 2"), ("luasprocs.toml", 'folder = "./lua/"\nowner = "me"\n'))
    repo.write("luasprocs.toml", 'folder = "elsewhere"')
    repository = Repository.open(repo.path)
    assert read_commit(repository).folder == "lua"
    assert read_commit(repository).settings.owner == "me"
    assert list(read_commit(repository).entries) == ["b.lua"]
    assert list(read_commit(repository, first).entries) == ["a.lua"]


def test_settings_that_are_being_saved_are_waited_for(repo, monkeypatch):
    path = repo.write("luasprocs.toml", "")
    repo.write("lua/a.lua", "return 1")

    def goes_on(_: float) -> None:
        path.write_text('folder = "lua"\n')
        os.utime(path, (time.time() - 3600, time.time() - 3600))

    monkeypatch.setattr("sync.git.worktree.SETTLED_S", 0.0)
    monkeypatch.setattr("sync.git.worktree.EMPTY_SETTLED_S", 60.0)
    monkeypatch.setattr("time.sleep", goes_on)
    assert list(read_worktree(Repository.open(repo.path)).entries) == ["a.lua"]


def test_a_missing_folder_is_told_from_an_empty_one(repo):
    repo.write("other/a.lua", "return 1")
    repo.commit()
    found = read_commit(Repository.open(repo.path))
    assert found.entries == {}
    assert re.search(r"has no folder 'sprocs'.*luasprocs\.toml", found.absent)
    with pytest.raises(RepositoryError, match=r"no folder 'sprocs'.*luasprocs\.toml"):
        read_worktree(Repository.open(repo.path))


def test_a_folder_without_lua_files_is_an_empty_wish(repo):
    assert wanted(repo, ("sprocs/README", "none yet")) == []
    assert read_commit(Repository.open(repo.path)).entries == {}


def test_a_broken_settings_file_stops_before_anything_is_read(repo):
    repo.write("sprocs/a.lua", "return 1")
    repo.write("luasprocs.toml", 'foldr = "x"')
    repo.commit()
    for read in (read_commit, read_index, read_worktree):
        with pytest.raises(
            SettingsError, match=r"^luasprocs\.toml:1:1: unknown setting 'foldr'; did you mean 'folder'"
        ):
            read(Repository.open(repo.path))


def test_the_top_as_folder_gives_plain_paths(repo):
    (problem,) = wanted(repo, ("luasprocs.toml", 'folder = "."'), ("a.lua", "return return"), ("sub/b.lua", "return 1"))
    assert problem.path == "a.lua"
    assert sorted(read_commit(Repository.open(repo.path)).entries) == ["a.lua", "sub/b.lua"]


def test_branch_is_the_one_that_was_named(repo):
    wanted(repo, ("sprocs/a.lua", "return 1"))
    repo.git("branch", "side")
    repo.git("tag", "v1")
    repository = Repository.open(repo.path)
    branches = [read_commit(repository, name).branch for name in (None, "side", "refs/heads/side", "v1", "HEAD")]
    assert branches == ["main", "side", "side", "", ""]


# -- index and work tree


def test_index_and_work_tree_are_read_apart(repo):
    wanted(repo, ("sprocs/a.lua", "return 'committed'"))
    repo.write("sprocs/a.lua", "return 'staged'")
    repo.git("add", "--all")
    repo.write("sprocs/a.lua", "return 'saved'")
    repo.write("sprocs/new.lua", "return 'new'")
    repository = Repository.open(repo.path)

    def sources(desired):
        return {sproc.name: sproc.source for sproc in read_sprocs(repository, desired, desired.entries)}

    assert sources(read_commit(repository)) == {"a.lua": b"return 'committed'"}
    assert sources(read_index(repository)) == {"a.lua": b"return 'staged'"}
    assert sources(read_worktree(repository)) == {"a.lua": b"return 'saved'", "new.lua": b"return 'new'"}
    assert (read_index(repository).commit.sha, read_worktree(repository).commit.sha) == (INDEX, WORKTREE)


def test_index_and_work_tree_need_no_commit(repo):
    repo.write("sprocs/a.lua", "return return")
    repo.git("add", "--all")
    repository = Repository.open(repo.path)
    for read in (read_index, read_worktree):
        assert [problem.path for problem in problems_in(repository, read(repository))] == ["sprocs/a.lua"]


# -- pure


def test_every_kind_that_is_no_file_has_its_own_words():
    files = [Entry(f"{mode}.lua", mode, "1" * 40, None) for mode in (SYMLINK, SUBMODULE, CONFLICT, SPECIAL)]
    found = read_entries(files, "sprocs")
    assert len({problem.message for problem in found.problems}) == len(files)
    assert found.unreadable == found.entries.keys()


def test_defaults_fill_in_what_a_header_does_not_say_and_fits():
    defaults = {"owner": "team", "timezone": "Europe/Berlin", "memory": "1GB"}
    assert with_defaults({}, defaults) == {"owner": "team"}
    assert with_defaults({"owner": "me", "cron": "@daily"}, defaults) == {
        "owner": "me",
        "cron": "@daily",
        "timezone": "Europe/Berlin",
    }
    assert with_defaults({"runasync": "yes"}, defaults) == {"owner": "team", "runasync": "yes", "memory": "1GB"}


def test_defaults_reach_the_sprocs(repo):
    toml = '[defaults]\nowner = "team"\ntimeout = "5s"\nreadonly = true\n'
    assert wanted(repo, ("luasprocs.toml", toml), ("sprocs/a.lua", "-- timeout=1s\nreturn 1")) == []
    repository = Repository.open(repo.path)
    (sproc,) = read_sprocs(repository, read_commit(repository), ["a.lua"])
    assert sproc.values == {"owner": "team", "timeout": "1s", "readonly": "yes"}
