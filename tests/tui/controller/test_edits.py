from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import pytest
from textual.app import App
from textual.widgets import Input

from luasprocs.registry.edits import edits_of
from luasprocs.registry.live import read_live
from luasprocs.server.registry import Registry
from luasprocs_tui.widgets.dialog import Choose, Confirm
from luasprocs_tui.widgets.form import Form
from tests.live import put, sproc
from tests.tui.pilot import KEYS, TO_ACT_ON, app, choose, screen_of, shows, until

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis
    from textual.pilot import Pilot

    from tests.servers import Server


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
        await shows(pilot, "Undo the edit of a.lua?", "a.lua, edited live by")
        assert client.hget(KEYS.name("a.lua"), "key") == b"nap*"
        await pilot.press("tab", "enter")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "key") == b"dream*", "the undo")


async def test_undo_of_what_was_committed_shows_the_change_and_reverts_it_live(server: Server, client: Redis) -> None:
    put(
        client,
        *(sproc(name, source) for name, source in TO_ACT_ON.items() if name != "a.lua"),
        sproc("a.lua", "return 2"),
    )
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("u")
        await shows(pilot, "Revert the last change of a.lua?", "-return 2", "+return KEYS[1]", "T <t@t>")
        assert client.hget(KEYS.name("a.lua"), "source") == b"return 2"
        await pilot.press("tab", "enter")
        await until(
            pilot, lambda: client.hget(KEYS.name("a.lua"), "source") == TO_ACT_ON["a.lua"].encode(), "the revert"
        )
        assert [one.name for one in edits_of(read_live(Registry(client, KEYS)))] == ["a.lua"]
        await pilot.press("u")
        await shows(pilot, "Undo the edit of a.lua?")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "source") == b"return 2", "the undo of the revert")
        await choose(pilot, "hello.lua")
        await pilot.press("u")
        await shows(pilot, "hello.lua has no change to undo")


async def test_an_edit_of_what_changed_meanwhile_shows_both_and_asks(server: Server, client: Redis) -> None:
    async with app(server).run_test(size=(100, 30), notifications=True) as pilot:
        await choose(pilot, "a.lua")
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
        put(client, *(sproc(name, source + "\n-- by another\n") for name, source in TO_ACT_ON.items()))
        pilot.app.screen.query_one("#value-key", Input).value = "nap*"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "has changed since" in screen_of(pilot), "the question")
        assert "by another" in screen_of(pilot)
        assert "key = nap*" in screen_of(pilot)
        assert client.hget(KEYS.name("a.lua"), "key") == b"dream*"
        await pilot.press("escape", "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form again")
        put(client, *(sproc(name, source + "\n-- by a third\n") for name, source in TO_ACT_ON.items()))
        pilot.app.screen.query_one("#value-key", Input).value = "nap*"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "has changed since" in screen_of(pilot), "the question again")
        await pilot.press("tab", "enter")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "key") == b"nap*", "the edit on top")
        assert "by a third" in str(client.hget(KEYS.name("a.lua"), "source"))


def editor(path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """One that does something with the text `t`; drafts are kept below `path`."""
    script = path / "editor.py"
    script.write_text(
        f"import pathlib, sys\np = pathlib.Path(sys.argv[1])\nt = p.read_text()\n{code}\np.write_text(t)\n"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")
    monkeypatch.setenv("XDG_STATE_HOME", str(path / "state"))
    monkeypatch.setattr(App, "suspend", lambda self: contextlib.nullcontext())  # a test has no terminal to give


def drafts(path: Path) -> list[str]:
    return [one.read_text() for one in (path / "state").rglob("*") if one.is_file()]


def colleague(client: Redis) -> None:
    put(client, *(sproc(name, source + "\n-- by another\n") for name, source in TO_ACT_ON.items()))


def live_source(client: Redis) -> str:
    return str(client.hget(KEYS.name("hello.lua"), "source"))


async def asked(pilot: Pilot[None], dialog: type) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, dialog), "the question")


