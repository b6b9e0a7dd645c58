"""A real client of the language server: what an editor sees of a repository."""

from __future__ import annotations

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from luasprocs.language.editor.colours import KINDS
from tests.lsp.conftest import BUY, MONEY

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


def at(text: str, mark: str, into: int = 0) -> types.Position:
    """The place of a mark in a text of ASCII, `into` it."""
    before = text[: text.index(mark) + into]
    return types.Position(before.count("\n"), len(before) - before.rfind("\n") - 1)


def shown(text: str, found: types.Range) -> str:
    lines = text.split("\n")
    assert found.start.line == found.end.line
    return lines[found.start.line][found.start.character : found.end.character]


async def test_a_problem_has_its_range_and_code_and_a_fix(editor):
    text = "-- evnt=set\nlocal a = 1\nreturn redis.call('GTE', KEYS[1])\n"
    editor.open("x.lua", text)
    key, command = await editor.problems("x.lua", "header.unknown-key", "lua.unknown-command")
    assert (shown(text, key.range), shown(text, command.range)) == ("evnt", "GTE")
    assert key.severity == types.DiagnosticSeverity.Error
    context = types.CodeActionContext([])
    asked = types.CodeActionParams(editor.document("x.lua"), key.range, context)
    actions = await editor.client.text_document_code_action_async(asked)
    first = actions[0]
    assert (first.title, first.is_preferred) == ("Change to event", True)
    (edit,) = first.edit.changes[editor.uri("x.lua")]
    assert (shown(text, edit.range), edit.new_text) == ("evnt", "event")
    editor.change("x.lua", "-- event=set\nreturn 1\n")
    await editor.problems("x.lua")
    editor.close("x.lua")


async def test_columns_count_as_the_client_counts(editor):
    text = "-- description=𝄞é\nlocal s = '𝄞é' print(s)\n"
    editor.open("wide.lua", text)
    (found,) = await editor.problems("wide.lua", "lua.unknown-global")
    assert (found.range.start.character, found.range.end.character) == (16, 21)  # the clef is two units of UTF-16
    editor.close("wide.lua")


async def test_lines_end_where_the_protocol_says(editor):
    editor.open("feed.lua", "-- description=a\u2028c\r\nlocal a = 'b\x0c'\rprint(a)\n")
    (found,) = await editor.problems("feed.lua", "lua.unknown-global")
    assert (found.range.start.line, found.range.start.character) == (2, 0)
    editor.close("feed.lua")


async def test_a_library_that_breaks_is_told_where_it_is_required(editor):
    editor.open("lib/money.lua")
    editor.change("lib/money.lua", MONEY.replace("library=yes", "library=no"))
    await editor.problems("buy.lua", "require.not-library")
    editor.change("lib/money.lua", MONEY)
    await editor.problems("buy.lua")
    editor.close("lib/money.lua")


@pytest.mark.parametrize(
    ("text", "mark", "some"),
    [
        ("-- de\n", "de", {"description", "event", "cron"}),
        ("-- misfire=\n", "misfire=", {"skip", "once", "all"}),
        ("-- event=set,hs\n", "set,hs", {"hset", "expired"}),
        ("-- timezone=Eur\n", "=Eur", {"Europe/Berlin"}),
        ("--[[\n  ev\n]]\nreturn 1", "ev", {"event", "every"}),
        ("--[==[ runasync=yes\n\n @typ\n]==]", "@typ", {"type"}),
        ("--[[ event=", "event=", {"set", "expired"}),
        ("return redis.call('HG", "'HG", {"HGET", "HGETALL"}),
        ("return redis.call('OBJECT', 'E", ", 'E", {"ENCODING"}),
        ("local m = require('", "require('", {"lib/money.lua"}),
        ("local m = require('lib/money.lua')\nm.", "m.", {"round"}),
        ("local m = require('lib/money.lua')\nreturn m:ro", "m:ro", {"round"}),
        ("sproc.call('", "call('", {"buy.lua", "nightly.lua"}),
        ("local a = sproc.en", "sproc.en", {"enqueue", "call", "shard"}),
        ("local count = 1\nreturn co", "return co", {"count", "cjson", "coroutine"}),
    ],
)
async def test_what_can_be_written(editor, text, mark, some):
    editor.open("typed.lua", text)
    place = at(text, mark, len(mark))
    found = await editor.client.text_document_completion_async(
        types.CompletionParams(editor.document("typed.lua"), place)
    )
    assert {one.label for one in found} >= some
    assert "MULTI" not in {one.label for one in found}
    editor.close("typed.lua")


