"""What a rollback keeps out of a daemon's and a push's way, and what lets it in again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from luasprocs.operations.edit import edit
from luasprocs.operations.rollback import rollback, unpin
from luasprocs.operations.sprocs import live_sproc
from luasprocs.registry.history import read_history
from luasprocs.registry.live import read_live
from luasprocs.registry.pins import pin_of
from luasprocs.server.registry import Registry
from luasprocs.state import requests as control
from tests.gitrepo import GitRepo
from tests.sync.service.service import KEYS, Service, commit_of, live, source_of, stands, state_of
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from tests.servers import Server

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    write(found, a="return 1", b="return 1")
    found.commit("first")
    return found


def write(repo: GitRepo, **sources: str) -> None:
    for name, source in sources.items():
        repo.write(f"sprocs/{name}.lua", source + "\n")


def change(repo: GitRepo, **sources: str) -> str:
    write(repo, **sources)
    return repo.commit("change " + " ".join(sources))


def sources(client: Redis) -> dict[str, str]:
    return {name: source_of(client, name).strip() for name in read_live(Registry(client, KEYS)).sprocs}


def pinned(client: Redis, wanted: str) -> None:
    """Waits until the daemon has looked at a commit and holds on to the pin."""
    until(
        lambda: (found := state_of(client)).commit == wanted and found.state == "pinned", what=lambda: state_of(client)
    )


def rolled_back(server: Server, repo: GitRepo) -> None:
    """The second commit changes a.lua, deletes b.lua and brings c.lua; then all is as at first again."""
    client = server.client()
    with Service(server.url, repo.path):
        live(client, repo.git("rev-parse", "HEAD"))
        (repo.path / "sprocs/b.lua").unlink()
        live(client, change(repo, a="return 2", c="return 2"))
    rollback(Registry(client, KEYS), by="ann@host", why="2 was wrong")


def test_an_unrelated_commit_brings_its_own_and_nothing_else(server: Server, repo: GitRepo) -> None:
    client = server.client()
    rolled_back(server, repo)
    before = {"a.lua": "return 1", "b.lua": "return 1"}
    assert sources(client) == before
    with Service(server.url, repo.path):
        third = change(repo, d="return 3")
        live(client, third)
        pinned(client, third)
        state = state_of(client)
        assert sources(client) == before | {"d.lua": "return 3"}
        assert (state.created, state.updated, state.deleted) == (("c.lua",), ("a.lua",), ("b.lua",))
        assert "by ann@host: 2 was wrong keeps out a.lua, b.lua, c.lua" in state.reason
        fourth = change(repo, a="return 4")
        live(client, fourth)
        pinned(client, fourth)
        assert sources(client) == before | {"a.lua": "return 4", "d.lua": "return 3"}
        assert set(pin_of(read_live(Registry(client, KEYS)).revision).blobs) == {"b.lua", "c.lua"}
        fifth = change(repo, b="return 5", c="return 5")
        live(client, fifth)
        stands(client, "synced")
    assert sources(client) == {"a.lua": "return 4", "b.lua": "return 5", "c.lua": "return 5", "d.lua": "return 3"}
    revision = read_live(Registry(client, KEYS)).revision
    assert (revision.pinned, revision.held) == ("", "")


def test_an_amended_message_and_a_restart_lift_nothing(server: Server, repo: GitRepo) -> None:
    client = server.client()
    rolled_back(server, repo)
    with Service(server.url, repo.path):
        pinned(client, repo.git("rev-parse", "HEAD"))
        repo.git("commit", "--quiet", "--amend", "-m", "another message")
        pinned(client, repo.git("rev-parse", "HEAD"))
        assert sources(client) == {"a.lua": "return 1", "b.lua": "return 1"}
    with Service(server.url, repo.path):
        time.sleep(1.5)  # it looks again
        assert sources(client) == {"a.lua": "return 1", "b.lua": "return 1"}


def test_a_revert_in_git_lifts_it(server: Server, repo: GitRepo) -> None:
    client = server.client()
    rolled_back(server, repo)
    with Service(server.url, repo.path):
        repo.git("revert", "--no-edit", "HEAD")
        live(client, repo.git("rev-parse", "HEAD"))
        stands(client, "synced")
    assert sources(client) == {"a.lua": "return 1", "b.lua": "return 1"}


def test_a_clone_that_lags_behind_lifts_nothing(server: Server, repo: GitRepo, tmp_path: Path) -> None:
    client = server.client()
    repo.git("clone", "--quiet", str(repo.path), str(tmp_path / "old"))
    rolled_back(server, repo)
    with Service(server.url, tmp_path / "old"):
        stands(client, "pinned")
        time.sleep(1.5)
    assert read_live(Registry(client, KEYS)).revision.pinned


@pytest.mark.parametrize("how", ["unpin", "one by one", "sync"])
def test_somebody_says_so(server: Server, repo: GitRepo, how: str) -> None:
    client = server.client()
    registry = Registry(client, KEYS)
    rolled_back(server, repo)
    with Service(server.url, repo.path):
        wanted = change(repo, d="return 3")
        pinned(client, wanted)
        if how == "sync":
            control.request(registry, "sync", "ben@host")
        elif how == "unpin":
            assert unpin(registry, by="ben@host", why="fixed elsewhere") == ("a.lua", "b.lua", "c.lua")
        else:
            unpin(registry, ["a.lua"], by="ben@host")
            until(lambda: source_of(client, "a.lua") == "return 2\n")
            pinned(client, wanted)
            assert sources(client) == {"a.lua": "return 2", "b.lua": "return 1", "d.lua": "return 3"}
            unpin(registry, ["b.lua", "c.lua"], by="ben@host")
        stands(client, "synced")
    assert sources(client) == {"a.lua": "return 2", "c.lua": "return 2", "d.lua": "return 3"}
    told = [(one.action, one.applied_by, one.why) for one in read_history(registry)]
    assert ("rollback to 1", "ann@host", "2 was wrong") in told
    assert how != "unpin" or ("unpin", "ben@host", "fixed elsewhere") in told


def test_one_of_several_is_let_in_without_another_commit(server: Server, repo: GitRepo) -> None:
    client = server.client()
    rolled_back(server, repo)
    wanted = repo.git("rev-parse", "HEAD")
    with Service(server.url, repo.path):
        pinned(client, wanted)
        unpin(Registry(client, KEYS), ["a.lua"], by="ben@host")
        until(lambda: sources(client) == {"a.lua": "return 2", "b.lua": "return 1"}, what=lambda: sources(client))
        pinned(client, wanted)
    with Service(server.url, repo.path):
        pinned(client, wanted)
    assert sources(client) == {"a.lua": "return 2", "b.lua": "return 1"}


def test_one_sproc_alone(server: Server, repo: GitRepo) -> None:
    client = server.client()
    registry = Registry(client, KEYS)
    with Service(server.url, repo.path):
        live(client, repo.git("rev-parse", "HEAD"))
        live(client, change(repo, a="return 2", b="return 2"))
        third = change(repo, c="return 3")
        live(client, third)
        outcome = rollback(registry, by="ann@host", sproc="a.lua")
        assert (outcome.plan.updated, outcome.commit) == (("a.lua",), third)
        pinned(client, third)
        assert sources(client) == {"a.lua": "return 1", "b.lua": "return 2", "c.lua": "return 3"}
        rollback(registry, by="ann@host", sproc="a.lua")  # and back: nothing is kept out any more
        stands(client, "synced")
        assert not read_live(registry).revision.pinned
        live(client, change(repo, a="return 4"))


def test_an_edit_of_what_is_held_waits_for_the_pin(server: Server, repo: GitRepo) -> None:
    client = server.client()
    registry = Registry(client, KEYS)
    rolled_back(server, repo)
    edit(registry, "a.lua", b"return 'edited'\n", base=live_sproc(registry, "a.lua").blob, by="Ann <ann@host>")
    with Service(server.url, repo.path):
        third = change(repo, d="return 3")
        pinned(client, third)
        until(lambda: "the live edit of a.lua waits: a rollback holds it" in state_of(client).reason)
        assert (commit_of(client), repo.git("rev-parse", "HEAD")) == (third, third)
        assert sources(client)["a.lua"] == "return 'edited'"


@pytest.mark.parametrize("more", [False, True], ids=["", "and a commit since"])
def test_what_a_rollback_left_is_put_right_after_changes_by_hand(server: Server, repo: GitRepo, more: bool) -> None:
    """What is held, what was deleted by it, what it has nothing to do with, the registry's own keys; the pin stays."""
    client = server.client()
    registry = Registry(client, KEYS)
    write(repo, other="-- event=set\n-- key=k\nreturn 0")
    repo.commit("other")
    rolled_back(server, repo)
    held = read_live(registry).revision.held
    with Service(server.url, repo.path) as service:
        wanted = change(repo, d="return 3") if more else repo.git("rev-parse", "HEAD")
        pinned(client, wanted)
        before = sources(client)
        assert before == {"a.lua": "return 1", "b.lua": "return 1", "other.lua": before["other.lua"]} | (
            {"d.lua": "return 3"} if more else {}
        )
        for harm in (
            lambda: client.hset(KEYS.name("a.lua"), "source", "return 'by hand'"),
            lambda: client.delete(KEYS.name("b.lua")),
            lambda: client.lrem(KEYS.list, 1, "a.lua"),
            lambda: client.hset(KEYS.name("other.lua"), "key", "another"),
            lambda: client.rpush(KEYS.list, "ghost.lua"),
            lambda: client.delete(KEYS.triggers),
            client.function_flush,
        ):
            generation = read_live(registry).revision.generation
            harm()
            until(lambda: not (found := read_live(registry)).drift and not found.faults and found.about)
            until(lambda: sources(client) == before, what=lambda: sources(client))
            pinned(client, wanted)
            revision = read_live(registry).revision
            assert (revision.held, revision.pinned != "") == (held, True)
            if revision.generation != generation:
                assert read_history(registry, 1)[0].action == "heal"
        assert "repaired: a.lua" in service.output
        live(client, change(repo, a="return 4"))


def test_it_is_told_alone_where_the_host_says_warn(server: Server, repo: GitRepo) -> None:
    client = server.client()
    rolled_back(server, repo)
    with Service(server.url, repo.path, environ={"LUASPROCS_HEAL": "warn"}):
        pinned(client, repo.git("rev-parse", "HEAD"))
        client.hset(KEYS.name("a.lua"), "source", "return 'by hand'")
        until(lambda: "changed by hand: a.lua" in state_of(client).reason, what=lambda: state_of(client))
        assert source_of(client, "a.lua") == "return 'by hand'"
