"""`luasprocs status`: what is live, and whether it is what git wants."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from luasprocs.keys import Keys

if TYPE_CHECKING:
    from tests.cli.shell import Shell

FIELDS = [
    *("commit", "generation", "branch", "applied_at", "count"),
    *("in_sync", "drift", "pinned", "daemons", "gaps"),
]


def test_in_sync(shell: Shell) -> None:
    commit = shell.commit(a="return 1", b="return 2")
    shell.ok("sync")

    said = shell.ok("status", "--json").json

    assert list(said) == FIELDS
    assert datetime.fromisoformat(said["applied_at"]).tzinfo is not None
    del said["applied_at"]
    assert said == {
        "commit": commit,
        "generation": 1,
        "branch": "main",
        "count": 2,
        "in_sync": True,
        "drift": [],
        "pinned": None,
        "daemons": [],
        "gaps": [],
    }
    assert shell.ok("status").out.endswith("in sync\n")


def test_never_synced(shell: Shell) -> None:
    shell.commit(a="return 1")
    said = shell("status")
    assert said.code == 1
    assert "nothing was ever synced" in said.out
    empty = shell("status", "--json")
    assert empty.code == 1
    assert list(empty.json) == FIELDS
    assert (empty.json["in_sync"], empty.json["commit"], empty.json["generation"]) == (False, None, 0)


def test_a_commit_that_is_not_live_yet(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    commit = shell.commit(a="return 2")
    said = shell("status")
    assert said.code == 1
    assert f"wants {commit[:10]}" in said.out
    assert "in sync" not in said.out
    assert not shell("status", "--json").json["in_sync"]


def test_an_edit_by_hand_is_named(shell: Shell) -> None:
    shell.commit(a="return 1", b="return 2")
    shell.ok("sync")
    shell.redis.hset(Keys().name("b.lua"), "source", "return 'by hand'")

    said = shell("status")

    assert said.code == 1
    assert any("b.lua" in line for line in said.out.splitlines() if line.startswith("drift"))
    assert shell("status", "--json").json["drift"] == ["b.lua"]


def test_a_flushed_server(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.flushall()
    assert shell("status").code == 1
    assert not shell("status", "--json").json["in_sync"]


def test_flushed_functions(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.execute_command("FUNCTION", "FLUSH")

    said = shell("status", "--json")

    assert said.code == 1
    assert len(said.json["drift"]) == 1
    assert "engine" in said.json["drift"][0]


def test_a_rollback_is_pinned_until_the_next_sync(shell: Shell) -> None:
    old = shell.commit(a="return 1")
    shell.ok("sync")
    new = shell.commit(a="return 2")
    shell.ok("sync")
    shell.ok("rollback")

    said = shell("status", "--json")

    assert said.code == 1
    assert (said.json["commit"], said.json["pinned"], said.json["in_sync"]) == (old, new, False)
    assert f"rolled back from {new[:10]}" in shell("status").out
    shell.ok("sync")
    assert shell.ok("status", "--json").json["pinned"] is None


def test_it_says_what_is_live_without_a_repository(shell: Shell, monkeypatch) -> None:
    commit = shell.commit(a="return 1")
    shell.ok("sync")
    monkeypatch.chdir(shell.repo.parent)
    assert shell("status", "--json").json["commit"] == commit


def test_an_evicting_server_is_warned_of(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.config_set("maxmemory-policy", "allkeys-lru")
    said = shell("status")
    assert said.code == 0
    assert "maxmemory-policy" in said.err
    shell.redis.config_set("maxmemory-policy", "noeviction")
