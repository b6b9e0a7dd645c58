from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input

from luasprocs.server.acl import rule
from luasprocs_tui.backend.registry_backend import RegistryBackend
from luasprocs_tui.controller.previews import checks, preview
from luasprocs_tui.values.schedules import next_times
from luasprocs_tui.widgets.form import Form
from tests.live import put, sproc
from tests.tui.pilot import KEYS, app, listed, screen_of, until

if TYPE_CHECKING:
    from tests.servers import Server


async def test_a_value_says_what_it_would_do(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\n-- key=x*\nreturn 1"))
    client.mset({f"nap:{number}": 1 for number in range(7)})
    async with app(server).run_test(size=(100, 40)) as pilot:
        await listed(pilot)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
        pilot.app.screen.query_one("#value-key", Input).value = "nap:*"
        await until(pilot, lambda: "nap:* matches 7 keys now" in screen_of(pilot), "how many keys match")
        pilot.app.screen.query_one("#value-cron", Input).value = "0 0 1 1 *"
        await until(pilot, lambda: screen_of(pilot).count("-01-01 00:00:00") == 3, "the next three times")
        pilot.app.screen.query_one("#value-cron", Input).value = "0 0 1 1"
        await until(pilot, lambda: "cron='0 0 1 1'" in screen_of(pilot), "what is wrong")


@pytest.mark.wording
def test_who_may_not_count_keys_is_told_so(server: Server) -> None:
    server.client().execute_command("ACL", "SETUSER", "viewer", *rule("viewer", KEYS), ">pw")
    backend = RegistryBackend(server.url.replace("://", "://viewer:pw@"))
    said = preview("key", {"key": "order:*"}, backend)
    assert said == "keys that match order:* can't be counted: this user may not SCAN"


def test_previews(server: Server) -> None:
    client = server.client()
    for start in range(
        0, 250_000, 10_000
    ):  # a SCAN finds up to two for each that it asks for, while the server's table grows
        client.mset({f"k:{number}": 1 for number in range(start, start + 10_000)})
    backend = RegistryBackend(server.url)
    assert "at least" in preview("key", {"key": "k:*"}, backend)
    assert preview("key", {"key": "nothing*, k:1"}, backend).startswith("nothing* matches ")
    assert preview("key", {"key": ""}, backend) == ""
    assert preview("cron", {"cron": "nonsense"}, backend) == ""
    assert next_times(("", "1h", ""), 1_790_000_000_000).count(",") == 2


def test_what_is_wrong_with_a_value_names_its_key_once() -> None:
    assert checks()["event"]("xx").startswith("event='xx': unknown event")
