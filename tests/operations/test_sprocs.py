from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import NoSprocError, RegistryError
from luasprocs.operations.run import run
from luasprocs.operations.sprocs import live_sproc
from tests.live import put, sproc

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry


def test_a_live_sproc_has_source_and_header(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "-- tags=x\nreturn 1", "c7"))
    found = live_sproc(registry, "a.lua")
    assert (found.source, found.values, found.commit) == (b"-- tags=x\nreturn 1", {"tags": "x"}, "c7")


def test_what_is_none_is_said(registry: Registry) -> None:
    with pytest.raises(NoSprocError, match=r"no sproc named 'nope\.lua' is live"):
        live_sproc(registry, "nope.lua")
    put(registry.client, sproc("shop/pay.lua", "return 1"))
    for name in ("pay", "pay.lua", "sprocs/shop/pay.lua", "shop/pya.lua", "Shop/Pay"):
        with pytest.raises(NoSprocError, match=r"did you mean 'shop/pay\.lua'"):
            live_sproc(registry, name)
        with pytest.raises(NoSprocError, match=r"did you mean 'shop/pay\.lua'"):
            run(registry, name, by="ann")
    registry.client.set(registry.keys.name("b.lua"), "x")
    with pytest.raises(RegistryError, match="is not a hash"):
        live_sproc(registry, "b.lua")
