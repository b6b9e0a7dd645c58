"""`every=15s`: again and again, counted from 1970, so that all daemons agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.contract.metadata import Scope

KEY = "every"
SCOPE: Scope = "schedule"
EXCLUDES = ("cron",)
NEEDED_BY = {"misfire": "only schedules can miss a time"}


def words(values: Mapping[str, str]) -> str:
    """`every 15s`."""
    return f"every {values['every']}"
