from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.state.stats import Stats
from luasprocs_tui.screens.stats import drawn
from tests.live import put, sproc
from tests.tui.pilot import KEYS, app, listed, screen_of, until

if TYPE_CHECKING:
    from tests.servers import Server


async def test_stats_that_are_none_are_said(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return 1"))
    async with app(server).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("i")
        await until(pilot, lambda: "no run was recorded yet" in screen_of(pilot), "nothing")
        client.set(KEYS.stats("a.lua"), "no hash")
        await until(pilot, lambda: "is not a hash" in screen_of(pilot), "what is wrong")


async def test_direct_calls_that_fail_are_errors(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "return 1"))
    client.hset(KEYS.stats("a.lua"), mapping={"calls": 702, "call_errors": 702})
    async with app(server).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("i")
        await until(pilot, lambda: "errors 702" in screen_of(pilot), "as errors")


def test_bars_take_the_room_that_there_is() -> None:
    stats = Stats(runs=5, buckets=((50, 4), (100, 1)))
    for bars, cells in ((0, 60), (140, 140)):
        runs, errors, most, _least = (
            line
            for line in drawn(stats, (1.0,) * 240, (0.0,) * 240, bars).plain.splitlines()
            if "█" in line or "▁" in line
        )
        assert sum(runs.count(bar) for bar in "▁▂▃▄▅▆▇█") == cells, errors
        assert most.count("█") == cells * 2 // 3
