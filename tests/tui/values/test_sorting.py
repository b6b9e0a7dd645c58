from __future__ import annotations

import pytest

from luasprocs_tui.values.sorting import sort_key


@pytest.mark.parametrize(
    "rising",
    [
        ("9s", "2m", "61m", "3h", "2d", ""),
        ("41us", "1.2ms", "219ms", "3s", "·"),
        ("950", "9.9k", "12k", "3.4M", ">9999T"),
        ("0%", "0.5%", "34%"),
        ("7", "Anna", "ben", "-"),
    ],
)
def test_numbers_are_sorted_as_such_whatever_their_units(rising: tuple[str, ...]) -> None:
    mixed = [*rising[::-1]]
    assert sorted(mixed, key=sort_key) == [*rising]
