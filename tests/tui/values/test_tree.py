from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs_tui.values.tree import tree

if TYPE_CHECKING:
    pass


def test_a_tree() -> None:
    names = ["a/b/c.lua", "z.lua", "a/d.lua", "a/b/e.lua"]
    assert list(tree(names, ()).items()) == [
        ("z.lua", "z.lua"),
        ("a/", "▾ a/ (3)"),
        ("a/d.lua", "  d.lua"),
        ("a/b/", "  ▾ b/ (2)"),
        ("a/b/c.lua", "    c.lua"),
        ("a/b/e.lua", "    e.lua"),
    ]
    assert list(tree(names, {"a/b/"})) == ["z.lua", "a/", "a/d.lua", "a/b/"]
    assert tree(names, {"a/", "a/b/"}) == {"z.lua": "z.lua", "a/": "▸ a/ (3)"}
    assert tree([], ()) == {}
