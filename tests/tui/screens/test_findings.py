"""What is wrong is mended from its own list, by keys."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.operations.edit import edit_metadata
from luasprocs.operations.pause import pause
from luasprocs.registry.live import read_sprocs
from luasprocs.server.registry import Registry
from luasprocs_tui.screens.sprocs import SprocsScreen
from luasprocs_tui.values.times import stamp
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.tui.pilot import KEYS, app, app_of, hides, listed, screen_of, shows, text_of, until

if TYPE_CHECKING:
    from redis import Redis
    from textual.pilot import Pilot

    from tests.servers import Server

pytestmark = pytest.mark.wording


def gap(client: Redis) -> None:
    now_ms = int(time.time() * 1000)
    fields = {"source": "__keyevent@0__:set", "from": now_ms - 9000, "to": now_ms - 4000, "why": "no daemon listened"}
    client.xadd(KEYS.gaps, fields)  # type: ignore[arg-type]  # as the engine writes it


def codes(pilot: Pilot[None]) -> set[str]:
    snapshot = app_of(pilot).state.snapshot
    return {str(one.code) for one in snapshot.findings} if snapshot else set()


async def test_gaps_are_acknowledged_once_somebody_says_so(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- catchup=scan\nreturn 1"), sproc("b.lua", "-- event=set\nreturn 1"))
    gap(client)
    async with app(server).run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await pilot.press("U")
        await shows(pilot, "no daemon listened", "a.lua ran for each key", "nothing catches up for b.lua", "A once")
        await pilot.press("A")
        await shows(pilot, "Take note of it?", "__keyevent@0__:set were missed")
        assert "gap" in codes(pilot)
        await pilot.press("escape")
        await hides(pilot, "Take note")
        assert not client.exists(KEYS.acknowledged)
        await pilot.press("A", "tab", "enter")
        await until(pilot, lambda: "gap" not in codes(pilot), "that it is no finding any more")
        await shows(pilot, "; acknowledged")
        gap(client)
        await until(pilot, lambda: "gap" in codes(pilot), "the next one")


async def test_who_may_only_look_acknowledges_nothing(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn 1"))
    gap(client)
    async with app(server, read_only=True).run_test(size=(80, 24), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("exclamation_mark", "A")
        await shows(pilot, "A (Acknowledge): ")
    assert not client.exists(KEYS.acknowledged)


@pytest.mark.parametrize(("finding", "name"), [("PAUSED", "p.lua"), ("UNSAVED EDIT", "e.lua")])
async def test_what_is_mended_at_the_sprocs_opens_the_list_with_them(server: Server, finding: str, name: str) -> None:
    client = server.client()
    registry = Registry(client, KEYS)
    put(client, *(sproc(one, "return 1") for one in ("e.lua", "other.lua", "p.lua")))
    pause(registry, ["p.lua"], by="ann")
    base = read_sprocs(registry, ["e.lua"])[0]
    edit_metadata(registry, "e.lua", {"timeout": "2s"}, base=base.blob, by="Ann <ann@example.com>")
    async with app(server).run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        await until(pilot, lambda: {"paused", "unsaved_edit"} <= codes(pilot), "both findings")
        await pilot.press("c", "exclamation_mark")
        at = ["UNSAVED EDIT", "PAUSED"].index(finding)
        await shows(pilot, "What is wrong  2", finding)
        await pilot.press(*"j" * at)
        await until(
            pilot,
            lambda: ("enter, then h History, u Undo", "enter, then p Resume")[at] in " ".join(screen_of(pilot).split()),
            "the keys that mend it",
        )
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, SprocsScreen), "the list")
        screen = pilot.app.screen
        assert isinstance(screen, SprocsScreen)
        await until(pilot, lambda: screen.sprocs == (name,), "the sproc under the cursor")
        assert "other.lua" not in screen_of(pilot)
        await shows(pilot, "u ∆Undo" if name == "e.lua" else "p ∆Resume")


async def test_what_stands_out_in_the_list_alone_is_listed_behind_the_findings(server: Server) -> None:
    client = server.client()
    late = sproc("late.lua", "-- cron=0 3 * * *\n-- misfire=skip\nreturn 1")
    put(client, late, *(sproc(one, "return 1") for one in ("other.lua", "slow.lua")))
    slow: Any = {"runs": 3, "last_run": int(time.time()), "le_200000": 3, "duration_us_max": 180_000}
    client.hset(KEYS.stats("slow.lua"), mapping=slow)
    now_ms = int(time.time() * 1000)
    client.hset(KEYS.stats("late.lua"), mapping={"missed": 1, "last_missed": now_ms})
    due_ms = now_ms - 12_000
    record: Any = {"sproc": "late.lua", "status": "missed", "origin": f"{due_ms / 1000:.3f}-{due_ms / 1000:.3f}"}
    client.xadd(KEYS.executions, record, id=f"{now_ms + 3}-0")
    gap(client)
    async with app(server).run_test(size=(120, 30), notifications=True) as pilot:
        await listed(pilot)
        await shows(pilot, "also GAP (U), MISSED (U), SLOW (!)")
        await shows(pilot, "◔ late.lua", "missed a scheduled time, noticed", "◐ slow.lua")
        await pilot.press("U")
        await shows(
            pilot, "missed times of late.lua, noticed", "R in the list runs it now", "misfire=skip gives them up"
        )
        row = next(row for row in pilot.app.screen.query_one(Table).sheet() if "misfire" in row["WHY"])
        assert (row["FROM (UTC)"], row["LENGTH"]) == (stamp(due_ms), "12s"), (
            "when it was due, and how late that was noticed"
        )
        await pilot.press("exclamation_mark")
        await shows(pilot, "What is wrong  4", "SLOW", "slow.lua: over 2% of the server's time")
        await hides(pilot, "W Since when")
        await pilot.press("W")
        await shows(pilot, "NO DAEMON is about no sproc")
        await pilot.press("j")
        await shows(pilot, "∆Acknowledge")
        await pilot.press("G", "W")
        await shows(pilot, "Since when: slow.lua")
        await pilot.press("escape", "A")
        await shows(pilot, "SLOW can't be acknowledged", "W Since when")
        await hides(pilot, "∆Acknowledge")
        await pilot.press("k", "A")
        await shows(pilot, "Take note of it?")
        assert "no daemon listened" not in text_of(pilot, "#text Static"), "of the gap, which is not selected"
        await pilot.press("tab", "enter")
        await hides(pilot, "MISSED")
        assert codes(pilot) == {"no_daemon", "gap"}, "what is slow is no finding of luasprocs status"
        await pilot.press("G", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, SprocsScreen), "the list")
        await hides(pilot, "other.lua")
        await pilot.press("escape")
        await shows(pilot, "What is wrong  3")
        assert pilot.app.screen.query_one(Table).selected == "SLOW", "back where it was opened"
        await pilot.press("escape")
        await shows(pilot, "other.lua", "  late.lua")
