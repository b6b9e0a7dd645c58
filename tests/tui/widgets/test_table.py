from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.cells import cell_len

from luasprocs_tui.values.columns import Column, fit, widths

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize("text", ["漢字漢字", "abc", "", "👩‍💻" * 9, "e\u0301" * 9, "\x1b" * 9])
@pytest.mark.parametrize("width", range(1, 9))
def test_a_cell_is_exactly_as_wide_as_its_column(text: str, width: int):
    assert cell_len(fit(text, width)) == width
    assert cell_len(fit(text, width, right=True)) == width


@pytest.mark.parametrize("room", range(1, 200))
def test_columns_fit_any_width_their_least_allows(room: int):
    columns = [Column("A", 5, 60), Column("B", 4, 30), Column("C", 10, 400, grow=True)]
    found = widths(columns, [90, 12, 300], room)
    assert sum(found) + 2 * (sum(map(bool, found)) - 1) <= max(room, 11)
