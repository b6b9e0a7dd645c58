from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Button

from luasprocs.operations.edit import edit_metadata
from luasprocs.registry.live import read_sprocs
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import read_jobs
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.widgets.dialog import Confirm
from tests.live import put, sproc
from tests.tui.pilot import KEYS, TO_ACT_ON, app, listed, record, screen_of, until

if TYPE_CHECKING:
    from redis import Redis

    from tests.servers import Server


async def test_from_a_sproc_its_own_executions_stats_history_and_diff(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=x*\nreturn 1"), sproc("b.lua", "return 2"))
    record(client, "a.lua", key="mine")
    record(client, "b.lua", key="theirs")
    client.hset(KEYS.stats("a.lua"), mapping={"runs": 3, "le_50": 2, "le_inf": 1, "duration_us_max": 9_000_000})
    async with app(server).run_test(size=(120, 30)) as pilot:
        await listed(pilot)
        await pilot.press("g", "enter", "x")
        await until(pilot, lambda: "mine" in screen_of(pilot), "its executions")
        assert "theirs" not in screen_of(pilot)
        record(client, "b.lua", key="theirs")
        record(client, "a.lua", key="later")
        await until(pilot, lambda: "later" in screen_of(pilot), "what comes of it")
        assert "theirs" not in screen_of(pilot)
        await pilot.press("escape", "i")
        await until(pilot, lambda: "≤ 50us" in screen_of(pilot) and "longer" in screen_of(pilot), "the histogram")
        client.hincrby(KEYS.stats("a.lua"), "runs", 5)
        await until(pilot, lambda: "█ 5" in screen_of(pilot), "the bar of what ran")
        await pilot.press("escape", "h")
        await until(pilot, lambda: "History of a.lua" in screen_of(pilot), "its history")
        await pilot.press("enter")
        await until(pilot, lambda: "+-- key=x*" in screen_of(pilot), "what the generation changed")
        assert "return 2" not in screen_of(pilot)
        await pilot.press("escape", "escape", "v")
        await until(pilot, lambda: "as git has it" in screen_of(pilot), "no difference")
        base = read_sprocs(Registry(client, KEYS), ["a.lua"])[0]
        edit_metadata(Registry(client, KEYS), "a.lua", {"key": "y*"}, base=base.blob, by="Ann <ann@example.com>")
        await until(pilot, lambda: "+-- key=y*" in screen_of(pilot), "the live edit against git")
        assert "edited live by Ann" in screen_of(pilot)


async def test_schedules_jobs_and_history(server: Server, client: Redis) -> None:
    put(client, *(sproc(name, source + "-- two\n") for name, source in TO_ACT_ON.items()))
    client.execute_command("FCALL", KEYS.function("enqueue"), 0, "late.lua", "-", 1, "word")
    async with app(server).run_test(size=(120, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("c")
        await until(pilot, lambda: "tick.lua" in screen_of(pilot) and "every 1h" in screen_of(pilot), "the schedule")
        assert type(pilot.app.screen) is CronScreen
        await pilot.press("escape", "J")
        await until(pilot, lambda: "late.lua" in screen_of(pilot) and "queued" in screen_of(pilot), "the job")
        assert type(pilot.app.screen).__name__ == JobsScreen.__name__
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        assert pilot.app.focused is pilot.app.screen.query_one("#cancel", Button)
        await pilot.press("enter")
        await pilot.pause()
        assert read_jobs(Registry(client, KEYS))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question again")
        await pilot.click("#go")
        await until(pilot, lambda: not read_jobs(Registry(client, KEYS)), "the drop")
        await pilot.press("escape", "h")
        await until(
            pilot, lambda: "GEN" in screen_of(pilot) and "no daemon syncs here" in screen_of(pilot), "the history"
        )
        assert type(pilot.app.screen).__name__ == HistoryScreen.__name__
        await pilot.press("j", "b")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the preview")
        assert "--- live/a.lua" in screen_of(pilot)
        await pilot.press("escape", "escape")
        assert len(pilot.app.screen_stack) == 1
