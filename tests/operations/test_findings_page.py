"""docs/operations.md lists each finding as the contract has it."""

from __future__ import annotations

import re

from luasprocs.contract.codes import FindingCode
from tests.paths import ROOT


def test_the_page_has_each_code_with_its_level_and_meaning() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = page.partition("## What is wrong")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| (.+?) \| (.+) \|$", table, re.MULTILINE)
    assert [row[:3] for row in rows] == [(str(code), code.level, code.meaning) for code in FindingCode]
    assert all(what_to_do for *_, what_to_do in rows)
