"""A sproc alone and among others."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.errors import ProblemsError
from luasprocs.language.sproc import (
    SOURCE_LIMIT_BYTES,
    Sproc,
    case_clashes,
    git_blob_id,
    name_problem,
    problems_of,
    read_sproc,
)

if TYPE_CHECKING:
    from tests.servers import Server


def sproc(name: str, source: bytes) -> Sproc:
    return read_sproc(name, f"sprocs/{name}", source, git_blob_id(source))


def problems(name: str, source: bytes) -> list[str]:
    with pytest.raises(ProblemsError) as raised:
        sproc(name, source)
    return [str(problem) for problem in raised.value.problems]


def test_a_sproc_has_its_values_as_written_and_typed():
    found = read_sproc("a.lua", "sprocs/a.lua", b"-- event = set\n-- enabled=NO\nreturn 1", "b10b", "c0ffee")
    assert (found.name, found.blob, found.commit) == ("a.lua", "b10b", "c0ffee")
    assert found.values == {"event": "set", "enabled": "NO"}
    assert found.enabled is False


def test_its_sha_is_what_script_load_answers(server: Server):
    found = sproc("a.lua", "-- träumt\r\nreturn 'ü'".encode())
    assert server.client(decode_responses=True).script_load(found.source) == found.sha


def test_the_blob_id_is_what_git_answers():
    for source in (b"", b"a\r\nb\0", b"x" * 100_000):
        told = subprocess.run(["git", "hash-object", "--stdin"], input=source, capture_output=True, check=True)
        assert git_blob_id(source) == told.stdout.decode().strip()


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


def test_all_that_is_wrong_with_a_file_is_told_at_once():
    told = problems("a\tb.lua", b"-- evnt=set\nx = = 1")
    assert "control character" in told[0]
    assert told[1].startswith("sprocs/a\tb.lua:1:4: unknown key")
    assert told[2].startswith("sprocs/a\tb.lua:2:5: unexpected symbol")
    assert len(told) == 3


def test_a_file_too_large_is_a_problem_of_its_own():
    assert sproc("a.lua", b"-- event=set\n".ljust(SOURCE_LIMIT_BYTES, b"\n"))
    (told,) = problems("a.lua", b"-- evnt=set\n".ljust(10_000_000))
    assert "10,000,000 bytes, more than 1,048,576" in told


@pytest.mark.parametrize("source", [b"\xff\xfe-\0", b"\0", b"\xff", b"\xef\xbb\xbfreturn 1"])
def test_what_is_no_text_is_not_called_a_syntax_error(source):
    (told,) = problems("a.lua", source)
    assert "UTF-" in told


@given(st.text(), st.binary())
def test_any_name_and_bytes_are_a_sproc_or_problems(name, source):
    try:
        assert sproc(name, source).sha == hashlib.sha1(source).hexdigest()
    except ProblemsError as error:
        assert error.problems


def test_names_that_are_one_file_where_case_does_not_count_clash():
    names = ["a.lua", "A.lua", "b/ä.lua", "b/A\u0308.lua", "strasse.lua", "straße.lua", "c.lua"]
    told = case_clashes(names)
    assert [problem.path for problem in told] == ["a.lua", "b/ä.lua", "straße.lua"]
    assert "'A.lua'" in told[0].message
    assert case_clashes(["a.lua", "b.lua", "a/b.lua"]) == []


def test_require_of_what_is_no_library_is_found_and_nothing_else():
    library = sproc("lib/time.lua", b"-- library=yes\nreturn {}")
    plain = sproc("plain.lua", b"return 1")
    caller = sproc(
        "caller.lua",
        b"-- require('comment.lua')\n"
        b"local ok = require('lib/time.lua')\n"
        b"local s = \"require('string.lua')\"\n"
        b"local name = require(s)\n"
        b"local joined = require('a' .. '.lua')\n"
        b"local function f() return require [[lib/tim.lua]].now() end\n"
        b"return require 'plain.lua'\n",
    )
    told = problems_of([library, plain, caller])
    assert [(problem.path, problem.line, problem.column) for problem in told] == [
        ("caller.lua", 6, 37),
        ("caller.lua", 7, 17),
    ]
    assert "did you mean 'lib/time.lua'" in told[0].message
    assert "not library=yes" in told[1].message


def test_an_async_sproc_may_require_an_installed_library():
    found = sproc("a.lua", b"-- runasync=yes\nlocal s = require 'socket'\nreturn require 'gone.lua'")
    assert ["gone.lua" in problem.message for problem in problems_of([found])] == [True]


def test_case_clashes_are_problems_of_the_whole():
    told = problems_of([sproc("a.lua", b""), sproc("A.lua", b"")])
    assert [problem.path for problem in told] == ["a.lua"]
