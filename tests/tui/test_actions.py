"""What the screen does, key by key, against real servers: pause, run, edit, jobs, schedules, history, commands, help."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError
from textual import events
from textual.widgets import Button, Input

from luasprocs.contract.keys import Keys
from luasprocs.errors import OutcomeUnknownError, ServerUnreachableError
from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import read_live
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import read_jobs
from luasprocs_tui import actions
from luasprocs_tui.app import TuiApp
from luasprocs_tui.backend.registry_backend import RegistryBackend
from luasprocs_tui.cli import run
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.settings import Context
from luasprocs_tui.widgets.dialog import Ask, Confirm, Show
from luasprocs_tui.widgets.form import Form
from luasprocs_tui.widgets.table import Table
from tests.live import put, sproc
from tests.paths import ROOT
from tests.tui.test_sprocs_screen import listed, screen_of, until
from tests.until import until as wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis import Redis
    from textual.pilot import Pilot

    from tests.conftest import OwnServer
    from tests.servers import Server

KEYS = Keys()
TITLES = {
    "sprocs": "In the list",
    "source": "At one sproc",
    "executions": "At the executions (`x`)",
    "record": "At one execution (`enter`)",
    "stats": "At the stats (`i`)",
    "cron": "At the schedules (`c`)",
    "jobs": "At the jobs (`J`)",
    "history": "At the history (`h`)",
    "everywhere": "Everywhere",
}
"""Where docs/screen.md says which keys a screen has."""
SOURCES = {
    "a.lua": "-- event=set\n-- key=dream*\nredis.call('SET', 'copied', KEYS[1])\nreturn KEYS[1]\n",
    "hello.lua": "return 'hello ' .. (ARGV[1] or '[/bold]\\27[31m') .. ' ' .. #KEYS",
    "late.lua": "-- runasync=yes\nerror('dead')\n",
    "tick.lua": "-- every=1h\nreturn 1\n",
}


@pytest.fixture
def client(server: Server) -> Redis:
    found = server.client()
    put(found, *(sproc(name, source) for name, source in SOURCES.items()))
    return found


def app(server: Server, **options: Any) -> TuiApp:
    return TuiApp(Context("", server.url), refresh_s=0.2, poll_s=0.1, **options)


async def choose(pilot: Pilot[None], name: str) -> None:
    """Moves the cursor to a sproc."""
    await listed(pilot)
    table = pilot.app.screen.query_one(Table)
    for _ in range(20):
        if table.selected == name:
            return
        await pilot.press("j")
    pytest.fail(screen_of(pilot))


async def test_a_header_is_edited_live(server: Server, client: Redis, size: tuple[int, int]) -> None:
    async with app(server).run_test(size=size, notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
        field = pilot.app.screen.query_one("#value-key", Input)
        field.value = ""
        await pilot.pause()
        field.value = "nap*"
        pilot.app.screen.query_one("#value-timeout", Input).value = "soon"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert isinstance(pilot.app.screen, Form), "a bad value must not be applied"
        assert "timeout" in screen_of(pilot)
        pilot.app.screen.query_one("#value-timeout", Input).value = "2s"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "key") == b"nap*", "the edit in Redis")
        assert client.hget(KEYS.name("a.lua"), "timeout") == b"2s"
        assert [one.name for one in edits_of(read_live(Registry(client, KEYS)))] == ["a.lua"]
        await until(pilot, lambda: "edited" in screen_of(pilot), "the badge of the edit")
        await pilot.press("u")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "key") == b"dream*", "the undo")


async def test_an_edit_of_what_changed_meanwhile_shows_both_and_asks(server: Server, client: Redis) -> None:
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
        put(client, *(sproc(name, source + "\n-- by another\n") for name, source in SOURCES.items()))
        pilot.app.screen.query_one("#value-key", Input).value = "nap*"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "has changed since" in screen_of(pilot), "the question")
        assert "by another" in screen_of(pilot)
        assert "key = nap*" in screen_of(pilot)
        assert client.hget(KEYS.name("a.lua"), "key") == b"dream*"
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form again")
        put(client, *(sproc(name, source + "\n-- by a third\n") for name, source in SOURCES.items()))
        pilot.app.screen.query_one("#value-key", Input).value = "nap*"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "has changed since" in screen_of(pilot), "the question again")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "key") == b"nap*", "the edit on top")
        assert "by a third" in str(client.hget(KEYS.name("a.lua"), "source"))


async def test_pause_and_resume(server: Server, client: Redis) -> None:
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("p")
        await until(pilot, lambda: bool(client.sismember(KEYS.paused, "a.lua")), "the pause in Redis")
        await until(pilot, lambda: "paused" in screen_of(pilot), "the pause on the screen")
        await pilot.press("p")
        await until(pilot, lambda: not client.exists(KEYS.paused), "the resume")


async def test_keys_that_come_at_once_go_where_they_belong(server: Server, client: Redis) -> None:
    """As one packet of a slow line brings them: of what is typed into the filter, nothing is an action."""
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        driver = pilot.app._driver
        assert driver is not None
        for _ in range(3):
            for key in ("escape", "slash", *"paR", "enter"):
                driver.send_message(events.Key(key, {"slash": "/"}.get(key, key if len(key) == 1 else None)))
        await until(pilot, lambda: pilot.app.screen.query_one(Input).value == "paR", "the filter")
        await pilot.pause(0.3)
        assert pilot.app.screen.query_one(Input).value == "paR"
        assert len(pilot.app.screen_stack) == 1
        assert not client.smembers(KEYS.paused)


async def test_a_key_that_was_given_already_is_not_missed(server: Server) -> None:
    """After a key that took longer than anyone waits, two may want to give out the same next one."""
    async with app(server).run_test(size=(100, 30)) as pilot:
        shown = pilot.app
        assert isinstance(shown, TuiApp)
        await listed(pilot)
        await shown._give(shown._turn)
        await pilot.press("x")
        await until(pilot, lambda: len(shown.screen_stack) == 2, "the next key")


async def test_run_shows_the_reply_and_no_escape(server: Server, client: Redis) -> None:
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "hello.lua")
        for words, wanted in ((("k1 'k 2'", "you"), "hello you 2"), (("", ""), "hello [/bold]")):
            await pilot.press("R")
            await until(pilot, lambda: isinstance(pilot.app.screen, Ask), "the question")
            for number, text in enumerate(words):
                pilot.app.screen.query_one(f"#line-{number}", Input).value = text
            await pilot.click("#go")
            await until(pilot, lambda: isinstance(pilot.app.screen, Show), "the reply")
            await until(pilot, lambda wanted=wanted: wanted in screen_of(pilot), "the reply's text")  # type: ignore[misc]
            assert "\x1b" not in screen_of(pilot)
            await pilot.press("escape")
    assert client.hget(KEYS.stats("hello.lua"), "runs") == b"2"


async def test_read_only_changes_nothing(server: Server, client: Redis) -> None:
    async with app(server, read_only=True).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        for key in ("p", "e", "R", "u", "s", "S"):
            await pilot.press(key)
            await pilot.pause()
        assert len(pilot.app.screen_stack) == 1
        assert not client.exists(KEYS.paused, KEYS.suspended, KEYS.control)


async def test_schedules_jobs_and_history(server: Server, client: Redis) -> None:
    put(client, *(sproc(name, source + "-- two\n") for name, source in SOURCES.items()))
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


async def test_a_failing_execution_opens_at_its_line(server: Server, client: Redis) -> None:
    source = "local a = 1\n" * 60 + "error('here')\n" + "local b = 2\n" * 60
    put(client, sproc("long.lua", source))
    with pytest.raises(ResponseError):
        client.execute_command("FCALL", KEYS.function("run"), 0, "long.lua", "me")
    async with app(server).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        await pilot.press("x")
        await until(pilot, lambda: "long.lua" in screen_of(pilot), "the record")
        await pilot.press("enter")
        await until(pilot, lambda: "> 61  error('here')" in screen_of(pilot), "the line in the record")
        await pilot.press("s")
        await until(pilot, lambda: "61> error('here')" in screen_of(pilot), "the marked line")


async def test_commands_and_help(server: Server, client: Redis) -> None:
    assert client.ping()
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await listed(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(pilot.app.screen, Show), "the help")
        await until(pilot, lambda: "Shows names as folders" in screen_of(pilot), "the help's text")
        await pilot.press("escape", "colon", *"cron", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, CronScreen), "the schedules")
        await pilot.press("escape", "colon", *"nonsense", "enter")
        await until(pilot, lambda: "no command nonsense" in screen_of(pilot), "the refusal")


async def test_a_deed_that_nothing_answers_is_unknown_and_one_that_was_never_sent_is_not(own_server: OwnServer) -> None:
    own = own_server()
    client = own.client()
    put(client, *(sproc(name, source) for name, source in SOURCES.items()))
    async with app(own).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        client.client_pause(600_000, all=False)  # writes only: a connection that is made first is no write
        await pilot.press("p")
        await until(pilot, lambda: "unknown whether it was done" in screen_of(pilot), "what is not known")
        client.client_unpause()
        await until(pilot, lambda: "unknown whether" not in screen_of(pilot), "its end")
        own.kill()
        await pilot.press("p")
        await until(pilot, lambda: "nothing answers at" in screen_of(pilot), "what is wrong")
        await pilot.pause(0.5)
        assert "unknown" not in screen_of(pilot)


def test_a_request_that_was_made_before_the_server_died_is_unknown(own_server: OwnServer) -> None:
    """The daemon may have done it: that nothing answers any more says nothing about that."""
    own = own_server()
    client = own.client()
    backend = RegistryBackend(own.url)

    def kill() -> None:
        wait_for(lambda: client.xlen(KEYS.control))
        own.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(OutcomeUnknownError, match="unknown whether it was done"):
        backend.sync()
    killer.join()
    with pytest.raises(ServerUnreachableError, match="nothing answers"):
        backend.sync()


async def test_what_a_value_would_do_comes_too_late_for_a_warning(server: Server) -> None:
    answers: list[Callable[[], object]] = []

    def slow(key: str, values: Mapping[str, str], then: Callable[[str], object]) -> None:
        answers.append(lambda: then(f"{values[key]} matches 0 keys now"))

    async with app(server).run_test(size=(100, 30)) as pilot:
        form = Form("a.lua", {"key": "nap*"}, ["key"], {}, slow)
        pilot.app.push_screen(form)
        await until(pilot, lambda: pilot.app.screen is form, "the form")
        form.query_one("#value-key", Input).value = "doze*"
        await until(pilot, lambda: len(answers) == 1, "the question")
        await pilot.press("escape")
        await until(pilot, lambda: "(key) is not applied" in screen_of(pilot), "the warning")
        answers[0]()
        await pilot.pause()
        assert "(key) is not applied" in screen_of(pilot)


async def test_what_was_typed_into_the_form_goes_with_the_second_escape(server: Server, client: Redis) -> None:
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Form), "an unchanged form is left at once")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form again")
        for value in ("nap*", "doze*"):
            pilot.app.screen.query_one("#value-key", Input).value = value
            await pilot.pause()
            await pilot.press("escape")
            await until(pilot, lambda: "(key) is not applied" in screen_of(pilot), "the warning")
            assert isinstance(pilot.app.screen, Form)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Form), "the end")
        assert client.hget(KEYS.name("a.lua"), "key") == b"dream*"


def test_every_action_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "screen.md").read_text(encoding="utf-8")
    for place, title in TITLES.items():
        table = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
        wanted = [one for one in actions.ACTIONS if place in one.where]
        for one in wanted:
            key = f"`{actions.key_of(one)}`" if actions.key_of(one) else ""
            takes = f" {one.takes}" if one.takes else ""
            assert f"| {key} | `:{one.name.replace('_', '-')}{takes}` | {one.says} |" in table, (title, one.name)
        assert table.count("\n| ") == len(wanted) + 2, title


def test_a_command_that_is_none_is_said() -> None:
    assert run(["--command", "nonsense"]) == 2
