from __future__ import annotations

from typing import Any

import pytest

from luasprocs_tui.values.replies import DEPTH_SHOWN, pretty


@pytest.mark.parametrize(
    ("reply", "lines"),
    [
        (None, ["(nil)"]),
        (7, ["7"]),
        (b"text", ["text"]),
        ([], ["(empty)"]),
        ([b"a", 1], ["1) a", "2) 1"]),
        ([[b"a", [b"b", None]], []], ["1) 1) a", "   2) 1) b", "      2) (nil)", "2) (empty)"]),
        ([*range(1, 10), [b"x", b"y"]], [*(f" {at}) {at}" for at in range(1, 10)), "10) 1) x", "    2) y"]),
        ([b'{"a": [1]}'], ["1) {", '     "a": [', "       1", "     ]", "   }"]),
        ([b"two\nlines"], ["1) two", "   lines"]),
        ({b"a": [1, 2], b"b": {}}, ["a => 1) 1", "     2) 2", "b => (empty)"]),
    ],
)  # fmt: skip
def test_what_is_nested_is_indented(reply: Any, lines: list[str]) -> None:
    assert pretty(reply).split("\n") == lines


def test_what_is_nested_too_deep_is_cut_and_ends_nothing() -> None:
    reply: Any = b"here"
    for _ in range(5000):
        reply = [reply]
    assert pretty(reply) == "1) " * (DEPTH_SHOWN) + "…"
    assert pretty(b"[" * 100_000) == "[" * 100_000
