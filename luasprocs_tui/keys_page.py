"""The tables of keys in docs/screen.md, from the table of actions: `python -m luasprocs_tui.keys_page` writes them."""

from __future__ import annotations

import re
from pathlib import Path

from luasprocs_tui import actions

PAGE = Path("docs/screen.md")
TITLES = {
    "views": "From each screen to each",
    "sprocs": "In the list",
    "source": "At one sproc",
    "executions": "At the executions (`x`)",
    "record": "At one execution (`enter`)",
    "replay": "At a replay (`t` at one execution)",
    "cron": "At the schedules (`c`)",
    "jobs": "At the jobs (`J`)",
    "outages": "At the outages (`U`)",
    "findings": "At what is wrong (`!`)",
    "history": "At the history (`h`)",
    "ribbon": "At the ribbon (`W`)",
    "everywhere": "Everywhere",
}
"""Each with a table below it."""
_TABLE = re.compile(r"\A(?:\|.*\n)*")


def table(place: str) -> str:
    """Of one screen, or of all (`everywhere`)."""
    lines = ["| key | command | does |", "| --- | --- | --- |"]
    for one in actions.ACTIONS:
        if place in one.where:
            key = f"`{actions.key_of(one)}`" if actions.key_of(one) else ""
            command = f"`:{one.command}{f' {one.takes}' if one.takes else ''}`"
            lines.append(f"| {key} | {command} | {one.says}{' **Changes.**' if one.writes else ''} |")
    return "\n".join(lines) + "\n"


def written(page: str) -> str:
    """The page with each table as it should be."""
    for place, title in TITLES.items():
        before, head, after = page.partition(f"## {title}\n\n")
        page = before + head + (_TABLE.sub(table(place).replace("\\", r"\\"), after, count=1) if head else after)
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
