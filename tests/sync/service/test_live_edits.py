"""Edits of live sprocs: at once in Redis, then in git by one daemon; conflicts, undo, dirty files, kills, remotes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import pytest

from luasprocs.errors import EditConflictError, NoSprocError, ProblemsError, RegistryError
from luasprocs.operations.edit import create, edit, edit_metadata, undo
from luasprocs.operations.rollback import rollback
from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.server.registry import Registry
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.live_edits import commit_pending
from sync.reconcile.syncer import Options, Syncer
from tests.gitrepo import GitRepo
from tests.sync.service.service import KEYS, Service, commit_of, live, source_of, stands, state_of
from tests.until import until

pytestmark = pytest.mark.timeout(120)
EVENT = "-- copies\r\n-- event=set\r\n-- key=dream*\r\nredis.call('SET', 'copy', KEYS[1])\r\n"
ANN = "Ann Editor <ann@example.com>"


@pytest.fixture
def repo(tmp_path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    found.write("sprocs/a.lua", EVENT)
    found.write("sprocs/b.lua", "return 1\n")
    found.write("notes.txt", "notes\n")
    found.commit("first")
    return found


def blob_of(client, name):
    return read_sprocs(Registry(client, KEYS), [name])[0].blob


def wish(client, name="a.lua", **changes):
    edit_metadata(Registry(client, KEYS), name, changes, base=blob_of(client, name), by=ANN)


def committed(client, repository, desired):
    registry = Registry(client, KEYS)
    return commit_pending(registry, read_live(registry), repository, desired, claim="tests").sha


def edited(client):
    return [one.name for one in edits_of(read_live(Registry(client, KEYS)))]


def test_a_new_sproc_is_kept_by_a_sync_and_committed(server, repo):
    client, registry = server.client(), Registry(server.client(), KEYS)
    once = [sys.executable, "-m", "sync.cli", "--redis", server.url]
    run = partial(subprocess.run, cwd=repo.path, env=repo.environ, capture_output=True, text=True)
    assert run([*once, "sync"]).returncode == 0
    create(registry, "new/c.lua", b"return 3\n", by=ANN, check=lambda _: None)
    create(registry, "d.lua", b"return 'live'\n", by=ANN, check=lambda _: None)
    repo.write("sprocs/d.lua", "return 'git'\n")
    repo.commit("of the same name")
    said = run([*once, "sync"]).stdout
    assert "kept the live edit of d.lua (git has changed it, too" in said
    assert "kept the live edit of new/c.lua" in said
    assert "new/c.lua (git has changed it" not in said
    repo.write("sprocs/new/c.lua", "return 3\n")  # as an editor has saved it
    first = repo.git("rev-parse", "HEAD")
    with Service(server.url, repo.path):
        until(lambda: repo.git("rev-parse", "HEAD") != first)
        until(lambda: edited(client) == ["d.lua"])
        assert "the live edit of d.lua waits" in state_of(client).reason
    assert repo.git("log", "-1", "--format=%an <%ae>%n%s") == f"{ANN}\nAdd sprocs/new/c.lua"
    assert repo.git("status", "--porcelain") == ""
    merged = run([*once, "edit", "--merge", "d.lua"], env={**repo.environ, "EDITOR": "cat"})
    assert "return 'live'" in merged.stdout
    assert "return 'git'" in merged.stdout


def test_an_edit_that_the_host_reverts_is_told(server, repo):
    client = server.client()
    with Service(server.url, repo.path, environ={"LUASPROCS_LIVE_EDITS": "revert"}) as service:
        live(client, repo.git("rev-parse", "HEAD"))
        stands(client, "synced")
        wish(client, key="nap*")
        service.until("replaced the live edit of a.lua")
    assert edited(client) == []


def test_at_once_in_redis_and_a_commit_within_a_second(server, repo):
    client = server.client()
    with Service(server.url, repo.path, environ={"LUASPROCS_INTERVAL": "1h"}):
        first = repo.git("rev-parse", "HEAD")
        live(client, first)
        stands(client, "synced")
        time.sleep(0.5)
        repo.write("notes.txt", "changed\n")
        repo.write("new.txt", "new\n")
        repo.git("add", "new.txt")
        wish(client, key="nap*")
        # A new trigger acts as soon as a daemon has subscribed to it.
        until(lambda: client.set("nap:1", "x") and client.get("copy") == b"nap:1")
        until(lambda: repo.git("rev-parse", "HEAD") != first)
        until(lambda: not edited(client))
        made = repo.git("rev-parse", "HEAD")
        live(client, made)
    assert repo.git("log", "-1", "--format=%an <%ae>%n%s%n%b") == (
        f"{ANN}\nEdit sprocs/a.lua: key dream* -> nap*\nEdited-live-by: {ANN}\n"
    )
    assert repo.git("rev-parse", "HEAD~1") == first
    assert (repo.path / "sprocs/a.lua").read_bytes() == EVENT.replace("dream", "nap").encode()
    assert set(repo.git("status", "--porcelain").splitlines()) == {" M notes.txt", "A  new.txt"}
    assert repo.git("show", "--stat", "--format=", "HEAD").count("|") == 1
    assert repo.git("fsck", "--strict") == ""


def test_under_autocrlf_a_commit_has_lf_and_the_work_tree_crlf(server, repo):
    client = server.client()
    repo.git("config", "core.autocrlf", "true")
    repo.write("sprocs/b.lua", "-- timeout=1s\r\nreturn 1\r\n")
    first = repo.commit("checked out as on Windows")
    with Service(server.url, repo.path, environ={"LUASPROCS_INTERVAL": "1h"}):
        live(client, first)
        stands(client, "synced")
        assert source_of(client, "b.lua") == "-- timeout=1s\nreturn 1\n"
        wish(client, "b.lua", timeout="2s")
        until(lambda: repo.git("rev-parse", "HEAD") != first)
        until(lambda: not edited(client))
        live(client, repo.git("rev-parse", "HEAD"))
    assert repo.git("show", "HEAD:sprocs/b.lua") == "-- timeout=2s\nreturn 1"
    left = (repo.path / "sprocs/b.lua").read_bytes()
    assert repo.git("status", "--porcelain") == ""
    (repo.path / "sprocs/b.lua").unlink()
    repo.git("checkout", "--", "sprocs/b.lua")
    assert left == (repo.path / "sprocs/b.lua").read_bytes() == b"-- timeout=2s\r\nreturn 1\r\n"


def test_compare_and_set(server, repo):
    client = server.client()
    once = Service(server.url, repo.path, "--once")
    assert once.spawn().wait() == 0
    base = blob_of(client, "a.lua")
    edit_metadata(Registry(client, KEYS), "a.lua", {"timeout": "2s"}, base=base, by=ANN)
    with pytest.raises(EditConflictError) as error:
        edit(Registry(client, KEYS), "a.lua", b"return 'mine'\n", base=base, by="ben@host")
    assert b"timeout=2s" in error.value.theirs
    with pytest.raises(ProblemsError):
        edit(Registry(client, KEYS), "a.lua", b"return return\n", base=blob_of(client, "a.lua"), by=ANN)
    with pytest.raises(ProblemsError):
        wish(client, tiemout="1s")
    with pytest.raises(NoSprocError):
        edit(Registry(client, KEYS), "none.lua", b"return 1", base="", by=ANN)
    assert edited(client) == ["a.lua"]
    assert state_of(client).drift == ()
    undo(Registry(client, KEYS), "a.lua", by=ANN)
    assert edited(client) == []
    assert source_of(client, "a.lua") == EVENT
    with pytest.raises(RegistryError, match="no live edit to undo"):
        undo(Registry(client, KEYS), "a.lua", by=ANN)


def test_a_sync_keeps_an_edit_even_if_git_has_changed_the_file(server, repo):
    client = server.client()
    sync = [sys.executable, "-m", "sync.cli", "--redis", server.url, "sync"]
    subprocess.run(sync, cwd=repo.path, check=True, env=repo.environ, capture_output=True)
    wish(client, timeout="2s")
    repo.write("sprocs/b.lua", "return 2\n")
    repo.commit("something else")
    done = subprocess.run(sync, cwd=repo.path, check=True, env=repo.environ, capture_output=True, text=True)
    assert "! kept the live edit of a.lua" in done.stdout
    assert edited(client) == ["a.lua"]
    assert "timeout=2s" in source_of(client, "a.lua")
    repo.write("sprocs/a.lua", EVENT + "-- more\n")
    repo.commit("the file itself")
    done = subprocess.run(sync, cwd=repo.path, check=True, env=repo.environ, capture_output=True, text=True)
    assert "kept the live edit of a.lua (git has changed it, too" in done.stdout
    assert edited(client) == ["a.lua"]
    assert "timeout=2s" in source_of(client, "a.lua")
    wish(client, timeout="3s")
    subprocess.run([*sync, "--discard-edits"], cwd=repo.path, check=True, env=repo.environ, capture_output=True)
    assert source_of(client, "a.lua") == EVENT + "-- more\n"
    wish(client, timeout="4s")
    rollback(Registry(client, KEYS), 1, by="ann@host")
    assert edited(client) == []
    assert source_of(client, "a.lua") == EVENT


@pytest.mark.parametrize("mode", ["commit", "keep"])
def test_an_edit_that_git_has_overtaken_waits_with_both_texts_kept(server, repo, mode):
    client = server.client()
    registry = Registry(client, KEYS)
    with Service(server.url, repo.path, environ={"LUASPROCS_LIVE_EDITS": "keep"}):
        live(client, repo.git("rev-parse", "HEAD"))
        edit(registry, "b.lua", b"return 'edited'\n", base=blob_of(client, "b.lua"), by=ANN)
    repo.write("sprocs/b.lua", "return 'git'\n")
    repo.write("sprocs/c.lua", "return 'c'\n")
    second = repo.commit("in git meanwhile")
    with Service(server.url, repo.path, environ={"LUASPROCS_LIVE_EDITS": mode}):
        live(client, second)  # all else of it
        until(lambda: "the live edit of b.lua waits" in state_of(client).reason)
        assert "luasprocs edit --merge" in state_of(client).reason
        time.sleep(1.5)  # it looks again
        assert (source_of(client, "b.lua"), source_of(client, "c.lua")) == ("return 'edited'\n", "return 'c'\n")
        assert edited(client) == ["b.lua"]
        assert repo.git("rev-parse", "HEAD") == second
        repo.write("sprocs/c.lua", "return (\n")
        repo.commit("broken")
        until(lambda: state_of(client).state == "refused")
        assert "luasprocs edit --merge" in state_of(client).why_uncommitted("b.lua"), "beside why the commit is refused"
        repo.write("sprocs/c.lua", "return 'c'\n")
        repo.commit("mended")
        undo(registry, "b.lua", by=ANN)
        until(lambda: source_of(client, "b.lua") == "return 'git'\n")
        until(lambda: not state_of(client).reason)


def test_a_file_with_changes_waits_and_says_so(server, repo):
    client = server.client()
    with Service(server.url, repo.path):
        live(client, repo.git("rev-parse", "HEAD"))
        repo.write("sprocs/a.lua", EVENT + "-- unsaved thoughts\n")
        wish(client, timeout="2s")
        until(lambda: "has changes that are not committed" in state_of(client).reason)
        assert edited(client) == ["a.lua"]
        assert "unsaved thoughts" in (repo.path / "sprocs/a.lua").read_text()
        repo.git("checkout", "--", "sprocs/a.lua")
        until(lambda: not edited(client))
        assert repo.git("status", "--porcelain") == ""
        (repo.path / ".git" / "index.lock").write_text("")
        wish(client, timeout="3s")
        until(lambda: "index.lock" in state_of(client).reason)
        (repo.path / ".git" / "index.lock").unlink()
        until(lambda: not edited(client))
        assert "timeout=3s" in repo.git("show", "HEAD:sprocs/a.lua")


def test_where_git_changed_the_header_too_both_are_kept(server, repo):
    client = server.client()
    with Service(server.url, repo.path, environ={"LUASPROCS_LIVE_EDITS": "keep"}):
        live(client, repo.git("rev-parse", "HEAD"))
        wish(client, timeout="2s")
        time.sleep(0.5)
        assert edited(client) == ["a.lua"]
    repo.write("sprocs/a.lua", EVENT.replace("-- copies", "-- copies what was dreamt"))
    repo.commit("in git meanwhile")
    with Service(server.url, repo.path):
        until(lambda: not edited(client))
        until(lambda: "timeout=2s" in source_of(client, "a.lua"))
    text = repo.git("show", "HEAD:sprocs/a.lua")
    assert "what was dreamt" in text
    assert "timeout=2s" in text


@pytest.mark.parametrize(
    ("in_git", "waits"), [("-- timeout=9s", True), ("-- timeout=2s", False), ("-- retries=3", False)]
)
def test_where_git_changed_the_same_key_somebody_decides(server, repo, in_git, waits):
    client, repository = server.client(), Repository.open(repo.path)
    syncer = Syncer(Registry(client, KEYS), repository, Options(discard_edits=False))
    syncer.sync(read_commit(repository))
    wish(client, timeout="2s")
    edit = source_of(client, "a.lua")
    repo.write("sprocs/a.lua", EVENT.replace("-- copies", f"-- copies\r\n{in_git}"))
    repo.commit("in git meanwhile")
    syncer.sync(read_commit(repository))
    registry, desired = Registry(client, KEYS), read_commit(repository)
    done = commit_pending(registry, read_live(registry), repository, desired, claim="tests")
    if waits:
        assert (done.sha, edited(client), source_of(client, "a.lua")) == ("", ["a.lua"], edit)
        assert "sprocs/a.lua was changed in git, too" in done.waiting["a.lua"]
    else:
        syncer.sync(read_commit(repository))
        text = source_of(client, "a.lua")
        assert (text.count("timeout=2s"), in_git in text, edited(client)) == (1, True, [])


@pytest.mark.parametrize("second", [{"key": "nap*"}, {"timeout": None}, {"timeout": "2s"}])
def test_an_edit_between_the_commit_of_the_one_before_and_its_sync_stays(server, repo, second):
    client, repository = server.client(), Repository.open(repo.path)
    syncer = Syncer(Registry(client, KEYS), repository)
    follow = replace(syncer, options=Options(discard_edits=False))
    first = read_commit(repository)
    syncer.sync(first)
    wish(client, timeout="1s")
    assert committed(client, repository, first)
    wish(client, **second)
    last = source_of(client, "a.lua")
    follow.sync(read_commit(repository))
    assert source_of(client, "a.lua") == last
    follow.sync(read_commit(repository))  # as often as a daemon does
    assert committed(client, repository, read_commit(repository))
    follow.sync(read_commit(repository))
    assert source_of(client, "a.lua") == last == repo.git("show", "HEAD:sprocs/a.lua") + "\n"
    assert not read_live(Registry(client, KEYS)).sprocs["a.lua"].edit
    said = {"key": "key dream* -> nap*", "timeout": f"timeout 1s -> {second.get('timeout') or 'none'}"}
    assert repo.git("log", "-1", "--format=%s") == f"Edit sprocs/a.lua: {said[next(iter(second))]}"


def test_edits_in_quick_succession_all_become_commits(server, repo):
    client = server.client()
    with Service(server.url, repo.path):
        live(client, repo.git("rev-parse", "HEAD"))
        for number in range(60):
            wish(client, timeout=f"{number + 1}s", key=f"nap:{number}*")
            wish(client, description=f"edit {number}")
            time.sleep(number % 6 / 20)
        until(lambda: f"-- description=edit {number}" in repo.git("show", "HEAD:sprocs/a.lua"))
        until(lambda: not edited(client))
    text = repo.git("show", "HEAD:sprocs/a.lua")
    assert "-- timeout=60s" in text
    assert "-- key=nap:59*" in text
    assert text.strip() == source_of(client, "a.lua").strip()


def test_what_is_edited_back_is_no_edit(server, repo):
    client = server.client()
    Syncer(Registry(client, KEYS), Repository.open(repo.path)).sync(read_commit(Repository.open(repo.path)))
    wish(client, timeout="1s")
    wish(client, timeout=None)
    assert edited(client) == []
    with pytest.raises(RegistryError, match="no live edit to undo"):
        undo(Registry(client, KEYS), "a.lua", by=ANN)
    with Service(server.url, repo.path):
        until(lambda: not read_live(Registry(client, KEYS)).sprocs["a.lua"].edit)
    assert repo.git("rev-list", "--count", "HEAD") == "1"


def test_two_daemons_make_one_commit_and_a_remote_gets_it(server, repo, tmp_path):
    client = server.client()
    hub = tmp_path / "hub.git"
    repo.git("clone", "--quiet", "--bare", str(repo.path), str(hub))
    bare = GitRepo(hub)
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    options = ("--remote", f"file://{hub}", "--branch", "main")
    with Service(server.url, places[0], *options), Service(server.url, places[1], *options):
        live(client, repo.git("rev-parse", "HEAD"))
        for number in range(3):
            wish(client, timeout=f"{number + 2}s")
            until(lambda: not edited(client))
        until(lambda: "timeout=4s" in bare.git("show", "main:sprocs/a.lua"))
        # Somebody pushes at the same time: the edit comes on top of that.
        repo.git("pull", "--quiet", str(hub), "main")
        repo.write("sprocs/b.lua", "return 'pushed'\n")
        repo.commit("pushed")
        wish(client, timeout="9s")
        subprocess.run(["git", "push", "--quiet", str(hub), "main"], cwd=repo.path, env=repo.environ, check=False)
        until(lambda: not edited(client))
        until(lambda: "timeout=9s" in bare.git("show", "main:sprocs/a.lua"))
    log = bare.git("log", "--format=%s", "main").splitlines()
    assert sum(line.startswith("Edit ") for line in log) == 4


def test_killed_at_any_git_command_the_next_start_converges(server, server_kind, repo, tmp_path):
    """A `git` on PATH that kills the daemon before its n-th command that writes; every second n on each server."""
    client = server.client()
    real = shutil.which("git")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").write_text(
        '#!/bin/sh\ncase "$1" in read-tree|write-tree|commit-tree|update-index|update-ref|hash-object)\n'
        f"n=$(cat {tmp_path}/left 2>/dev/null || echo 99); n=$((n-1)); echo $n > {tmp_path}/left\n"
        f'[ $n -le 0 ] && kill -9 $PPID && exit 1\n;; esac\nexec {real} "$@"\n'
    )
    (folder / "git").chmod(0o755)
    import os

    path = {"PATH": f"{folder}:{os.environ['PATH']}"}
    with Service(server.url, repo.path):
        live(client, repo.git("rev-parse", "HEAD"))
    deaths = 0
    for step in range(1 if server_kind == "valkey" else 2, 9, 2):
        wish(client, timeout=f"{step + 1}s")
        (tmp_path / "left").write_text(str(step))
        service = Service(server.url, repo.path, environ=path).spawn()
        try:
            deadline = time.monotonic() + 10
            while service.running and edited(client) and time.monotonic() < deadline:
                time.sleep(0.02)
            deaths += not service.running
        finally:
            service.kill()
        (tmp_path / "left").write_text("99")
        client.delete(KEYS.edit_claim)
        with Service(server.url, repo.path):
            until(lambda: not edited(client))
        assert repo.git("status", "--porcelain") == ""
        assert f"timeout={step + 1}s" in repo.git("show", "HEAD:sprocs/a.lua")
        assert commit_of(client) == repo.git("rev-parse", "HEAD")
    assert deaths >= 2
    assert repo.git("fsck", "--strict") == ""


def test_why_an_edit_waits_is_said_by_a_daemon_that_has_not_the_claim_too(server, repo):
    client, repository = server.client(), Repository.open(repo.path)
    registry, desired = Registry(client, KEYS), read_commit(repository)
    Syncer(registry, repository).sync(desired)
    wish(client, timeout="2s")
    repo.write("sprocs/a.lua", EVENT + "-- at work\n")
    client.set(KEYS.edit_claim, "mine")
    found = commit_pending(registry, read_live(registry), repository, desired, claim="another's")
    assert "has changes that are not committed" in found.waiting["a.lua"]
    assert client.get(KEYS.edit_claim) == b"mine"
    assert found == commit_pending(registry, read_live(registry), repository, desired, claim="mine")


def test_a_name_with_a_blank_is_committed_too(server, repo):
    client = server.client()
    repo.write("sprocs/a b.lua", "-- event=set\n-- key=x*\nreturn 1\n")
    repo.commit("a name with a blank")
    with Service(server.url, repo.path):
        live(client, repo.git("rev-parse", "HEAD"))
        wish(client, "a b.lua", timeout="7s")
        until(lambda: not edited(client))
    assert "timeout=7s" in repo.git("show", "HEAD:sprocs/a b.lua")
    assert repo.git("status", "--porcelain") == ""