async def test_nothing_is_offered_in_a_comment_of_the_body(editor):
    text = "return 1 -- redis.call('G"
    editor.open("typed.lua", text)
    place = types.Position(0, len(text))
    asked = types.CompletionParams(editor.document("typed.lua"), place)
    assert not await editor.client.text_document_completion_async(asked)
    editor.close("typed.lua")


async def test_what_a_word_is(editor):
    text = "-- every=5m\nreturn redis.call('LPOS', KEYS[1], 'x')\n"
    editor.open("hover.lua", text)
    document = editor.document("hover.lua")
    every = await editor.client.text_document_hover_async(types.HoverParams(document, at(text, "every", 2)))
    command = await editor.client.text_document_hover_async(types.HoverParams(document, at(text, "LPOS", 1)))
    assert "again and again" in every.contents.value
    assert "LPOS key element [RANK rank]" in command.contents.value
    misspelt = types.HoverParams(editor.document("misspelt.lua"), types.Position(0, 4))
    editor.open("misspelt.lua", "-- evnt=set\n")
    assert await editor.client.text_document_hover_async(misspelt) is None
    editor.close("misspelt.lua")
    asked = types.SignatureHelpParams(document, at(text, ", 'x'", 2))
    help_ = await editor.client.text_document_signature_help_async(asked)
    assert help_.active_parameter == 1
    assert help_.signatures[0].parameters[1].label == "element"
    editor.close("hover.lua")


async def test_where_a_librarys_member_is_defined_and_used(editor):
    editor.open("buy.lua")
    place = at(BUY, ".round", 2)
    asked = types.DefinitionParams(editor.document("buy.lua"), place)
    found = await editor.client.text_document_definition_async(asked)
    assert (found.uri, shown(MONEY, found.range)) == (editor.uri("lib/money.lua"), "round")
    context = types.ReferenceContext(True)
    named = types.ReferenceParams(context, editor.document("buy.lua"), place)
    places = await editor.client.text_document_references_async(named)
    assert {one.uri for one in places} == {editor.uri("lib/money.lua"), editor.uri("buy.lua")}
    renamed = types.RenameParams(editor.document("buy.lua"), place, "floor")
    edit = await editor.client.text_document_rename_async(renamed)
    changes = {one.text_document.uri: [change.new_text for change in one.edits] for one in edit.document_changes}
    assert changes == {editor.uri("lib/money.lua"): ["floor"], editor.uri("buy.lua"): ["floor"]}
    editor.close("buy.lua")


async def test_a_renamed_library_is_renamed_where_it_is_required(editor):
    editor.open("buy.lua")
    asked = types.RenameParams(editor.document("buy.lua"), at(BUY, "lib/money", 3), "lib/prices.lua")
    edit = await editor.client.text_document_rename_async(asked)
    change, move = edit.document_changes
    assert (change.text_document.uri, change.edits[0].new_text) == (editor.uri("buy.lua"), "lib/prices.lua")
    assert (move.old_uri, move.new_uri) == (editor.uri("lib/money.lua"), editor.uri("lib/prices.lua"))
    editor.close("buy.lua")


@pytest.mark.parametrize(
    ("word", "new"),
    [("lib/money", "../money.lua"), ("lib/money", "lib/money.lua"), (".round", "end"), (".round", "up")],
)
async def test_a_name_that_can_not_be_is_refused(editor, word, new):
    editor.open("buy.lua")
    editor.open("lib/money.lua", MONEY.replace("return M\n", "M.up = math.ceil\nreturn M\n"))
    with pytest.raises(JsonRpcException):
        await editor.client.text_document_rename_async(
            types.RenameParams(editor.document("buy.lua"), at(BUY, word, 3), new)
        )
    editor.close("lib/money.lua")
    editor.close("buy.lua")


async def test_the_next_times_of_a_schedule(editor):
    whole = types.Range(types.Position(0, 0), types.Position(9, 0))
    asked = types.InlayHintParams(editor.document("nightly.lua"), whole)
    (found,) = await editor.client.text_document_inlay_hint_async(asked)
    assert found.position == types.Position(0, len("-- cron=0 3 * * *"))
    assert found.label.count("03:00:00") == 3


