"""The daemon's globs against the server's own."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luasprocs.language.globs import literal_prefix, matcher
from tests.soak import examples

PIECES = [
    *(b"*", b"?", b"**", b"[", b"]", b"[^", b"^", b"-", b"\\", b"a", b"b", b"c", b"ab", b"a-c", b"[a-c]", b"[^a-c]"),
    *(
        b"[c-a]",
        b"[]",
        b"[^]",
        b"[\\]]",
        b"[\\-]",
        b"[a\\-c]",
        b"[a-\\c]",
        b"[a-",
        b"[^a",
        b"[\\",
        b"\\*",
        b"\\?",
        b"\\[",
    ),
    *(
        b"\n",
        b"\x00",
        b"\xff",
        b"\x80",
        b"[\x80-\xff]",
        b"[^\x00-\x7f]",
        b"[\xff-\x80]",
        b":",
        b" ",
        b"{",
        b"(",
        b"+",
        b".",
    ),
    *(b"[a-\xff]", b"[^\x80-b]", b"[\x80-\xfe]"),
    *(b"[.]", b"$", b"|", b"[a-c-e]", b"[--a]", b"[]-a]", b"[a-]]", b"[^^]", b"[^-]"),
]
GLOBS = st.lists(st.sampled_from(PIECES), max_size=8).map(b"".join) | st.binary(max_size=10)
LETTERS = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"-",
    b"^",
    b"]",
    b"[",
    b"\\",
    b"*",
    b"?",
    b"\n",
    b"\x00",
    b"\x7f",
    b"\x80",
    b"\xff",
    b".",
]
KEYS = st.lists(st.sampled_from(LETTERS), max_size=7).map(b"".join) | st.binary(max_size=10)


@pytest.mark.soak
@examples(300)
@given(glob=GLOBS, names=st.lists(KEYS, min_size=1, max_size=12, unique=True))
@example(glob=b"[a", names=[b"a", b"[a"])
@example(glob=b"[^", names=[b"a", b"", b"[^"])
@example(glob=b"[", names=[b"a", b"", b"["])
@example(glob=b"a[", names=[b"a", b"ab", b"a["])
@example(glob=b"\\", names=[b"\\", b""])
@example(glob=b"[a-", names=[b"a", b"-", b"b"])
@example(glob=b"*[", names=[b"a", b"[", b""])
@example(glob=b"", names=[b"", b"a"])
@example(glob=b"*?", names=[b"", b"a", b"\n"])
@example(glob=b"?*?", names=[b"a", b"ab"])
@example(glob=b"a\\", names=[b"a\\", b"a"])
@example(glob=b"[\\", names=[b"\\", b"a"])
@example(glob=b"[^\\", names=[b"\\", b"a"])
@example(glob=b"[a-\xff", names=[b"a", b"b", b"\x7f", b"\x80", b"\xff", b"-", b"\n"])
@example(glob=b"[\xf0-b]", names=[b"a", b"b", b"c", b"\x00", b"\x80", b"\xef", b"\xf0", b"\xff", b"-"])
def test_it_matches_what_keys_matches(server, glob, names):
    """Behind a letter: KEYS takes an empty key for a match of nothing but `*` itself, PSUBSCRIBE doesn't meet one."""
    with server.client() as client:
        client.flushall()
        client.mset({b"k" + name: "x" for name in names})
        assert {b"k" + name for name in names if matcher(glob)(name)} == set(client.keys(b"k" + glob))


@pytest.mark.soak
@examples(30)
@given(glob=GLOBS, channels=st.lists(KEYS, min_size=1, max_size=6, unique=True))
def test_it_matches_what_psubscribe_matches(server, glob, channels):
    """By what PUBLISH counts: how many heard it."""
    head = b"__keyspace@0__:"
    with server.client() as client, client.pubsub() as listener:
        listener.psubscribe(head + glob)
        assert listener.get_message(timeout=30)
        heard = {channel for channel in channels if client.publish(head + channel, "x")}
    assert {channel for channel in channels if matcher(glob)(channel)} == heard


@given(glob=GLOBS, key=KEYS)
def test_every_match_starts_with_the_literal_prefix(glob, key):
    if matcher(glob)(key):
        assert key.startswith(literal_prefix(glob))


@pytest.mark.parametrize(
    ("glob", "key", "matches"),
    [
        (b"*a*a*a*a*b", b"a" * 10_000, False),
        (b"*a*a*a*a*b", b"a" * 10_000 + b"b", True),
        (b"*" + b"?*" * 50 + b"b", b"a" * 10_000, False),
        (b"*[a-c]" * 30 + b"*z", b"abc" * 3000, False),
        (b"*ab*ab*ab*ab*ab*ab*x", b"ab" * 5000, False),
    ],
)
def test_it_ends_soon_by_construction(glob, key, matches):
    """Linear in the key for each `*`: one that backtracks would take years."""
    started = time.monotonic()
    assert bool(matcher(glob)(key)) is matches
    assert time.monotonic() - started < 30
