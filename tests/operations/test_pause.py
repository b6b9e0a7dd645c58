from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import NoSprocError, RegistryError
from luasprocs.operations.pause import Paused, pause, resume, toggle_pause
from luasprocs.state.paused import Pause, parse_pauses, read_paused
from tests.live import put, sproc

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry


@pytest.fixture
def live(registry: Registry) -> Registry:
    put(registry.client, *(sproc(f"{one}.lua", "return 1") for one in "abc"))
    return registry


def test_what_is_paused_already_is_told_apart(live: Registry) -> None:
    assert pause(live, ["a.lua", "a.lua"], by="ann@host") == Paused(("a.lua",), (), paused=True)
    assert pause(live, ["a.lua", "b.lua"], by="ann@host") == Paused(("b.lua",), ("a.lua",), paused=True)
    assert resume(live, ["c.lua", "a.lua"]) == Paused(("a.lua",), ("c.lua",), paused=False)
    assert read_paused(live) == {"b.lua"}


def test_toggling_pauses_the_rest_first_and_then_resumes_all(live: Registry) -> None:
    pause(live, ["b.lua"], by="ann@host")
    assert toggle_pause(live, ["a.lua", "b.lua"], by="ann@host") == Paused(("a.lua",), (), paused=True)
    assert toggle_pause(live, ["a.lua", "b.lua"], by="ann@host") == Paused(("a.lua", "b.lua"), (), paused=False)
    assert read_paused(live) == frozenset()


def test_a_name_that_is_not_live_changes_nothing(live: Registry) -> None:
    with pytest.raises(NoSprocError, match=r"'nope\.lua'"):
        pause(live, ["a.lua", "nope.lua"], by="ann@host")
    assert read_paused(live) == frozenset()
    pause(live, ["a.lua"], by="ann@host")
    put(live.client, sproc("b.lua", "return 1"))
    with pytest.raises(NoSprocError):
        pause(live, ["a.lua"], by="ann@host")
    assert resume(live, ["a.lua"]).changed == ("a.lua",)  # it is forgotten


def test_a_key_that_somebody_wrote_over_is_said(live: Registry) -> None:
    live.client.set(live.keys.paused, "x")
    with pytest.raises(RegistryError, match="is not a set"):
        pause(live, ["a.lua"], by="ann@host")


def test_who_paused_it_and_since_when(live: Registry) -> None:
    now_ms = live.client.time()[0] * 1000
    pause(live, ["a.lua"], by="ann@host")
    pause(live, ["a.lua", "b.lua"], by="ben@host")
    live.client.sadd(live.keys.paused, "c.lua")
    first, second, by_hand = found(live)
    assert (first.name, first.by, second.name, second.by) == ("a.lua", "ann@host", "b.lua", "ben@host")
    assert 0 <= first.since_ms - now_ms < 60_000
    assert by_hand == Pause("c.lua")
    resume(live, ["a.lua", "b.lua", "c.lua"])
    assert found(live) == ()
    assert not live.client.exists(live.keys.pauses)


def found(live: Registry) -> tuple[Pause, ...]:
    return parse_pauses(live.client.smembers(live.keys.paused), live.client.hgetall(live.keys.pauses))
