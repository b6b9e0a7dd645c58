"""`cron=*/5 * * * *`: at times of the day, in a time zone. `luasprocs.language.recurrence` tells when."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.contract.metadata import Scope

KEY = "cron"
SCOPE: Scope = "schedule"
EXCLUDES: tuple[str, ...] = ()
NEEDED_BY = {
    "timezone": "only cron uses a time zone",
    "misfire": "only schedules can miss a time",
}


def words(values: Mapping[str, str]) -> str:
    """`cron */5 * * * *`."""
    return f"cron {values['cron']}"
