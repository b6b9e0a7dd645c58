from __future__ import annotations

from luasprocs.state.jobs import JobRecord
from luasprocs_tui import messages
from luasprocs_tui.screens.jobs import JobsScreen
from tests.tui.pilot import shows, unconnected

NAME = "billing/render_invoice.lua"
DEAD = JobRecord(
    "1796034633506245-5",
    NAME,
    "dead",
    "enqueue",
    2,
    1_796_034_633_506,
    ("4715",),
    error=f"{NAME}:7: template v2 not found",
)


async def test_why_a_job_is_dead_stands_in_its_row_and_below() -> None:
    async with unconnected().run_test(size=(80, 24)) as pilot:
        await pilot.app.push_screen(JobsScreen())
        pilot.app.screen.post_message(messages.DataRead([DEAD]))
        await shows(
            pilot, f"{NAME}  dead", "  7: template v2 not fo", f"{NAME}:7: template v2 not found", "enqueue  4715"
        )
