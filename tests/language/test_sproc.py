"""A sproc from its file's bytes."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.errors import ProblemsError
from luasprocs.language.files import SOURCE_LIMIT_BYTES
from luasprocs.language.sproc import Sproc, git_blob_id, read_sproc

if TYPE_CHECKING:
    from tests.servers import Server


def sproc(name: str, source: bytes) -> Sproc:
    return read_sproc(name, f"sprocs/{name}", source, git_blob_id(source))


def problems(name: str, source: bytes) -> list[str]:
    with pytest.raises(ProblemsError) as raised:
        sproc(name, source)
    return [str(problem) for problem in raised.value.problems]


def test_a_sproc_has_its_values_as_written_and_typed():
    found = read_sproc("a.lua", "sprocs/a.lua", b"-- event=set\n-- enabled=NO\nreturn 1", "b10b", "c0ffee")
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
