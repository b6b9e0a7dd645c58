from __future__ import annotations

import pytest

from luasprocs.state.stats import Stats
from luasprocs_tui.values.shares import Shares, share_bar, share_of, share_text


def test_the_share_of_two_looks() -> None:
    before, now = Stats(duration_us_total=5_000_000), Stats(duration_us_total=5_200_000)
    assert share_of(before, now, 2.0) == pytest.approx(0.1)
    assert share_of(before, now, 2.0, threads=4) == pytest.approx(0.025), "each shard has a thread"
    assert share_of(now, now, 2.0) == 0
    assert share_of(Stats(), now, 2.0) == 1, "a run that began before is counted where it ends"
    assert share_of(now, before, 2.0) is None, "somebody deleted what was counted"
    assert share_of(before, now, 0.0) is None


def test_a_window_is_long_enough_to_be_steady() -> None:
    shares = Shares()
    counted = [Stats(duration_us_total=second // 2 * 200_000) for second in range(31)]  # 200 ms every other second
    found = [shares.look("slow", stats, float(second)) for second, stats in enumerate(counted)]
    assert found[0] is None
    assert [one for one in found[10:] if one is not None] == pytest.approx([0.1] * 21, abs=0.021)
    stopped = [shares.look("slow", Stats(duration_us_total=3_000_000), float(second)) for second in range(31, 45)]
    assert stopped[-1] == 0


def test_what_was_deleted_begins_anew() -> None:
    shares = Shares()
    shares.look("a", Stats(duration_us_total=9_000_000), 0.0)
    assert shares.look("a", Stats(duration_us_total=1_000), 1.0) is None
    assert shares.look("a", Stats(duration_us_total=101_000), 2.0) == pytest.approx(0.1)
    shares.keep(["b"])
    assert shares.look("a", Stats(duration_us_total=101_000), 3.0) is None


def test_as_people_read_it() -> None:
    shown = [share_text(one) for one in (None, 0, 0.0004, 0.0005, 0.04, 0.099, 0.0996, 0.344, 1)]
    assert shown == ["·", "0%", "0%", "0.1%", "4.0%", "9.9%", "10%", "34%", "100%"]
    assert [share_bar(one, 4) for one in (None, 0, 0.001, 0.25, 0.5, 0.53, 1, 2)] == [
        *("    ", "    ", "▏   ", "█   ", "██  ", "██▏ ", "████", "████"),
    ]
