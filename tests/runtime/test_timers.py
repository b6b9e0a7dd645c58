"""Which schedules are due when."""

from __future__ import annotations

import pytest

from luasprocs.contract.replies import Schedule
from luasprocs.language.misfire import Due
from luasprocs.runtime.timers import MANY, TIMEOUTS_TO_PAUSE, Timer, Timers

SECOND = 1000
FOREVER = float("inf")


def timer(name=b"a.lua", every=b"1s", misfire=b"", done_ms=0, proven=False):
    made = Timer.of(Schedule(name.decode(), "", every.decode(), "", misfire.decode(), False, ""))
    assert made.hold(b"%d %s" % (done_ms, str(made.recurrence).encode()))
    made.proven = proven
    return made


def timers(*made):
    found = Timers()
    found.replace(made)
    return found


def taken(found, now_ms):
    return [(claim.timer.name, claim.due.at) for claim in found.take_due(now_ms)]


def test_a_timer_is_due_at_its_next_time():
    one = timer(done_ms=5 * SECOND)
    assert one.due_ms == 6 * SECOND
    assert one.due(6 * SECOND - 1) is None
    assert one.due(6 * SECOND) == Due(6 * SECOND, 7 * SECOND)


@pytest.mark.parametrize(
    ("misfire", "at", "skipped", "missed"),
    [(b"skip", 15, True, 2), (b"once", 15, False, 1), (b"", 15, False, 1), (b"all", 10, False, 0)],
)
def test_what_is_owed_after_an_outage(misfire, at, skipped, missed):
    owed = timer(every=b"5s", misfire=misfire, done_ms=5 * SECOND).due(18 * SECOND)
    assert owed is not None
    assert (owed.at, owed.skipped, owed.missed) == (at * SECOND, skipped, missed)


def test_a_schedule_that_was_broken_by_hand_is_refused():
    with pytest.raises(ValueError, match="no unit"):
        timer(every=b"5")


def test_a_misfire_that_was_broken_by_hand_has_its_default():
    assert timer(misfire=b"perhaps").misfire == "once"


def test_what_the_engine_holds_for_another_schedule_does_not_count():
    one = timer(every=b"1s")
    assert not one.hold(b"5000 2s")
    assert not one.hold(b"")
    assert not one.hold(b"soon " + str(one.recurrence).encode())
    assert one.done_ms == 0


def test_timers_are_taken_in_the_order_of_their_times():
    found = timers(timer(b"late", done_ms=2 * SECOND), timer(b"early", done_ms=0), timer(b"not yet", b"1h"))
    assert found.next_ms == SECOND
    assert taken(found, SECOND - 1) == []
    assert taken(found, 3 * SECOND) == [(b"early", 3 * SECOND), (b"late", 3 * SECOND)]
    assert found.claimed == 2


def test_none_is_due_where_there_is_none():
    found = timers()
    assert found.next_ms == FOREVER
    assert not found
    assert taken(found, FOREVER) == []
    assert found.take_ahead() == []


def test_a_claimed_timer_is_not_taken_again_until_it_is_back():
    one = timer()
    found = timers(one)
    assert taken(found, SECOND) == [(b"a.lua", SECOND)]
    found.push(one)
    assert taken(found, SECOND) == []
    assert found.release(one)
    one.ran(SECOND)
    found.push(one)
    assert taken(found, SECOND) == []
    assert taken(found, 2 * SECOND) == [(b"a.lua", 2 * SECOND)]


def test_a_timer_can_be_put_off():
    one = timer()
    found = timers(one)
    assert taken(found, SECOND)
    found.release(one)
    found.push(one, 1100)
    assert found.next_ms == 1100
    assert taken(found, 1099) == []
    assert taken(found, 1100) == [(b"a.lua", SECOND)]


def test_a_timer_that_was_replaced_while_it_was_claimed_no_longer_counts_and_its_successor_runs():
    before, after = timer(), timer()
    found = timers(before)
    assert taken(found, SECOND)
    found.replace([after])
    assert taken(found, SECOND) == []  # its name is claimed still
    assert not found.release(before)
    assert taken(found, SECOND) == [(b"a.lua", SECOND)]


def test_a_timer_that_is_gone_is_not_taken():
    one = timer()
    found = timers(one)
    found.push(one)
    found.replace([])
    assert not found.release(one)
    assert taken(found, 10 * SECOND) == []


def test_many_that_are_due_together_are_taken_ahead_if_they_are_proven():
    proven = [timer(b"p%d" % number, proven=True) for number in range(MANY)]
    found = timers(*proven, timer(b"new"), timer(b"later", b"2s", proven=True))
    claims = found.take_ahead()
    assert {claim.timer.name for claim in claims} == {one.name for one in proven}
    assert {claim.due for claim in claims} == {Due(SECOND, 2 * SECOND)}
    assert found.next_ms == SECOND
    assert taken(found, SECOND) == [(b"new", SECOND)]


def test_few_that_are_due_together_are_not_taken_ahead():
    found = timers(*(timer(b"p%d" % number, proven=True) for number in range(MANY)))
    assert found.take_ahead() == []
    assert found.claimed == 0


def test_many_due():
    assert not timers(*(timer(b"%d" % number) for number in range(MANY))).many_due(SECOND)
    found = timers(*(timer(b"%d" % number) for number in range(MANY + 1)))
    assert not found.many_due(SECOND - 1)
    assert found.many_due(SECOND)


def test_a_run_that_came_to_an_end_proves_its_timer():
    one = timer()
    assert not one.ran(SECOND)
    assert one.proven
    assert (one.done_ms, one.due_ms) == (SECOND, 2 * SECOND)


def test_timeouts_in_a_row_are_counted():
    one = timer()
    for number in range(1, TIMEOUTS_TO_PAUSE):
        one.timed_out = True
        assert not one.ran(number * SECOND)
        assert not one.proven
    assert not one.ran(9 * SECOND)  # an end between them
    for number in range(1, TIMEOUTS_TO_PAUSE):
        one.timed_out = True
        assert not one.ran((10 + number) * SECOND)
    one.timed_out = True
    assert one.ran(20 * SECOND)


def test_a_clock_that_was_set_back():
    found = timers(timer(done_ms=3600 * SECOND))
    assert not found.set_back(3600 * SECOND - 600 * SECOND)
    assert found.set_back(3600 * SECOND - 602 * SECOND)
