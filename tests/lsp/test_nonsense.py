"""A client that sends nonsense, and files that are none: the server answers, goes on, and says each thing once."""

from __future__ import annotations

import os

import pytest

from tests.lsp.raw import RawEditor, RefusedError


def started(folder) -> RawEditor:
    return RawEditor(folder.parent, {**os.environ, "LUASPROCS_REDIS": "redis://127.0.0.1:1"}).start()


@pytest.fixture(scope="module")
def editor(folder):
    one = started(folder)
    yield one
    assert one.end() == 0


def refused(editor, method, params):
    with pytest.raises(RefusedError) as error:
        editor.request(method, params)
    return error.value


def test_wrong_params_and_unknown_methods_are_errors(editor):
    assert refused(editor, "luasprocs/nothing", {}).number == -32601
    assert refused(editor, "no such method", [1]).number == -32601
    for method, params in (
        ("textDocument/hover", {"textDocument": 1}),
        ("textDocument/hover", None),
        ("textDocument/completion", []),
        ("textDocument/codeLens", "x"),
        ("luasprocs/run", {}),
        ("luasprocs/run", [1, 2]),
        ("luasprocs/run", {"name": 1}),
        ("luasprocs/run", {"name": "a", "keys": "k"}),
        ("luasprocs/run", {"name": "\ud800"}),
        ("luasprocs/publish", {"uri": None}),
        ("luasprocs/publish", {"uri": "file:///a", "force": "b"}),
        ("luasprocs/history", {"limit": -1}),
        ("luasprocs/rollback", {"name": "a", "generation": True}),
        ("luasprocs/setMetadata", {"name": "a", "changes": {"a": 1}, "blob": ""}),
        ("luasprocs/tail", {"on": "yes"}),
    ):
        assert refused(editor, method, params).number == -32602, (method, params)
    assert refused(editor, "luasprocs/run", {"name": 1}).code == "params"
    assert editor.request("luasprocs/state", None)["connected"] is False


def test_messages_that_are_none_end_nothing_and_are_said_once(editor):
    for body in (b"{", b"[]", b"null", b"1", b'"x"', b"{}", b"\xff\xfe", b"[" * 20_000, b'{"jsonrpc":"2.0"}') * 3:
        editor.send_bytes(body)
    for message in ({"method": 5}, {"id": {}, "method": "x"}, {"method": "textDocument/didOpen", "params": {}}) * 3:
        editor.send(message)
    editor.notify("$/cancelRequest", {"id": 99})
    unknown = {"uri": "file:///a.lua", "version": 1}
    editor.notify("textDocument/didChange", {"textDocument": unknown, "contentChanges": [{"text": "x"}]})
    editor.notify("luasprocs/run", {"name": "a"})
    editor.send({"id": 12345, "result": None})
    editor.open("fine.lua", "-- evnt=set\n")
    editor.problems("fine.lua", ["header.unknown-key"])
    logged = [one["message"] for one in editor.notified("window/logMessage")]
    assert len(logged) == len(set(logged)) <= 20
    assert not editor.notified("window/showMessage")


def test_half_a_message_is_the_end_of_the_client(folder):
    editor = started(folder)
    editor.send_bytes(b'{"jsonrpc": "2.0", "method": "initia', size=1000)
    assert editor.process.stdin is not None
    editor.process.stdin.close()
    assert editor.process.wait(20) == 0
    editor.kill()


def test_files_that_go_and_are_renamed_while_they_are_open(folder, editor):
    since = len(editor.came)
    path = folder / "going.lua"
    path.write_text("-- evnt=set\n")
    editor.open("going.lua")
    editor.problems("going.lua", ["header.unknown-key"], since)
    path.rename(path.with_name("gone.lua"))
    renamed = {"oldUri": editor.uri("going.lua"), "newUri": editor.uri("gone.lua")}
    editor.notify("workspace/didRenameFiles", {"files": [renamed]})
    editor.problems("gone.lua", ["header.unknown-key"], since)
    since = len(editor.came)
    editor.close("going.lua")
    editor.problems("going.lua", [], since)
    editor.open("gone.lua")
    editor.open("gone.lua", "-- evnt=set\nreturn (\n")  # a second window
    path.with_name("gone.lua").unlink()
    editor.notify("workspace/didDeleteFiles", {"files": [{"uri": editor.uri("gone.lua")}]})
    editor.problems("gone.lua", ["header.unknown-key", "lua.syntax"], since)
    editor.close("gone.lua")
    editor.problems("gone.lua", [], since)


def test_what_is_not_utf_8_or_half_written_is_a_problem_of_its_own(folder, editor):
    path = folder / "half.lua"
    path.write_bytes(b"-- description=\xff\nreturn (")
    changed = {"changes": [{"uri": editor.uri("half.lua"), "type": 1}]}
    editor.notify("workspace/didChangeWatchedFiles", changed)
    editor.problems("half.lua", ["encoding.not-utf-8", "header.bad-value"])
    since = len(editor.came)
    path.write_bytes(b"return 1\n")
    editor.notify("workspace/didChangeWatchedFiles", changed)
    editor.problems("half.lua", [], since)
    path.unlink()


def test_half_of_a_character_is_a_byte_that_is_no_utf_8(editor):
    """JSON can write it. Such a text was not read at all: what was wrong with the one before it stayed."""
    editor.open("odd.lua", "return nope\n")
    editor.problems("odd.lua", ["lua.unknown-global"])
    editor.change("odd.lua", "return '\ud83d'\n")
    editor.problems("odd.lua", ["encoding.not-utf-8"])
    assert not [one for one in editor.notified("window/logMessage") if "surrogates" in one["message"]]
    editor.close("odd.lua")
