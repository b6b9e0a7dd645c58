from __future__ import annotations

import pytest

from luasprocs_tui.values.completion import completed, completions

NAMES = ("sort", "source", "suspend", "sync", "theme", "execute")
WORDS = {"theme": ("dark", "light"), "execute": ("a/one.lua", "a/two.lua")}


@pytest.mark.parametrize(
    ("typed", "found", "sure"),
    [
        ("sy", ["sync"], "sync"),
        ("so", ["sort", "source"], "so"),
        ("sou", ["source"], "source"),
        ("th", ["theme"], "theme "),
        ("theme ", ["theme dark", "theme light"], "theme "),
        ("theme l", ["theme light"], "theme light"),
        ("execute ", ["execute a/one.lua", "execute a/two.lua"], "execute a/"),
        ("sync x", [], "sync x"),
        ("none", [], "none"),
        ("none x", [], "none x"),
        ("", [*NAMES], ""),
    ],
)
def test_what_a_command_can_become(typed: str, found: list[str], sure: str) -> None:
    assert completions(typed, NAMES, WORDS) == found
    assert completed(typed, found, WORDS) == sure
