"""What probes need to be heard, and what follows from what was heard."""

from __future__ import annotations

import pytest

from luasprocs.runtime.probes import PROBES, channels, judge


def test_what_is_listened_to():
    assert channels({"K", "$"}, 0, b"c") == {b"__keyspace@0__:c"}
    assert channels({"E", "$", "x"}, 3, b"c") == {b"__keyevent@3__:setrange", b"__keyevent@3__:expired"}
    assert channels({"K", "E", "$", "x"}, 0, b"c") == {b"__keyspace@0__:c", b"__keyevent@0__:setrange"}
    assert channels({"K", "e", "d"}, 0, b"c") == set()


@pytest.mark.parametrize(
    ("wanted", "heard", "missing"),
    [
        ("K$h", "K$ Kh", ""),
        ("K$h", "K$", "h"),
        ("K$h", "", "K$h"),
        ("KE$h", "K$ Kh E$", ""),
        ("KE$h", "K$ Kh", "E"),
        ("KE$h", "E$", "K"),
        ("KE$h", "Kh", "$"),
        ("KE$h", "", "KE$h"),
        ("E$h", "E$", "h"),
        ("E$h", "", "E$h"),
        ("Ke", "", ""),
    ],
)
def test_what_is_missing(wanted, heard, missing):
    proven = set(wanted) & PROBES.keys()
    found = judge(set(wanted), proven, {(word[0], PROBES[word[1]].event) for word in heard.split()})
    assert found == set(missing)
