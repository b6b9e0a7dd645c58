from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import RegistryError
from luasprocs.operations.diff import Difference, GitDifference, difference_of, generation_differences, git_difference
from luasprocs.operations.edit import edit
from luasprocs.operations.sprocs import live_sproc
from luasprocs.registry.history import read_history
from luasprocs.state.desired import SyncState, publish
from tests.live import put, sproc

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry


def test_a_generation_shows_what_it_changed(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1"), sproc("b.lua", "return 1"))
    put(registry.client, sproc("a.lua", "return 2"), sproc("c.lua", "return 3"))
    newest = read_history(registry, 1)[0]
    assert generation_differences(registry, newest) == (
        Difference("a.lua", b"return 1", b"return 2"),
        Difference("b.lua", b"return 1", None),
        Difference("c.lua", None, b"return 3"),
    )
    assert [one.name for one in generation_differences(registry, newest, "b.lua")] == ["b.lua"]
    assert generation_differences(registry, newest, "nope.lua") == ()


def test_a_source_that_is_not_kept_any_more_is_lost(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1"))
    put(registry.client, sproc("a.lua", "return 2"))
    newest = read_history(registry, 1)[0]
    old = newest.updated["a.lua"][0]
    registry.client.hdel(registry.keys.blobs, old)
    [found] = generation_differences(registry, newest)
    assert (found.before, found.after, found.lost) == (None, b"return 2", old)


def test_a_live_sproc_against_git(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1\n", "c7"))
    assert git_difference(registry, "a.lua") == GitDifference("c7")

    edit(registry, "a.lua", b"return 2\n", base=live_sproc(registry, "a.lua").blob, by="ann")
    found = git_difference(registry, "a.lua")
    assert found.edit is not None
    assert found.edit.by == "ann"
    assert found.difference == Difference("a.lua", b"return 1\n", b"return 2\n")

    diff = "\n".join(difference_of("a.lua", b"return 2\n", b"return 3\n"))
    publish(registry, SyncState(state="behind", diffs=("--- live/b.lua\n+++ git/b.lua", diff)))
    assert git_difference(registry, "a.lua").waits[:2] == ("--- live/a.lua", "+++ git/a.lua")

    registry.client.hset(registry.keys.name("a.lua"), "source", "return 9\n")
    publish(registry, SyncState())
    with pytest.raises(RegistryError, match="was deleted meanwhile"):
        git_difference(registry, "nope.lua")


def test_a_change_by_hand_shows_what_git_had(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1\n"))
    registry.client.hset(registry.keys.name("a.lua"), "source", "return 9\n")
    found = git_difference(registry, "a.lua")
    assert found.edit is None
    assert found.difference is not None
    assert (found.difference.before, found.difference.lost) == (None, sproc("a.lua", "return 1\n").blob)


def test_one_side_may_be_missing() -> None:
    assert list(difference_of("a", None, b"x"))[:2] == ["--- /dev/null", "+++ git/a"]
    assert list(difference_of("a", b"x", None))[:2] == ["--- live/a", "+++ /dev/null"]
    assert list(difference_of("a", b"x", b"x")) == []
