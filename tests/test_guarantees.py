"""docs/guarantees.md names a test beside each promise, and each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def promises():
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    return [line.split(" | ") for line in page.splitlines() if line.startswith("| ")][2:]


def test_each_promise_names_its_tests():
    named = {row[0]: re.findall(r"`(test_\w+)`", row[-1]) for row in promises()}
    assert len(named) > 15
    assert all(named.values()), [promise for promise, tests in named.items() if not tests]


def test_each_test_that_is_named_is_there():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    there = set(re.findall(r"^(?:async )?def (test_\w+)", sources, re.MULTILINE))
    assert {name for row in promises() for name in re.findall(r"`(test_\w+)`", row[-1])} <= there
