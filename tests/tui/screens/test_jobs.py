from __future__ import annotations

import json
from typing import TYPE_CHECKING

from luasprocs.server.registry import Registry
from luasprocs.state.jobs import JobRecord, read_jobs
from luasprocs_tui import messages
from luasprocs_tui.screens.jobs import EachJobScreen, JobsScreen
from tests.live import put, sproc
from tests.tui.pilot import KEYS, TO_ACT_ON, app, listed, screen_of, shows, unconnected, until

if TYPE_CHECKING:
    from redis import Redis

    from tests.servers import Server

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


def dead(number: int, error: str) -> JobRecord:
    return DEAD._replace(id=f"179603463350624{number}-0", error=f"{NAME}:7: {error}", args=(f"invoice-{number}",))


async def test_jobs_that_say_the_same_but_for_numbers_are_one_line() -> None:
    alike = [dead(number, f"template {number} not found") for number in range(4)]
    other = dead(5, "no such order")
    async with unconnected().run_test(size=(120, 24)) as pilot:
        screen = JobsScreen()
        await pilot.app.push_screen(screen)
        screen.post_message(messages.DataRead([*alike, other]))
        await shows(pilot, "5 dead in 2 lines (a: each)", "dead        4", "dead        1", "the oldest of 4")
        assert list(screen.meant) == alike
        await pilot.press("asterisk")
        assert sorted(screen.meant) == sorted([*alike, other])
        screen.post_message(messages.DataRead([*alike[1:], other, dead(6, "template 6 not found")]))
        await shows(pilot, "5 dead in 2 lines (a: each); 2, 2 marked (esc)")


async def test_a_line_of_several_opens_each_of_them() -> None:
    alike = [dead(number, f"template {number} not found") for number in range(4)]
    async with unconnected().run_test(size=(120, 24)) as pilot:
        screen = EachJobScreen(alike[2])
        await pilot.app.push_screen(screen)
        screen.post_message(messages.DataRead([*alike, dead(5, "no such order")]))
        await shows(pilot, f"{NAME}, dead  4 dead", *(job.id for job in alike))
        assert list(screen.meant) == alike[:1]
        assert "no such order" not in screen_of(pilot)


async def test_what_is_done_to_a_line_is_done_to_all_jobs_in_it(server: Server, client: Redis) -> None:
    put(client, *(sproc(name, source) for name, source in TO_ACT_ON.items()))
    for number in range(3):
        job = json.dumps({"sproc": "late.lua", "id": f"1-{number}", "attempt": 3, "enqueued": 1_796_034_633_506})
        client.xadd(KEYS.dead, {"job": job, "error": f"ERR late.lua:7: no template {number}"})
    client.execute_command("FCALL", KEYS.function("enqueue"), 0, "late.lua", "-", 1, "word")
    async with app(server).run_test(size=(120, 30)) as pilot:
        await listed(pilot)
        await pilot.press("J")
        await shows(pilot, "1 queued, 3 dead in 2 lines (a: each)")
        await pilot.press("G", "enter")
        await shows(pilot, "Jobs > late.lua, dead  3 dead", "no template 0", "no template 1", "no template 2")
        await pilot.press("escape", "a")
        await shows(pilot, "Jobs > Each job  1 queued, 3 dead", "word", "no template 2")
        await pilot.press("a", "G", "d")
        await shows(pilot, "Drop 3 jobs?")
        await pilot.click("#go")
        await until(pilot, lambda: not client.xlen(KEYS.dead), "the drop of all three")
        assert [job.args for job in read_jobs(Registry(client, KEYS))] == [("word",)]