async def test_the_outline_and_the_symbols_of_all(editor):
    asked = types.DocumentSymbolParams(editor.document("lib/money.lua"))
    found = await editor.client.text_document_document_symbol_async(asked)
    assert [one.name for one in found] == ["library", "description", "M.round"]
    symbols = await editor.client.workspace_symbol_async(types.WorkspaceSymbolParams("roun"))
    assert [(one.name, one.container_name) for one in symbols] == [("round", "lib/money.lua")]
    folds = await editor.client.text_document_folding_range_async(
        types.FoldingRangeParams(editor.document("lib/money.lua"))
    )
    assert [(one.start_line, one.end_line) for one in folds] == [(0, 1), (3, 4)]


async def test_the_header_alone_is_formatted(editor):
    editor.open("form.lua", "--event=set  \n---   @key a:*\n-- prose  \nlocal a=1\n")
    asked = types.DocumentFormattingParams(editor.document("form.lua"), types.FormattingOptions(2, True))
    edits = await editor.client.text_document_formatting_async(asked)
    assert [(one.range.start.line, one.new_text) for one in edits] == [(0, "-- event=set"), (1, "-- @key a:*")]
    editor.change("form.lua", "-- event=set\n-- @key a:*\n-- prose  \nlocal a=1\n")
    assert not await editor.client.text_document_formatting_async(asked)
    editor.close("form.lua")


async def test_words_that_a_grammar_does_not_know_have_colours(editor):
    text = "-- event=set\nlocal m = require('lib/money.lua')\nreturn m.round(redis.call('GET', KEYS[1]))\n"
    editor.open("colour.lua", text)
    asked = types.SemanticTokensParams(editor.document("colour.lua"))
    data = list((await editor.client.text_document_semantic_tokens_full_async(asked)).data)
    found, line, column = [], 0, 0
    for lines, columns, length, kind, _ in zip(*[iter(data)] * 5, strict=True):
        column, line = columns + (0 if lines else column), line + lines
        found.append((text.split("\n")[line][column : column + length], KINDS[kind]))
    assert found == [
        ("event", "property"),
        ("set", "enumMember"),
        ("round", "method"),
        ("redis", "namespace"),
        ("GET", "macro"),
        ("KEYS", "parameter"),
    ]
    editor.close("colour.lua")


async def test_a_file_that_comes_and_goes_on_disk(editor, folder):
    path = folder / "broken.lua"
    path.write_text("return (\n")
    made = types.FileEvent(path.as_uri(), types.FileChangeType.Created)
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([made]))
    await editor.problems("broken.lua", "lua.syntax")
    path.unlink()
    gone = types.FileEvent(path.as_uri(), types.FileChangeType.Deleted)
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([gone]))
    await editor.problems("broken.lua")


async def test_a_file_too_large_for_a_sproc_costs_nobody_a_wait(editor, folder):
    text = "local a = 1\n" * 900_000
    path = folder / "large.lua"
    path.write_text(text)
    for kind in (types.FileChangeType.Created, types.FileChangeType.Deleted):
        event = types.FileEvent(path.as_uri(), kind)
        editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
        await editor.problems("large.lua", *(["file.too-large"] if path.exists() else []))
        path.unlink(missing_ok=True)
    editor.open("large.lua", text)
    await editor.problems("large.lua", "file.too-large")
    asked = types.DocumentSymbolParams(editor.document("large.lua"))
    assert await editor.client.text_document_document_symbol_async(asked) is None
    editor.close("large.lua")


async def test_files_that_are_no_sprocs_and_nonsense_change_nothing(editor, folder):
    (folder.parent / "notes.lua").write_text("return (\n")
    for uri in (
        (folder.parent / "notes.lua").as_uri(),
        "untitled:Untitled-1",
        "file:///nowhere/x.txt",
        ":",
        "git:/a.lua",
    ):
        editor.client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "lua", 1, "return ("))
        )
        asked = types.HoverParams(types.TextDocumentIdentifier(uri), types.Position(99, 99))
        assert await editor.client.text_document_hover_async(asked) is None
        editor.client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri)))
    editor.open("far.lua", "return 1")
    asked = types.HoverParams(editor.document("far.lua"), types.Position(2_000_000_000, 2_000_000_000))
    assert await editor.client.text_document_hover_async(asked) is None
    editor.close("far.lua")
