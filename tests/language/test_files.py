"""Names that a sproc's file may have."""

from __future__ import annotations

import pytest

from luasprocs.language.files import case_clashes, name_problem


@pytest.mark.parametrize(
    "name", ["a.lua", "b/c d.lua", 'it\'s "quoted".lua', "[g]*lob?.lua", "schlaf💤.lua", "x" * 508 + ".lua"]
)
def test_names_that_work(name):
    assert name_problem(name) is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a\nb.lua", "control character"),
        ("a\x7fb.lua", "control character"),
        ("a\x85b.lua", "control character"),
        ("a\x1b[31m.lua", "control character"),
        ("a.txt", "does not end in .lua"),
        ("a.LUA", "does not end in .lua"),
        ("", "does not end in .lua"),
        ("a\udcff.lua", "not UTF-8"),
        ("ü" * 255 + ".lua", "514 bytes"),
    ],
)
def test_names_that_are_refused(name, word):
    told = name_problem(name)
    assert told is not None
    assert word in told
    assert told.isprintable()


def test_names_that_are_one_file_where_case_does_not_count_clash():
    names = ["a.lua", "A.lua", "b/ä.lua", "b/A\u0308.lua", "strasse.lua", "straße.lua", "c.lua"]
    told = case_clashes(names)
    assert [name for name, _ in told] == ["a.lua", "b/ä.lua", "straße.lua"]
    assert "'A.lua'" in told[0][1]
    assert case_clashes(["a.lua", "b.lua", "a/b.lua"]) == []
