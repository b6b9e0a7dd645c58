from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs_tui.remembered import Remembered, Sort, read_remembered, write_remembered

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_remembered_comes_back(tmp_path: Path) -> None:
    file = tmp_path / "new" / "screen.json"
    said = Remembered("local").sorted_by("jobs", Sort("AGE", descending=True)).sorted_by("cron", Sort("IN"))
    write_remembered(file, said)
    assert read_remembered(file) == said
    write_remembered(file, said.sorted_by("jobs", None))
    assert dict(read_remembered(file).sorts) == {"cron": Sort("IN")}
    assert [one.name for one in file.parent.iterdir()] == ["screen.json"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"zone": 1, "sorts": {"a": 1}}', '{"zone": [], "sorts": []}', "[" * 9999]
)
def test_nothing_is_remembered_of_a_file_that_says_something_else(tmp_path: Path, text: str) -> None:
    file = tmp_path / "screen.json"
    file.write_text(text)
    assert read_remembered(file) == Remembered()


def test_where_nothing_can_be_written_nothing_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    write_remembered(tmp_path / "file" / "screen.json", Remembered("local"))
    assert read_remembered(tmp_path / "file" / "screen.json") == Remembered()
