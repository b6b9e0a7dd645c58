from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import OwnerError, ProblemsError
from luasprocs.operations.put import DIRECTLY, put
from luasprocs.registry.history import read_history
from luasprocs.registry.live import read_live
from tests.live import sproc

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry


def names(registry: Registry) -> list[str]:
    return list(read_live(registry).sprocs)


def test_all_others_go_unless_it_says_which(registry: Registry) -> None:
    put(registry, [sproc("b.lua", "return 1"), sproc("a.lua", "return 1")])
    assert names(registry) == ["a.lua", "b.lua"]
    put(registry, [sproc("c.lua", "return 1")], delete=())
    assert names(registry) == ["a.lua", "b.lua", "c.lua"]
    put(registry, delete=["b.lua", "nope.lua"])
    assert names(registry) == ["a.lua", "c.lua"]
    assert put(registry, [sproc("c.lua", "return 2")]).generation == 4
    assert names(registry) == ["c.lua"]


def test_what_does_not_compile_changes_nothing(registry: Registry) -> None:
    put(registry, [sproc("a.lua", "return 1")])
    with pytest.raises(ProblemsError, match=r"b\.lua"):
        put(registry, [sproc("b.lua", "return (")])
    assert names(registry) == ["a.lua"]


def test_the_history_says_what_it_was_told(registry: Registry) -> None:
    put(registry, [sproc("a.lua", "return 1")], about=DIRECTLY._replace(commit="c7", owner="shop", subject="First"))
    [entry] = read_history(registry)
    assert (entry.commit, entry.subject, list(entry.created)) == ("c7", "First", ["a.lua"])
    with pytest.raises(OwnerError, match="shop"):
        put(registry, [sproc("a.lua", "return 2")])
