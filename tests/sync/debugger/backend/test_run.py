"""The run that a header makes."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from luasprocs.language.sproc import read_sproc
from sync.debugger.backend.run import example_key, run_of


@pytest.mark.parametrize("glob", ["*", "user:*", "a?c", "[xyz]*", "plain"])
def test_a_key_that_a_glob_matches(glob):
    assert fnmatchcase(example_key(glob), glob)


def made(header: str, keys: tuple[str, ...] = (), args: tuple[str, ...] = ()):
    source = f"-- {header}\nreturn 1\n".encode()
    return run_of(read_sproc("x.lua", "x.lua", source, ""), keys, args)


def test_arguments_make_a_call():
    assert made("event=set", ("k",), ("a",))[:4] == ("x.lua", "call", (b"k",), (b"a",))
    assert made("description=x", ("k",))[:4] == ("x.lua", "call", (b"k",), ())


def test_an_event_and_a_schedule_are_made():
    run = made("event=hset")
    assert (run.trigger, run.keys, run.word, run.seed) == ("event", (b"1",), "hset", ())
    assert made("event=*", ("k",)).seed == [("SET", "k", "example", "NX")]
    run = made("every=5s")
    assert run.trigger == "cron"
    assert re.fullmatch(r"\d{10}", run.word)
