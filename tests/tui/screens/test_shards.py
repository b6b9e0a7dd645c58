"""The list of a cluster's shards."""

from __future__ import annotations

from luasprocs.server.slots import SLOTS, SlotRange, tag_within
from luasprocs_tui.screens.shards import ShardsScreen
from luasprocs_tui.values.columns import widths


def test_tags_are_whole_in_80_columns() -> None:
    tag = max((tag_within([SlotRange(slot, slot)]) for slot in range(0, SLOTS, 4096)), key=len)
    found = widths(ShardsScreen.COLUMNS, [len("192.168.100.100:7000"), len(tag), 5, 6, len("as the others")], 78)
    assert found[1] == len(tag)
