from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import NoSprocError, RegistryError
from luasprocs.operations.pause import Paused, pause, resume, toggle_pause
from luasprocs.state.paused import read_paused
from tests.live import put, sproc

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry


@pytest.fixture
def live(registry: Registry) -> Registry:
    put(registry.client, *(sproc(f"{one}.lua", "return 1") for one in "abc"))
    return registry


def test_what_is_paused_already_is_told_apart(live: Registry) -> None:
    assert pause(live, ["a.lua", "a.lua"]) == Paused(("a.lua",), (), paused=True)
    assert pause(live, ["a.lua", "b.lua"]) == Paused(("b.lua",), ("a.lua",), paused=True)
    assert resume(live, ["c.lua", "a.lua"]) == Paused(("a.lua",), ("c.lua",), paused=False)
    assert read_paused(live) == {"b.lua"}


def test_toggling_pauses_the_rest_first_and_then_resumes_all(live: Registry) -> None:
    pause(live, ["b.lua"])
    assert toggle_pause(live, ["a.lua", "b.lua"]) == Paused(("a.lua",), (), paused=True)
    assert toggle_pause(live, ["a.lua", "b.lua"]) == Paused(("a.lua", "b.lua"), (), paused=False)
    assert read_paused(live) == frozenset()


def test_a_name_that_is_not_live_changes_nothing(live: Registry) -> None:
    with pytest.raises(NoSprocError, match=r"'nope\.lua'"):
        pause(live, ["a.lua", "nope.lua"])
    assert read_paused(live) == frozenset()
    pause(live, ["a.lua"])
    put(live.client, sproc("b.lua", "return 1"))
    with pytest.raises(NoSprocError):
        pause(live, ["a.lua"])
    assert resume(live, ["a.lua"]).changed == ("a.lua",)  # it is forgotten


def test_a_key_that_somebody_wrote_over_is_said(live: Registry) -> None:
    live.client.set(live.keys.paused, "x")
    with pytest.raises(RegistryError, match="is not a set"):
        pause(live, ["a.lua"])
