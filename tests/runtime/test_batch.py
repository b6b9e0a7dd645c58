"""The words of a batch, as dispatch.lua reads them."""

from __future__ import annotations

from luasprocs.contract.limits import DEPTH_LIMIT
from luasprocs.runtime.batch import batch_words
from luasprocs.runtime.source import Cause, Chunk, Event, Segment

A, B = b"a.lua", b"b.lua"


def chunk(*events, **other):
    return Chunk(7, 1000, Segment(1, 0, "e" * 12), list(events), **other)


def event(number, names=(A,), cause=None, key=b"k"):
    return Event(number, key, b"set", names, cause)


def test_events_for_one_sproc_share_a_route():
    words = batch_words(chunk(event(3, key=b"x"), event(4, key=b"y")))
    assert words == [1, A, 1, 1, 0, b"-", "", "1", 3, 1, b"x", b"set", b"y", b"set"]


def test_events_for_different_sprocs_say_their_route_each():
    words = batch_words(chunk(event(1), event(2, (A, B)), event(3)))
    names, routes = words[:3], words[3:14]
    assert names == [2, A, B]
    assert routes == [2, 1, 0, b"-", "", "1", 1, 0, b"-", "", "1 2"]
    assert words[14:16] == [1, "1 2 1"]


def test_numbers_with_holes_are_said_each():
    assert batch_words(chunk(event(1), event(4)))[8] == "1 4"


def test_a_cause_counts_its_depth_and_ends_at_the_limit():
    cause = Cause(B, 2, 5, b"origin")
    assert batch_words(chunk(event(1, cause=cause)))[2:7] == [1, 3, 5, b"origin", ""]
    deep = Cause(B, DEPTH_LIMIT, 5, b"origin")
    assert batch_words(chunk(event(1, cause=deep)))[2:7] == [1, DEPTH_LIMIT + 1, 5, b"origin", "deep"]


def test_a_verdict_is_of_all_sprocs_or_of_the_culprit():
    assert batch_words(chunk(event(1), verdict="poison"))[6] == "poison"
    stopped = chunk(event(1, (A, B)), verdict="timeout", culprit=B)
    assert batch_words(stopped)[7] == "timeout 2"
    gone = chunk(event(1), verdict="timeout", culprit=B)
    assert batch_words(gone)[6] == ""
