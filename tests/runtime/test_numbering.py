"""Numbers, causes, and what waits: with neither server nor clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.runtime.bindings import Bindings, Bound, binding_of
from luasprocs.runtime.numbering import CHUNK_EVENTS, Numbering, Tick
from luasprocs.runtime.source import Cause, Segment, Source

EVERY = b"__keyevent@0__:set"
OTHER = b"__keyspace@0__:o*"


def bound(name, *keys, events=(b"set",), **other):
    return Bound(name, frozenset(events), keys or (b"*",), **other)


def bindings(generation="1", **sources):
    """`every` and `other` are sources; each has its sprocs."""
    named = {{"every": EVERY, "other": OTHER}[name]: sprocs for name, sprocs in sources.items()}
    return Bindings(
        generation,
        {source: binding_of(source, sprocs) for source, sprocs in named.items()},
        {one.name: one for sprocs in named.values() for one in sprocs},
    )


def tick(number, epoch="e" * 12):
    return Tick(epoch, number, number * 250, "run", forced=False)


class Feed:
    """A numbering, told what a connection would tell it."""

    def __init__(self, told=None, subscribed=True):
        self.woken: list[Source] = []
        self.numbering = Numbering(self.woken.append)
        self.numbering.bind(told or bindings(every=[bound(b"a", b"k*")]))
        for source in self.numbering.sources.values():
            source.subscribed = subscribed

    def source(self, name=EVERY):
        return self.numbering.sources[name]

    def tick(self, number, **other):
        return self.numbering.tick(tick(number, **other))

    def event(self, key, event=b"set", source=EVERY):
        self.numbering.event(self.source(source), key, event)

    def events(self, *keys):
        for key in keys:
            self.event(key)

    def pending(self, source=EVERY):
        """(tick, count, key) of each."""
        return [(chunk.tick, one.number, one.key) for chunk in self.source(source).pending for one in chunk.events]

    def causes(self):
        return [one.cause for chunk in self.source().pending for one in chunk.events]


def test_nothing_is_numbered_before_the_first_tick_behind_the_subscription():
    feed = Feed(subscribed=False)
    feed.event(b"k0")
    feed.tick(1)
    feed.event(b"k1")
    feed.source().subscribed = True
    feed.event(b"k2")
    assert feed.tick(2) == [feed.source()]
    assert feed.source().segment == Segment(2, 500, "e" * 12)
    feed.event(b"k3")
    assert feed.pending() == [(2, 1, b"k3")]
    assert feed.tick(3) == []


def test_each_message_counts_the_unwanted_too_and_counts_begin_again_with_each_tick():
    feed = Feed()
    feed.tick(1)
    feed.events(b"k1", b"x", b"k2")
    feed.tick(2)
    feed.events(b"x", b"k3")
    assert feed.pending() == [(1, 1, b"k1"), (1, 3, b"k2"), (2, 2, b"k3")]
    assert feed.numbering.events_read == 5


def test_events_of_own_keys_are_never_counted():
    feed = Feed(bindings(every=[bound(b"a")]))
    feed.tick(1)
    feed.events(b"__*_Sproc_Events_*__", b"shop:__*_Sproc_Name_a", b"k")
    assert feed.pending() == [(1, 1, b"k")]
    assert feed.numbering.events_read == 1


def test_it_wakes_once_for_each_chunk_and_not_for_what_nobody_wants():
    feed = Feed()
    feed.tick(1)
    feed.events(b"x", b"k1", b"k2")
    assert feed.woken == [feed.source()]
    feed.tick(2)
    feed.event(b"k3")
    assert len(feed.woken) == 2


def test_a_chunk_is_of_one_tick_and_no_larger_than_its_limit():
    feed = Feed()
    feed.tick(1)
    feed.events(*[b"k"] * (CHUNK_EVENTS + 1))
    feed.tick(2)
    feed.event(b"k")
    assert [len(chunk.events) for chunk in feed.source().pending] == [CHUNK_EVENTS, 1, 1]
    assert [chunk.tick for chunk in feed.source().pending] == [1, 1, 2]


def test_what_arrives_between_markers_has_a_cause():
    feed = Feed()
    feed.tick(1)
    feed.event(b"k1")
    feed.numbering.marker(b"begin 2 5 abc.1.2 b x.lua")
    feed.event(b"k2")
    feed.numbering.marker(b"end")
    feed.event(b"k3")
    assert feed.causes() == [None, Cause(b"b x.lua", 2, 5, b"abc.1.2"), None]
    assert feed.numbering.last_begun == b"b x.lua"


def test_an_original_run_gets_an_origin_that_all_daemons_give_it():
    origins = []
    for before in (0, 3):
        feed = Feed()
        feed.tick(6)
        for _ in range(before):
            feed.numbering.marker(b"end")
        feed.tick(7)
        feed.numbering.marker(b"begin 1 1 - b")
        feed.event(b"k")
        feed.numbering.marker(b"end")
        feed.numbering.marker(b"begin 1 1 - b")
        feed.event(b"k")
        origins.append([cause.origin for cause in feed.causes()])
    assert origins[0] == origins[1] == [b"eeeeee.7.1", b"eeeeee.7.3"]


def test_expired_has_no_cause():
    feed = Feed(bindings(every=[bound(b"a", events=(b"set", b"expired"))]))
    feed.tick(1)
    feed.numbering.marker(b"begin 1 1 - b")
    feed.event(b"k1", b"expired")
    feed.event(b"k2")
    assert [cause and cause.name for cause in feed.causes()] == [None, b"b"]


def test_a_tick_ends_a_cause_whose_end_was_lost():
    feed = Feed()
    feed.tick(1)
    feed.numbering.marker(b"begin 1 1 - b")
    feed.tick(2)
    feed.event(b"k")
    assert feed.causes() == [None]


def test_a_sproc_is_not_triggered_by_itself_unless_it_is_reentrant():
    sprocs = [bound(b"a", b"k*"), bound(b"b", b"k*", reentrant=True), bound(b"c", b"k*")]
    feed = Feed(bindings(every=sprocs))
    feed.tick(1)
    for name in (b"a", b"b", b"gone"):
        feed.numbering.marker(b"begin 1 1 - " + name)
        feed.event(b"k")
        feed.numbering.marker(b"end")
    names = [one.names for chunk in feed.source().pending for one in chunk.events]
    assert names == [(b"b", b"c"), (b"a", b"b", b"c"), (b"a", b"b", b"c")]


def test_what_only_itself_wants_counts_all_the_same():
    feed = Feed()
    feed.tick(1)
    feed.numbering.marker(b"begin 1 1 - a")
    feed.event(b"k1")
    feed.numbering.marker(b"end")
    feed.event(b"k2")
    assert feed.pending() == [(1, 2, b"k2")]


def test_events_behind_an_apply_wait_for_its_triggers():
    feed = Feed()
    feed.tick(1)
    feed.event(b"k1")
    feed.numbering.hold()
    feed.numbering.hold()
    assert feed.numbering.holding
    feed.events(b"k2", b"new1")
    feed.tick(2)
    feed.event(b"new2")
    assert feed.pending() == [(1, 1, b"k1")]
    new, left = feed.numbering.bind(bindings("2", every=[bound(b"b", b"new*")]))
    assert (new, left) == ([], [])
    assert feed.pending() == [(1, 3, b"new1"), (2, 1, b"new2")]
    assert not feed.numbering.holding


def test_held_events_keep_their_causes():
    feed = Feed()
    feed.tick(1)
    feed.numbering.hold()
    feed.numbering.marker(b"begin 1 1 - a")
    feed.event(b"k1")
    feed.numbering.marker(b"end")
    feed.event(b"k2")
    feed.numbering.bind(bindings("2", every=[bound(b"a", b"k*"), bound(b"b", b"k1")]))
    names = [(one.key, one.names) for chunk in feed.source().pending for one in chunk.events]
    assert names == [(b"k1", (b"b",)), (b"k2", (b"a",))]


def test_sources_come_and_go_with_a_generation():
    feed = Feed(bindings(every=[bound(b"a")], other=[bound(b"a")]))
    feed.tick(1)
    feed.event(b"k")
    feed.event(b"o", source=OTHER)
    kept, gone = feed.source(), feed.source(OTHER)
    new, left = feed.numbering.bind(bindings("2", every=[bound(b"a")]))
    assert (new, left) == ([], [gone])
    assert not gone.pending
    assert feed.source() is kept
    new, left = feed.numbering.bind(bindings("3", every=[bound(b"a")], other=[bound(b"a")]))
    assert new == [feed.source(OTHER)]
    assert left == []
    assert new[0] is not gone
    assert new[0].segment is None


def test_a_source_that_comes_back_while_events_are_held_begins_anew():
    feed = Feed()
    feed.tick(1)
    feed.numbering.hold()
    feed.event(b"k")
    feed.numbering.bind(bindings("2", other=[bound(b"a")]))
    feed.numbering.hold()
    feed.numbering.bind(bindings("3", every=[bound(b"a", b"k*")]))
    assert feed.pending() == []


def test_a_new_generation_matches_pending_events_anew():
    feed = Feed()
    feed.tick(1)
    feed.events(b"k1", b"k2", b"k3")
    feed.numbering.bind(bindings("2", every=[bound(b"b", b"k2"), bound(b"a", b"k3")]))
    names = [(one.number, one.names) for chunk in feed.source().pending for one in chunk.events]
    assert names == [(2, (b"b",)), (3, (b"a",))]
    feed.numbering.bind(bindings("3", every=[bound(b"a", b"x")]))
    assert not feed.source().pending


def test_a_broken_connection_begins_a_segment_and_keeps_what_is_pending():
    feed = Feed()
    feed.tick(1)
    feed.event(b"k1")
    feed.numbering.disconnect()
    feed.event(b"lost")
    assert feed.tick(4) == []
    feed.source().subscribed = True
    assert feed.tick(5) == [feed.source()]
    feed.event(b"k2")
    assert feed.pending() == [(1, 1, b"k1"), (5, 1, b"k2")]
    assert [chunk.segment.tick for chunk in feed.source().pending] == [1, 5]


def test_coverage_reaches_back_as_far_as_something_is_pending():
    feed = Feed()
    assert feed.source().covers is None
    feed.tick(3)
    assert feed.source().covers == 3
    feed.event(b"k")
    feed.numbering.disconnect()
    feed.source().subscribed = True
    feed.tick(8)
    assert feed.source().covers == 3
    feed.source().drop_until((3, 1))
    assert feed.source().covers == 8


def test_held_events_of_another_epoch_are_dropped():
    feed = Feed()
    feed.tick(9)
    feed.numbering.hold()
    feed.event(b"k1")
    feed.source().reset()
    feed.tick(1, epoch="f" * 12)
    feed.event(b"k2")
    feed.numbering.bind(bindings("2", every=[bound(b"a", b"k*")]))
    assert feed.pending() == [(1, 1, b"k2")]


def test_a_chunk_is_cut_where_it_is_too_large_to_send():
    feed = Feed()
    feed.tick(1)
    feed.events(b"k1", b"k2", b"k3")
    source = feed.source()
    first, rest = source.take(2), source.take(9)
    assert [one.key for one in first.events] == [b"k1", b"k2"]
    assert [one.key for one in rest.events] == [b"k3"]
    assert (first.last, rest.last) == ((1, 2), (1, 3))
    assert not source.pending


def test_what_came_back_is_sent_again_in_order_without_what_has_run():
    feed = Feed()
    feed.tick(1)
    feed.events(b"k1", b"k2", b"k3", b"k4")
    source = feed.source()
    first, second = source.take(2), source.take(1)
    source.sent = second.last
    source.refused += [first, second]
    assert source.lag == 4
    source.drop_until((1, 1))
    source.put_back()
    assert feed.pending() == [(1, 2, b"k2"), (1, 3, b"k3"), (1, 4, b"k4")]
    assert source.sent == source.done == (1, 1)
    assert source.lag == 3


@pytest.mark.parametrize(
    ("mark", "left"),
    [
        ((0, 99), [(1, 1), (1, 2), (2, 1), (2, 2)]),
        ((1, 0), [(1, 1), (1, 2), (2, 1), (2, 2)]),
        ((1, 1), [(1, 2), (2, 1), (2, 2)]),
        ((1, 2), [(2, 1), (2, 2)]),
        ((2, 0), [(2, 1), (2, 2)]),
        ((2, 1), [(2, 2)]),
        ((2, 2), []),
        ((3, 0), []),
    ],
)
def test_what_others_have_run_is_forgotten(mark, left):
    feed = Feed()
    for number in (1, 2):
        feed.tick(number)
        feed.events(b"k1", b"k2")
    source = feed.source()
    source.drop_until(mark)
    assert [(number, count) for number, count, _ in feed.pending()] == left
    source.drop_until((0, 1))
    assert source.done == mark


def test_an_event_that_failed_is_not_joined_by_later_ones():
    feed = Feed()
    feed.tick(1)
    feed.event(b"k1")
    source = feed.source()
    source.pending[0].failures = 1
    feed.event(b"k2")
    assert [len(chunk.events) for chunk in source.pending] == [1, 1]


def test_a_tick_s_message():
    assert Tick.parse(b"0123456789ab-run 7 1750 run 1") == replace(tick(7), epoch="0123456789ab-run", forced=True)


@given(
    st.lists(
        st.sampled_from([b"k1", b"k2", b"x", b"tick", b"own", b"begin", b"end", b"expired"]),
        max_size=80,
    ),
    st.integers(0, 80),
)
def test_all_who_listen_number_alike(messages, joined):
    """A newcomer's numbers are those that the older one gives the same messages."""
    feeds = [Feed(), Feed(subscribed=False)]
    number = 1
    feeds[0].tick(number)
    for place, message in enumerate(messages):
        if place == joined:
            feeds[1].source().subscribed = True
        if message == b"tick":
            number += 1
        for feed in feeds:
            if message == b"tick":
                feed.tick(number)
            elif message == b"own":
                feed.event(b"__*_Sproc_x")
            elif message == b"begin":
                feed.numbering.marker(b"begin 1 1 - b")
            elif message == b"end":
                feed.numbering.marker(b"end")
            else:
                feed.event(message, b"expired" if message == b"expired" else b"set")
    segment = feeds[1].source().segment
    older = [one for one in feeds[0].pending() if segment and one[0] >= segment.tick]
    assert feeds[1].pending() == older