async def test_an_edit_has_one_base_its_own(
    server: Server, client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E, conflict, Cancel, then E and :q! changes nothing; neither does Keep."""
    editor(tmp_path, monkeypatch, "t = 'return return'")
    async with app(server).run_test(size=(120, 40), notifications=True) as pilot:
        await choose(pilot, "hello.lua")
        await pilot.press("E")
        await until(pilot, lambda: "hello.lua:1" in screen_of(pilot), "what is wrong")
        colleague(client)
        editor(tmp_path, monkeypatch, "t = 'return 1 --mine'")
        await pilot.press("E")
        await asked(pilot, Confirm)
        assert "by another" in screen_of(pilot)
        await pilot.press("escape")
        editor(tmp_path, monkeypatch, "assert t == 'return 1 --mine'")
        await pilot.press("E")
        await asked(pilot, Choose)
        await pilot.press("enter")  # keep
        await until(pilot, lambda: "kept as a draft" in screen_of(pilot), "that it is kept")
        assert "by another" in live_source(client)
        assert drafts(tmp_path) == ["return 1 --mine"]
        await pilot.press("E")
        await asked(pilot, Choose)
        await pilot.press("down", "enter")  # apply: on its own base, which is not live any more
        await asked(pilot, Confirm)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: "mine" in live_source(client), "the edit on top")
        await until(pilot, lambda: drafts(tmp_path) == [], "no draft any more")


async def test_drafts_outlive_another_edit_and_an_editor_that_failed(
    server: Server, client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, "p.write_text('return 7 --saved'); sys.exit(3)")
    async with app(server).run_test(size=(120, 40), notifications=True) as pilot:
        await choose(pilot, "hello.lua")
        await pilot.press("E")
        await until(pilot, lambda: "exit code 3" in screen_of(pilot), "that it failed")
        assert drafts(tmp_path) == ["return 7 --saved"]
        editor(tmp_path, monkeypatch, "t += '-- tick'")
        await choose(pilot, "tick.lua")
        await pilot.press("E")
        await until(pilot, lambda: b"-- tick" in (client.hget(KEYS.name("tick.lua"), "source") or b""), "another edit")
        await until(pilot, lambda: drafts(tmp_path) == ["return 7 --saved"], "the draft of before alone")
        assert "saved" not in live_source(client)
    editor(tmp_path, monkeypatch, "")
    async with app(server).run_test(size=(120, 40), notifications=True) as pilot:  # another day
        await choose(pilot, "hello.lua")
        await pilot.press("E")
        await asked(pilot, Choose)
        await pilot.press("down", "down", "enter")  # drop
        await until(pilot, lambda: drafts(tmp_path) == [], "that it is dropped")
        await pilot.press("E")
        await until(pilot, lambda: "nothing was changed" in screen_of(pilot), "an unchanged file")
    assert "saved" not in live_source(client)


async def form_of(pilot: Pilot[None]) -> Form:
    """The form of a.lua's header, opened anew."""
    await choose(pilot, "a.lua")
    await pilot.press("e")
    await until(pilot, lambda: isinstance(pilot.app.screen, Form), "the form")
    found = pilot.app.screen
    assert isinstance(found, Form)
    return found


def value(form: Form, key: str = "key") -> str:
    return form.query_one(f"#value-{key}", Input).value


async def test_what_is_typed_into_a_form_is_kept_until_it_is_applied(
    server: Server, client: Redis, drafts_folder: Path
) -> None:
    """Whatever ends it: the screen's own end, a conflict that is cancelled, escape."""
    async with app(server).run_test(size=(120, 40), notifications=True) as pilot:
        form = await form_of(pilot)
        form.query_one("#value-key", Input).value = "nap*"
        form.query_one("#value-event", Input).value = ""
        await pilot.pause()
    colleague(client)
    async with app(server).run_test(size=(120, 40), notifications=True) as pilot:
        form = await form_of(pilot)
        assert (value(form), value(form, "event"), value(form, "timeout")) == ("nap*", "", "")
        assert form.query_one("#key-event").has_class("changed")
        form.query_one("#value-event", Input).value = "set"
        await pilot.press("ctrl+s")
        await asked(pilot, Confirm)  # it was typed on what is live no more
        assert "by another" in screen_of(pilot)
        await pilot.press("escape")
        form = await form_of(pilot)
        assert (value(form), value(form, "event")) == ("nap*", "set")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "kept as a draft" in screen_of(pilot), "that it is kept")
        assert client.hget(KEYS.name("a.lua"), "key") == b"dream*"
        form = await form_of(pilot)
        await pilot.press("ctrl+s")
        await asked(pilot, Confirm)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: client.hget(KEYS.name("a.lua"), "key") == b"nap*", "the edit on top")
        await until(pilot, lambda: not files(drafts_folder), "no draft any more")
        assert "by another" in str(client.hget(KEYS.name("a.lua"), "source"))


async def test_a_draft_of_a_form_is_dropped_by_who_says_so(server: Server, client: Redis, drafts_folder: Path) -> None:
    async with app(server).run_test(size=(120, 40), notifications=True) as pilot:
        form = await form_of(pilot)
        form.query_one("#value-key", Input).value = "nap*"
        await until(pilot, lambda: files(drafts_folder) != [], "the draft")
        assert [one.stat().st_mode & 0o777 for one in files(drafts_folder)] == [0o600]
        await pilot.press("ctrl+r")
        await until(pilot, lambda: not isinstance(pilot.app.screen, Form), "the end of the form")
        assert not files(drafts_folder)
        assert value(await form_of(pilot)) == "dream*"
    assert client.hget(KEYS.name("a.lua"), "key") == b"dream*"


def files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


@pytest.mark.wording
async def test_where_there_is_no_terminal_the_editor_says_what_to_do_instead(server: Server, client: Redis) -> None:
    """As in a browser: nothing can be suspended."""
    async with app(server).run_test(size=(120, 40), notifications=True) as pilot:
        await choose(pilot, "hello.lua")
        await pilot.press("E")
        await until(pilot, lambda: "luasprocs edit hello.lua" in screen_of(pilot), "what to do instead")
        await pilot.press("e")
        await until(pilot, lambda: "Header of hello.lua" in screen_of(pilot), "the form, as it says")
    assert client.exists(KEYS.name("hello.lua"))
