"""When keys are due."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from luasprocs.runtime.expiry_queue import NEVER, ExpiryQueue


def test_due_keys_are_taken_in_order():
    queue = ExpiryQueue()
    for key, at in ((b"c", 30), (b"a", 10), (b"b", 20)):
        queue.learn(key, at)
    assert queue.next == 10
    assert queue.due(10, 9) == []
    assert queue.due(11, 9) == [b"a"]
    assert queue.due(99, 1) == [b"b"]
    assert queue.due(99, 9) == [b"c"]
    assert queue.next == NEVER


def test_the_last_word_counts():
    queue = ExpiryQueue()
    queue.learn(b"a", 10)
    queue.learn(b"a", 50)
    queue.learn(b"b", 10)
    queue.learn(b"b", -1)
    queue.learn(b"c", 50)
    queue.learn(b"c", 10)
    assert queue.due(20, 9) == [b"c"]
    assert len(queue) == 1
    assert queue.due(99, 9) == [b"a"]


def test_of_too_many_the_nearest_are_kept():
    queue = ExpiryQueue(limit=100)
    order = list(range(1000))
    random.Random(1).shuffle(order)
    for at in order:
        queue.learn(b"%d" % at, at)
        assert len(queue) <= 100
    assert queue.horizon < 100
    taken = queue.due(10_000, 1000)
    assert taken == [b"%d" % at for at in range(len(taken))]
    assert len(taken) >= 50


def test_one_key_whose_deadline_moves_takes_no_more_room():
    queue = ExpiryQueue(limit=100)
    for at in range(10_000):
        queue.learn(b"a", at)
    assert len(queue._heap) <= 101
    assert queue.horizon == NEVER
    assert queue.due(NEVER, 9) == [b"a"]


@given(
    st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.integers(-2, 20)), max_size=60), st.integers(0, 25)
)
def test_it_is_as_a_dictionary_would_be(learnt, now):
    queue, plain = ExpiryQueue(), {}
    for key, at in learnt:
        queue.learn(key, at)
        plain[key] = at
    due = [key for key, at in plain.items() if 0 <= at < now]
    found = queue.due(now, 100)
    assert sorted(found) == sorted(due)
    assert [plain[key] for key in found] == sorted(plain[key] for key in due)
