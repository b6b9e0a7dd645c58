"""Whatever a buffer has while somebody types in it, an answer is an answer, and its places are in the text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from luasprocs.language.analysis import analyse
from luasprocs.language.editor import navigation
from luasprocs.language.editor.colours import coloured
from luasprocs.language.editor.command_docs import kept
from luasprocs.language.editor.completion import Names, complete
from luasprocs.language.editor.fixes import fixes, readonly
from luasprocs.language.editor.formatting import formatted
from luasprocs.language.editor.hints import schedule_hints
from luasprocs.language.editor.hover import hover, signature
from luasprocs.language.editor.outline import folds, symbols
from luasprocs.language.header import fields_of
from luasprocs.language.places import Lines

PIECES = st.sampled_from(
    [
        *(
            "-- ",
            "--[[",
            "]]",
            "--[==[",
            "event=",
            "cron=*/5 * * * *",
            "evry=5m",
            "@every 5m",
            "#!lua flags=no-writes",
            "\n",
            "\r",
            "\r\n",
        ),
        *(
            "redis.call(",
            "'GET'",
            "'OBJECT', 'EN",
            '"',
            "'",
            "\\",
            "[[",
            "require('lib/a.lua')",
            "sproc.call('",
            ".",
            ":",
            ",",
            "(",
            ")",
            "{",
            "}",
        ),
        *(
            "local M = {",
            "function M.f(",
            "end",
            "return M",
            "local a = ",
            "x = 1",
            "é",
            "𝄞",
            "\udcff",
            "\x0c",
            "\0",
            " ",
            "nil",
        ),
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)
NAMES = Names({"lib/a.lua": ""}, {"b.lua": ""}, lambda: ["UTC"], lambda _: "return { a = function() end }")


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.floats(0, 1))
def test_every_answer_has_its_places_in_the_text(text, share):
    at = int(len(text) * share)
    spans = [(one.start, at) for one in complete(text, at, NAMES, kept())]
    if told := hover(text, at, kept()):
        spans.append((told.start, told.end))
    signature(text, at, kept())
    spans += [(one.start, one.end) for one in symbols(text)]
    spans += [(start, end) for start, end, _ in folds(text)]
    spans += [(one.start, one.end) for one in coloured(text)]
    changes = list(formatted(text))
    spans += [(one.start, one.end) for one in changes]
    right = text
    for change in reversed(changes):
        right = right[: change.start] + change.text + right[change.end :]
    assert list(formatted(right)) == []
    assert [one[:2] for one in fields_of(right, Lines(right))] == [one[:2] for one in fields_of(text, Lines(text))]
    spans += [(one.at, one.at) for one in schedule_hints(text, 0)]
    spans += [(one.start, one.end) for one in navigation.members(text)]
    found = analyse(text, "a.lua")
    for one in found.problems:
        spans += [(fix.start, fix.end) for fix in fixes(found.text, one, ["lib/a.lua"], ["b.lua"])]
    readonly(text, ["get"])
    if wanted := navigation.target("a.lua", text, at):
        places = navigation.references_to(wanted, {"a.lua": text, "lib/a.lua": "return {}"}, declaration=True)
        spans += [(one.start, one.end) for one in places if one.sproc == "a.lua"]
    assert all(0 <= start <= end <= len(text) for start, end in spans)
