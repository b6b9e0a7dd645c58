"""Redis goes, hangs, refuses or is another one: the editor's own answers come all the same, and it is said once."""

from __future__ import annotations

import os
import signal

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.server.acl import rule
from luasprocs.server.connection import connect
from tests.lsp.conftest import own
from tests.lsp.raw import RefusedError
from tests.servers import KINDS, Server
from tests.until import until


def answers(editor) -> None:
    """What the protocol itself asks is answered, by what is on disk and in buffers."""
    editor.open("typed.lua", "-- evnt=set\nreturn 1\n")
    where = {"textDocument": {"uri": editor.uri("typed.lua")}}
    editor.request("textDocument/hover", {**where, "position": {"line": 0, "character": 4}})
    editor.lenses("typed.lua")
    editor.hints("typed.lua")
    editor.own("state")
    editor.close("typed.lua")


def said(editor) -> list[str]:
    return [one["message"] for one in editor.notified("window/logMessage")]


def test_a_server_that_hangs_costs_the_editor_nothing_and_comes_back(shop, ann):
    os.kill(shop.server.pid, signal.SIGSTOP)
    try:
        since = len(ann.came)
        number = ann.ask("luasprocs/live", {"name": "own0.lua"})
        answers(ann)
        assert not [one for one in ann.came if one.get("id") == number], "they came before what waits for Redis"
        error = ann.state(lambda state: not state["connected"], since)["error"]
        answers(ann)
        with pytest.raises(RefusedError) as refused:
            ann.answer(number)
        assert refused.value.code == "not_connected"
        assert said(ann) == [f"luasprocs: no live data: {error}"]
    finally:
        os.kill(shop.server.pid, signal.SIGCONT)
    ann.state(lambda state: state["connected"], since)
    assert ann.own("live", name="own0.lua")["source"] == own(0)


def test_a_server_that_was_killed_and_one_elsewhere(shop, colleague, tmp_path):
    place = shop.repo.path / ".luasprocs"
    place.mkdir(exist_ok=True)
    file = place / "server.toml"
    mine, other = (
        Server(KINDS[0], tmp_path / name).start() for name in ("mine", "other") if not (tmp_path / name).mkdir()
    )
    try:
        file.write_text(f'redis = "{mine.url}"\n')
        editor = colleague(LUASPROCS_REDIS="").connected()
        state = editor.own("state")
        assert (state["redis"], state["generation"], [one["code"] for one in state["findings"]]) == (
            mine.url,
            0,
            ["behind"],
        )
        with pytest.raises(RefusedError) as refused:
            editor.own("run", name="own0.lua")
        assert refused.value.code == "no_sproc"
        editor.open("own0.lua")
        assert editor.lenses("own0.lua") == ["Debug"]
        mine.kill()
        first = editor.state(lambda state: state["error"])["error"]
        answers(editor)
        file.write_text("redis = 1\n")
        editor.state(lambda state: state["error"] != first and "server.toml" in str(state["error"]))
        file.write_text(f'redis = "{mine.url}"\n')
        with pytest.raises(RefusedError) as refused:
            editor.own("list")
        assert refused.value.code == "not_connected"
        assert len(said(editor)) == 1
        since = len(editor.came)
        mine.restart()
        assert editor.state(lambda state: state["connected"], since)["redis"] == mine.url
        mine.kill()
        file.write_text(f'redis = "{other.url}"\n')
        assert editor.state(lambda state: state["redis"] == other.url and state["connected"])["generation"] == 0
        assert editor.own("list") == {"sprocs": []}
    finally:
        mine.stop()
        other.stop()
        file.unlink()


def test_a_password_that_is_refused_is_said_once_and_taken_when_it_is_right(shop, colleague):
    with connect(shop.server.url) as client:
        client.config_set("requirepass", "secret")
        try:
            editor = colleague(LUASPROCS_REDIS=shop.server.url.replace("://", "://:wrong@"))
            error = editor.state(lambda state: state["error"])["error"]
            answers(editor)
            with pytest.raises(RefusedError) as refused:
                editor.own("list")
            assert refused.value.code == "not_connected"
            assert said(editor) == [f"luasprocs: no live data: {error}"]
            assert not any("wrong" in str(one) for one in editor.came)
            client.config_set("requirepass", "wrong")
            editor.connected()
        finally:
            client.config_set("requirepass", "")


def test_who_may_only_look_sees_all_but_keys_and_changes_nothing(shop, colleague):
    with connect(shop.server.url) as client:
        client.execute_command("ACL", "SETUSER", "eve", *rule("viewer", Keys()), ">pw")
    editor = colleague(LUASPROCS_REDIS=shop.server.url.replace("://", "://eve:pw@")).connected()
    editor.open("glob.lua", "-- event=set\n-- key=user:*\nreturn 1\n")
    editor.open("own0.lua")
    editor.hints("glob.lua")
    until(lambda: any(one.startswith("live: ") for one in editor.lenses("own0.lua")))
    assert editor.hints("glob.lua") == []
    assert editor.own("list")["sprocs"]
    with pytest.raises(RefusedError) as refused:
        editor.own("pause", name="own0.lua", paused=True)
    assert refused.value.code == "refused"
    assert said(editor) == []


def test_settings_that_can_t_be_used_are_said(colleague):
    editor = colleague(LUASPROCS_REDIS="http://127.0.0.1")
    editor.state(lambda state: state["error"] and not state["connected"])
    answers(editor)


def test_a_flood_of_executions_is_told_in_part(shop, ann):
    ann.own("tail", on=True)
    with connect(shop.server.url) as client:
        pipe = client.pipeline(transaction=False)
        ann.own("run", name="own0.lua", keys=["flood"])
        ann.told("luasprocs/executions", lambda one: one["records"])
        for _ in range(5000):
            pipe.execute_command("FCALL", "luasprocs_run", 1, "flood", "own0.lua", "a@b")
        pipe.execute()
    answers(ann)
    until(lambda: any(one["dropped"] for one in ann.notified("luasprocs/executions")))
    assert all(len(one["records"]) <= 200 for one in ann.notified("luasprocs/executions"))

    def last_came() -> bool:
        ann.own("run", name="own0.lua", keys=["last"])
        return any(one["records"][-1]["key"] == "last" for one in ann.notified("luasprocs/executions"))

    until(last_came)


def test_more_requests_than_anybody_has_are_refused_and_the_rest_answered(ann):
    slow = ann.ask("luasprocs/run", {"name": "slow.lua"})
    numbers = [ann.ask("luasprocs/live", {"name": "own0.lua"}) for _ in range(150)]
    found = []
    for number in numbers:
        try:
            found.append(ann.answer(number)["source"])
        except RefusedError as error:
            found.append(error.code)
    assert ann.answer(slow)["text"] == "(nil)"
    assert set(found) == {own(0), "busy"}
    assert found.count(own(0)) >= 99
