"""What the engine says of a job."""

from __future__ import annotations

import pytest

from luasprocs.runtime.jobs import parse_job

HEAD = [b"1-1", b"id", b"a.lua", b"call", b"1", b"-", b"2"]


def job(timeout=b"", memory=b"", keys=(), args=()):
    return parse_job([*HEAD, timeout, memory, len(keys), *keys, len(args), *args])


def test_a_row_is_read():
    found = job(b"2s", b"8MB", (b"k",), (b"x", b"y"))
    assert (found.entry, found.id, found.name, found.trigger, found.origin) == (b"1-1", b"id", b"a.lua", b"call", b"-")
    assert (found.depth, found.attempt) == (1, 2)
    assert found.header == {"timeout": 2000, "memory": 8 * 1024**2}
    assert (found.keys, found.args) == ((b"k",), (b"x", b"y"))


@pytest.mark.parametrize("written", [b"", b"soon", b"\xff"])
def test_what_is_not_said_or_was_broken_by_hand_has_its_default(written):
    found = job(written, written)
    assert found.header == {"timeout": 30_000, "memory": 64 * 1024**2}
