from __future__ import annotations

import pytest

from luasprocs_tui.values.freshness import Freshness


@pytest.mark.parametrize(
    ("freshness", "now_s", "badge"),
    [
        (Freshness(), 0, ("connecting", "wait")),
        (Freshness(None, "x"), 0, ("no connection", "bad")),
        (Freshness(None, "x", 100), 100.5, ("no connection", "bad")),
        (Freshness(None, "x", 100), 250, ("no connection for 2m", "bad")),
        (Freshness(10, "x"), 15, ("connection lost, data 5s old", "bad")),
        (Freshness(10), 20, ("no answer, data 10s old", "bad")),
        (Freshness(10), 16, None),
    ],
)
def test_what_is_not_fresh_is_said(freshness: Freshness, now_s: float, badge: tuple[str, str] | None) -> None:
    assert freshness.badge(now_s) == badge


def test_ages() -> None:
    assert Freshness(10).age_s(12.5) == 2.5
    assert Freshness().age_s(12.5) == 0
    assert [Freshness(10).stale(now_s) for now_s in (11, 17)] == [False, True]
    assert Freshness(10, "x").stale(10)
