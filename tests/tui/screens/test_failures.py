"""The executions that failed, in a small terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.tui.pilot import app, hides, listed, record, screen_of, shows, until

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from tests.servers import Server

WHY = "attempt to perform arithmetic on field 'price_cents' (a nil value)"


async def failures(pilot: Pilot[None], server: Server, counted: str = "1 run of 1 kind") -> None:
    error = f"ERR orders/turnover.lua:7: {WHY} script: luasprocs_execute, on @orders/turnover.lua:7."
    record(server.client(), "orders/turnover.lua", status="error", event="hset", key="order:345", error=error)
    await listed(pilot)
    await pilot.press("F")
    await shows(pilot, counted, "-s failed")


async def test_rows_begin_with_the_error_and_that_of_the_selected_one_is_whole(server: Server) -> None:
    async with app(server).run_test(size=(80, 24)) as pilot:
        await failures(pilot, server)
        await shows(
            pilot,
            "orders/turnover.lua",
            "order:345",
            "7: attempt to",
            "orders/turnover.lua:7: attempt",
            "(a nil value)",
        )


async def test_failures_that_say_the_same_are_one_line_until_each_is_asked_for(server: Server) -> None:
    client = server.client()
    for number in range(3):
        error = f"ERR orders/charge.lua:9: no card for order {number}"
        record(client, "orders/charge.lua", status="error", event="hset", key=f"order:{number}", error=error)
    async with app(server).run_test(size=(140, 24)) as pilot:
        await failures(pilot, server, "4 runs of 2 kinds")
        await shows(pilot, "order:345", "order:2", "3x  9: no card for order 2")
        await hides(pilot, "order:1")
        shown = screen_of(pilot)
        assert shown.index("order:345") < shown.index("order:2"), "the kind that came last is the first"
        record(client, "orders/charge.lua", status="error", event="hset", key="order:8", error=error)
        await shows(pilot, "4x  9: no card for order 2", "order:8", "5 runs of 2 kinds")
        await pilot.press("j")
        await shows(pilot, "4 runs since ", ", the last ")
        await pilot.press("a")
        await shows(pilot, "order:0", "order:1", "order:8", "order:345", "5 of the last 5")
        await pilot.press("a")
        await shows(pilot, "4x  9: no card")


async def test_escape_leaves_at_once_unless_the_filter_is_another(server: Server) -> None:
    async with app(server).run_test(size=(80, 24)) as pilot:
        await failures(pilot, server)
        await pilot.press("escape")
        await shows(pilot, "RUN/S")
        await pilot.press("F")
        await shows(pilot, "-s failed")
        await pilot.press("slash", *" none", "enter")
        await shows(pilot, "0 runs of 0 kinds")
        await pilot.press("escape")
        await shows(pilot, "1 run of 1 kind")
        await pilot.press("escape")
        await shows(pilot, "RUN/S")


async def test_a_view_is_opened_once_and_all_executions_are_another_than_the_failures(server: Server) -> None:
    async with app(server).run_test(size=(80, 24)) as pilot:
        await failures(pilot, server)
        for key, opened in (("F", 1), ("x", 2), ("x", 2), ("F", 3), ("h", 4), ("h", 4)):
            await pilot.press(key)
            await until(pilot, lambda: len(pilot.app.screen_stack) == opened + 1, f"{key}: {opened} views")  # noqa: B023
        await shows(pilot, "Sprocs > Failures > Executions > Failures > History")
