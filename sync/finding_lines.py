"""Findings as lines for people, of `luasprocs status` and the tour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.operations.findings import Finding
    from sync.console import Console

COLOURS = {"error": "red", "warning": "yellow", "info": "dim"}
CODE_COLUMNS = 12


def print_findings(console: Console, found: Iterable[Finding]) -> None:
    """Each with its hint below."""
    for one in found:
        margin = max(CODE_COLUMNS, len(one.code) + 1)
        console.line(f"{one.code:{margin}}{one.message}", COLOURS[one.severity])
        console.line(f"{'':{margin}}{one.hint}", "dim")
