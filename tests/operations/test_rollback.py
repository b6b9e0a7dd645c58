from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import NoSprocError, OwnerError, RegistryError
from luasprocs.operations.edit import edit
from luasprocs.operations.rollback import preview, rollback
from luasprocs.operations.sprocs import live_sproc
from luasprocs.registry.edits import edits_of
from luasprocs.registry.history import read_history
from luasprocs.registry.live import Live, read_live
from tests.live import put, sproc

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry


@pytest.fixture
def live(registry: Registry) -> Registry:
    """Three generations: a; another a, and b; b and c."""
    put(registry.client, sproc("a.lua", "return 1"), commit="c1")
    put(registry.client, sproc("a.lua", "return 2"), sproc("b.lua", "return 1"), commit="c2")
    put(registry.client, sproc("b.lua", "return 1"), sproc("c.lua", "return 1"), commit="c3")
    return registry


def test_without_a_generation_it_is_the_one_before(live: Registry) -> None:
    outcome = rollback(live, by="ann@host")
    assert (outcome.commit, outcome.generation) == ("c2", 4)
    assert (outcome.plan.created, outcome.plan.deleted) == (("a.lua",), ("c.lua",))
    found = read_live(live)
    assert sorted(found.sprocs) == ["a.lua", "b.lua"]
    assert live_sproc(live, "a.lua").source == b"return 2"
    assert (found.revision.pinned, found.revision.applied_by) == ("c3", "ann@host")
    assert read_history(live, 1)[0].action == "rollback to 2"


def test_generations_that_changed_nothing_are_passed_over(live: Registry) -> None:
    """As the one is that a live edit's commit brings."""
    same = (sproc("b.lua", "return 1"), sproc("c.lua", "return 1"))
    for commit in ("c4", "c5"):
        put(live.client, *same, commit=commit)
    assert preview(live).to.generation == 2
    outcome = rollback(live, by="ann")
    assert (outcome.commit, outcome.generation, outcome.plan.created) == ("c2", 6, ("a.lua",))
    assert rollback(live, by="ann").plan.deleted == ("a.lua",)  # the last one that differs is c5's


def test_a_generation_with_the_same_sprocs_is_nothing_to_roll_back_to(live: Registry) -> None:
    put(live.client, sproc("b.lua", "return 1"), sproc("c.lua", "return 1"), commit="c4")
    for ask in (preview, lambda *way: rollback(*way, by="ann")):
        with pytest.raises(RegistryError, match="all sprocs are as in generation 3"):
            ask(live, 3)
    assert read_live(live).revision.generation == 4


def test_without_other_sprocs_there_is_no_way_back(registry: Registry) -> None:
    for commit in ("c1", "c2"):
        put(registry.client, sproc("a.lua", "return 1"), commit=commit)
    with pytest.raises(RegistryError, match="no generation that is kept has other sprocs"):
        rollback(registry, by="ann")


def test_the_preview_is_what_the_rollback_then_does(live: Registry) -> None:
    before = {name: live_sproc(live, name).source for name in read_live(live).sprocs}
    previewed = preview(live, 1).differences
    generation = read_live(live).revision.generation
    assert generation == 3  # nothing was done
    rollback(live, 1, by="ann")
    after = {name: live_sproc(live, name).source for name in read_live(live).sprocs}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {one.name: (one.before, one.after) for one in previewed} == {
        name: (before.get(name), after.get(name)) for name in changed
    }
    assert [one.name for one in previewed] == ["a.lua", "b.lua", "c.lua"]
    assert previewed[0].lines("live", "then") == ["--- live/a.lua", "+++ then/a.lua", "@@ -0,0 +1 @@", "+return 1"]


def test_what_can_not_be_done_is_said(live: Registry) -> None:
    for wanted in (3, 9, 0):
        with pytest.raises(RegistryError):
            rollback(live, wanted, by="ann")
        with pytest.raises(RegistryError):
            preview(live, wanted)
    for name in ("none.lua", "a.lu"):
        with pytest.raises(NoSprocError):
            rollback(live, sproc=name, by="ann")
        with pytest.raises(NoSprocError):
            preview(live, 1, name)
    assert read_live(live).revision.generation == 3


def test_with_one_generation_there_is_no_way_back(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1"))
    with pytest.raises(RegistryError, match="no earlier generation"):
        rollback(registry, by="ann")


def test_who_asks_may_refuse_first(live: Registry) -> None:
    def refuse(found: Live) -> None:
        raise OwnerError(found.revision.owner)

    with pytest.raises(OwnerError, match="tests"):
        rollback(live, 1, by="ann", check=refuse)
    assert read_live(live).revision.generation == 3


def test_a_live_edit_that_is_older_stays_one(live: Registry) -> None:
    for name in ("b.lua", "c.lua"):
        edit(live, name, b"return 'edited'", base=live_sproc(live, name).blob, by="ben")
    found = preview(live)
    assert ([one.name for one in found.differences], found.plan.overwritten) == (["c.lua"], ("c.lua",))
    assert rollback(live, by="ann").plan.updated == ("c.lua",)
    assert [live_sproc(live, name).source for name in ("b.lua", "c.lua")] == [b"return 'edited'", b"return 1"]
    assert [one.name for one in edits_of(read_live(live))] == ["b.lua"]
