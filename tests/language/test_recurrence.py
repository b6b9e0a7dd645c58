"""When schedules are due: a table of dates around changes of the clocks, and properties against a search by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.language.recurrence import Recurrence
from tests.soak import examples


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%m-%d %H:%M:%S")


def times(recurrence: Recurrence, after: str, count: int) -> list[str]:
    found, at = [], ms(after)
    for _ in range(count):
        following = recurrence.next_after(at)
        assert following is not None
        assert following > at
        found.append(shown(following))
        at = following
    return found


BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"

# Times are UTC. Berlin: 02:00 -> 03:00 at 2026-03-29 01:00, 03:00 -> 02:00 at 2026-10-25 01:00. New York: 02:00 -> 03:00 at
# 2026-03-08 07:00, 02:00 -> 01:00 at 2026-11-01 06:00. Lord Howe: 02:00 -> 02:30 at 2026-10-03 15:30,
# 02:00 -> 01:30 at 2026-04-04 15:00.
TABLE = [
    # a skipped local time: once, at the change
    (BERLIN, "30 2 * * *", "2026-03-28T00:00", ["03-28 01:30:00", "03-29 01:00:00", "03-30 00:30:00"]),
    (BERLIN, "0 2 * * *", "2026-03-28T00:30", ["03-28 01:00:00", "03-29 01:00:00", "03-30 00:00:00"]),
    (BERLIN, "0 3 * * *", "2026-03-28T00:00", ["03-28 02:00:00", "03-29 01:00:00", "03-30 01:00:00"]),
    (BERLIN, "10,40 2,3 * * *", "2026-03-28T23:00", ["03-29 01:00:00", "03-29 01:10:00", "03-29 01:40:00", "03-30 00:10:00"]),
    (BERLIN, "15 30 2 * * *", "2026-03-28T12:00", ["03-29 01:00:00", "03-30 00:30:15"]),
    (BERLIN, "* 30 2 29 3 *", "2026-03-28T12:00", ["03-29 01:00:00"]),
    (NEW_YORK, "30 2 * * *", "2026-03-07T00:00", ["03-07 07:30:00", "03-08 07:00:00", "03-09 06:30:00"]),
    (LORD_HOWE, "15 2 * * *", "2026-10-02T00:00", ["10-02 15:45:00", "10-03 15:30:00", "10-04 15:15:00"]),
    (LORD_HOWE, "30 2 * * *", "2026-10-02T17:00", ["10-03 15:30:00", "10-04 15:30:00"]),
    # one that comes twice: the first time
    (BERLIN, "30 2 * * *", "2026-10-24T00:00", ["10-24 00:30:00", "10-25 00:30:00", "10-26 01:30:00"]),
    (BERLIN, "0 2 * * *", "2026-10-24T12:00", ["10-25 00:00:00", "10-26 01:00:00"]),
    (BERLIN, "0 3 * * *", "2026-10-24T12:00", ["10-25 02:00:00", "10-26 02:00:00"]),
    (NEW_YORK, "30 1 * * *", "2026-10-31T00:00", ["10-31 05:30:00", "11-01 05:30:00", "11-02 06:30:00"]),
    (LORD_HOWE, "45 1 * * *", "2026-04-03T00:00", ["04-03 14:45:00", "04-04 14:45:00", "04-05 15:15:00"]),
    (BERLIN, "0,20,40 15 2 * * *", "2026-10-25T00:00", ["10-25 00:15:00", "10-25 00:15:20", "10-25 00:15:40", "10-26 01:15:00"]),
    # asked while it comes for the second time
    (BERLIN, "30 2 * * *", "2026-10-25T01:10", ["10-26 01:30:00"]),
    # real time
    (BERLIN, "30 * * * *", "2026-03-29T00:00", ["03-29 00:30:00", "03-29 01:30:00", "03-29 02:30:00"]),
    (BERLIN, "30 * * * *", "2026-10-24T23:45", ["10-25 00:30:00", "10-25 01:30:00", "10-25 02:30:00"]),
    (BERLIN, "*/30 2 * * *", "2026-03-28T12:00", ["03-30 00:00:00", "03-30 00:30:00"]),
    (BERLIN, "*/30 2 * * *", "2026-10-24T12:00", ["10-25 00:00:00", "10-25 00:30:00", "10-25 01:00:00", "10-25 01:30:00"]),
    (BERLIN, "0 */2 * * *", "2026-03-28T22:00", ["03-28 23:00:00", "03-29 02:00:00"]),
    (BERLIN, "*/20 * * * * *", "2026-03-29T00:59:30", ["03-29 00:59:40", "03-29 01:00:00", "03-29 01:00:20"]),
    (BERLIN, "*/20 * * * * *", "2026-10-25T00:59:30", ["10-25 00:59:40", "10-25 01:00:00", "10-25 01:00:20"]),
    (NEW_YORK, "*/30 * * * *", "2026-11-01T05:10", ["11-01 05:30:00", "11-01 06:00:00", "11-01 06:30:00", "11-01 07:00:00"]),
    (LORD_HOWE, "*/15 * * * *", "2026-10-03T15:10", ["10-03 15:15:00", "10-03 15:30:00", "10-03 15:45:00"]),
    (LORD_HOWE, "*/15 * * * *", "2026-04-04T14:50", ["04-04 15:00:00", "04-04 15:15:00", "04-04 15:30:00"]),
    (LORD_HOWE, "0 * * * *", "2026-10-03T14:00", ["10-03 14:30:00", "10-03 16:00:00"]),
    (LORD_HOWE, "45 * * * *", "2026-04-04T14:00", ["04-04 14:45:00", "04-04 15:15:00", "04-04 16:15:00"]),
    # no clock changes
    ("UTC", "30 2 * * *", "2026-03-28T12:00", ["03-29 02:30:00", "03-30 02:30:00"]),
    ("UTC", "*/15 * * * * *", "2026-03-28T12:00:01", ["03-28 12:00:15", "03-28 12:00:30", "03-28 12:00:45", "03-28 12:01:00"]),
    ("Asia/Kolkata", "0 0 * * *", "2026-03-28T12:00", ["03-28 18:30:00", "03-29 18:30:00"]),
    ("UTC", "0 0 29 2 *", "2026-03-28T12:00", ["02-29 00:00:00"]),
    # a day that was left out
    ("Pacific/Apia", "0 12 30 12 *", "2011-12-29T00:00", ["12-30 10:00:00", "12-29 22:00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "cron", "after", "wanted"), TABLE)
def test_changes_of_the_clocks(zone, cron, after, wanted):
    assert times(Recurrence.parse(cron, "", zone), after, len(wanted)) == wanted


def test_aliases_and_headers():
    assert Recurrence.parse("@daily", "", "").cron == "0 0 * * *"
    assert str(Recurrence.parse("*/15 * * * * *", "", BERLIN)) == "*/15 * * * * * Europe/Berlin"
    assert str(Recurrence.parse("", "1m30s", "")) == "every 90000ms"
    for bad in (("61 * * * *", "", ""), ("", "5", ""), ("* * * * *", "", "Europe/Nowhere")):
        with pytest.raises(ValueError):  # noqa: PT011  # each says something else
            Recurrence.parse(*bad)


def test_every_is_aligned_to_the_epoch():
    every = Recurrence.parse("", "15s", "")
    assert every.next_after(0) == 15_000
    assert every.next_after(15_000) == 30_000
    assert every.next_after(14_999.5) == 15_000
    assert every.newest(0, 100_000, 3) == [60_000, 75_000, 90_000]
    assert every.newest(70_000, 100_000, 3) == [75_000, 90_000]
    assert every.count(70_000, 100_000, 1000) == 2
    assert every.count(0, 10**12, 1000) == 1000


def test_rare_times():
    assert Recurrence("0 0 29 2 */7").next_after(ms("2026-01-01T00:00")) == ms("2032-02-29T00:00")
    assert Recurrence("0 0 29 2 */7").next_after(ms("2032-02-29T00:00")) == ms("2060-02-29T00:00")
    assert Recurrence("0 0 31 2 MON#1").next_after(ms("2026-01-01T00:00")) == ms("2026-02-02T00:00")


AROUND = [
    *("2026-03-08T07:00", "2026-03-29T01:00", "2026-04-04T15:00"),
    *("2026-10-03T15:30", "2026-10-25T01:00", "2026-11-01T06:00"),
]
CRONS = [
    "30 2 * * *",
    "*/20 * * * *",
    "0 */3 * * *",
    "15 1,2,3 * * *",
    "*/30 2 * * *",
    "0 30 1-3 * * SUN",
    "45 * * * *",
    "0 0 1 * *",
]


@pytest.mark.soak
@examples(20)
@given(
    st.sampled_from(CRONS),
    st.sampled_from([BERLIN, NEW_YORK, LORD_HOWE, "UTC"]),
    st.sampled_from(AROUND),
    st.integers(-36 * 60, 36 * 60),
)  # fmt: skip
def test_next_is_what_a_search_minute_by_minute_finds(cron, zone, around, minutes):
    """Matched by hand at each minute: real time at each, a fixed time at its first; the change stands for skipped ones."""
    from cronsim import CronSim

    def matches(local):
        return next(CronSim(cron, local - timedelta(seconds=1))) == local

    fields = cron.split()[-5:]
    fixed = not fields[0].startswith("*") and not fields[1].startswith("*")
    after = ms(around) // 1000 + minutes * 60
    tz = ZoneInfo(zone)
    wanted = None
    for at in range(after + 60, after + 40 * 86400, 60):
        here, before = datetime.fromtimestamp(at, tz), datetime.fromtimestamp(at - 60, tz)
        local, last = here.replace(tzinfo=None, fold=0), before.replace(tzinfo=None, fold=0)
        skipped = [last + timedelta(minutes=k) for k in range(1, int((local - last).total_seconds() // 60))]
        if (matches(local) and not (fixed and here.fold)) or (fixed and any(map(matches, skipped))):
            wanted = at * 1000
            break
    assert Recurrence(cron, zone=zone).next_after(after * 1000) == wanted


@pytest.mark.soak
@examples(100)
@given(st.sampled_from([*CRONS, "* * 0 1 1 *"]), st.integers(0, 10**7), st.integers(1, 10**6), st.integers(1, 20))
def test_newest_and_count_agree_with_next(cron, start_s, span_s, number):
    recurrence = Recurrence(cron, zone=BERLIN)
    after, until = ms("2026-01-01T00:00") + start_s * 1000, ms("2026-01-01T00:00") + (start_s + span_s) * 1000
    every, at = [], recurrence.next_after(after)
    while at is not None and at <= until:
        every.append(at)
        at = recurrence.next_after(at)
    assert recurrence.newest(after, until, number) == every[-number:]
    assert recurrence.count(after, until, 10**9) == len(every)
    assert recurrence.count(after, until, 5) == min(5, len(every))


def test_a_step_of_a_range_of_one_is_due_once_a_day():
    recurrence = Recurrence.parse("0 13-13/8 * * *", "", "UTC")
    first = recurrence.next_after(ms("2026-01-01T00:00"))
    assert first is not None
    assert [first, recurrence.next_after(first)] == [ms("2026-01-01T13:00"), ms("2026-01-02T13:00")]
