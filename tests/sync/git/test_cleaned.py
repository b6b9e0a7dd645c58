"""Files on disk as `git add` would store them: git itself is asked what is right."""

from __future__ import annotations

import os

import pytest

from luasprocs.operations.terminal import escaped
from sync.git.made_commit import Label, commit_files, why_dirty
from sync.git.repository import Repository
from tests.gitrepo import GitRepo

LF, CRLF = b"-- key=x\nreturn 1\n", b"-- key=x\r\nreturn 1\r\n"
FILTER = ("filter.up.clean", "tr a-z A-Z"), ("filter.up.smudge", "tr A-Z a-z")


def added(repo):
    """What `git add` stores, by path; the repository's own index stays as it is."""
    repo.git("add", "--all")
    lines = repo.git("ls-files", "-s").splitlines()
    return {line.partition("\t")[2].removeprefix("sprocs/"): line.split()[1] for line in lines if ".lua" in line}


def seen(repo, opened=None):
    found = (opened or Repository.open(repo.path)).worktree("sprocs", ".lua", 1000)
    entries = [entry for entry in found.entries if entry.path.endswith(".lua")]
    for entry in entries:
        assert entry.size == len(found.sources[entry.blob])
        assert repo.git("hash-object", "--stdin", stdin=found.sources[entry.blob]) == entry.blob
    return {entry.path: entry.blob for entry in entries}


@pytest.fixture
def repo(tmp_path, monkeypatch):
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    made = GitRepo(tmp_path / "repo")
    made.write("sprocs/crlf.lua", CRLF)
    made.write("sprocs/lf.lua", LF)
    made.commit("as they are")
    for name in (
        "crlf.lua",
        "lf.lua",
    ):  # touched: git looks into no file that has stayed as it was, whatever came for it
        os.utime(made.path / "sprocs" / name, (1_700_000_000, 1_700_000_000))
    return made


@pytest.mark.parametrize(
    ("attributes", "settings"),
    [
        ("", ()),
        ("", (("core.autocrlf", "true"),)),
        ("", (("core.autocrlf", "input"),)),
        ("*.lua text eol=crlf\n", ()),
        ("*.lua text=auto\n", ()),
        ("*.lua -text\n", (("core.autocrlf", "true"),)),
        ("*.lua crlf\n", ()),
        ("*.lua ident\n", ()),
        ("*.lua filter=up\n", FILTER),
        ("*.lua text working-tree-encoding=UTF-16LE-BOM\n", ()),
        ("*.lua text\n", (("core.safecrlf", "true"), ("core.fsmonitor", "true"))),
    ],
)
def test_the_work_tree_is_what_git_add_would_store(repo, attributes, settings):
    encoding = "utf-16" if "UTF-16" in attributes else "ascii"
    repo.write("sprocs/.gitattributes", attributes)
    repo.write("sprocs/new crlf.lua", CRLF.decode().encode(encoding))
    repo.write("sprocs/sub/new.lua", LF.decode().encode(encoding))
    repo.write("sprocs/id.lua", "-- $Id: 1234 $\nreturn 2\n".encode(encoding))
    repo.write("sprocs/crlf.lua", (CRLF + b"-- more\r\n").decode().encode(encoding))
    if encoding != "ascii":
        repo.write("sprocs/lf.lua", LF.decode().encode(encoding))
    for name, value in settings:
        repo.git("config", name, value)
    index = (repo.path / ".git" / "index").read_bytes()
    objects = sorted((repo.path / ".git" / "objects").rglob("*"))
    opened = Repository.open(repo.path)

    found = seen(repo, opened)

    assert (repo.path / ".git" / "index").read_bytes() == index
    assert sorted((repo.path / ".git" / "objects").rglob("*")) == objects
    assert seen(repo, opened) == found
    repo.git("config", "core.safecrlf", "false")
    assert found == added(repo)


def test_a_rule_that_comes_later_is_seen_though_no_file_changed(repo):
    repo.write("sprocs/new.lua", CRLF)
    opened = Repository.open(repo.path)
    before = seen(repo, opened)
    assert before["new.lua"] == before["crlf.lua"] != before["lf.lua"]
    repo.write(".gitattributes", "new.lua text\n")
    assert seen(repo, opened) == before | {"new.lua": before["lf.lua"]}


@pytest.mark.parametrize("eol", ["lf", "crlf"])
def test_a_commit_of_an_edit_leaves_the_file_as_git_would_check_it_out(repo, eol):
    repo.write(".gitattributes", f"*.lua text eol={eol}\n")
    parent = repo.commit("attributes")
    repo.git("rm", "-q", "--cached", "-r", ".")
    repo.git("reset", "-q", "--hard")
    repo.git("add", "--renormalize", ".")
    parent = repo.commit("renormalized")
    repo.git("rm", "-q", "--cached", "-r", ".")
    repo.git("reset", "-q", "--hard")
    path = repo.path / "sprocs" / "lf.lua"
    assert path.read_bytes() == (CRLF if eol == "crlf" else LF)
    opened, edit = Repository.open(repo.path), LF + b"-- edited\n"
    assert why_dirty(opened, "main", "sprocs/lf.lua", edit) == ""

    sha = commit_files(opened, "main", parent, {"sprocs/lf.lua": edit}, Label(escaped("edit"), "Ann <ann@x>"))

    assert path.read_bytes() == (edit.replace(b"\n", b"\r\n") if eol == "crlf" else edit)
    assert (repo.git("rev-parse", "HEAD"), repo.git("status", "--porcelain")) == (sha, "")
    path.write_bytes(path.read_bytes() + b"-- by hand\r\n")
    assert "not committed" in why_dirty(opened, "main", "sprocs/lf.lua", edit)
