from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs_tui.values.numbers import age, short_number, short_rate, short_us, spark

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize(
    ("number", "said"),
    [(None, "·"), (0, "0"), (9999, "9999"), (12345, "12.3k"), (999_999, "999k"), (10**19, ">9999T")],
)
def test_numbers_fit_their_column(number: int | None, said: str):
    assert short_number(number) == said
    assert len(said) <= 6


def test_ages_as_people_say_them():
    assert [age(5.9), age(61), age(7300)] == ["5s", "1m", "2h"]


@pytest.mark.parametrize(
    ("us", "said"),
    [
        (None, "·"),
        (7, "7us"),
        (999, "999us"),
        (1500, "1.5ms"),
        (41_000, "41ms"),
        (7_000_000, "7s"),
        (130_000_000, "2m"),
    ],
)
def test_durations_fit_five_cells(us: int | None, said: str) -> None:
    assert short_us(us) == said


def test_rates_and_bars() -> None:
    assert [short_rate(one) for one in (None, 0.0, 0.5, 12.4, 34_567.0)] == ["·", "0", "0.5", "12", "34.5k"]
    assert spark((0.0, 4.0, 8.0), 5) == "  ▁▅█"
    assert spark((0.0, 0.0), 2) == "▁▁"
    assert spark((), 3) == "   "
