"""Pairs of measurements taken in turn, so that a noisy machine is noisy for both."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Measure = Callable[[], float]
    Pairs = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Result:
    """`pairs`: (ours, baseline) as measured; `value`: what is held against `limit`."""

    name: str
    pairs: tuple[tuple[float, float], ...]
    value: float
    limit: float
    at_least: bool

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def ratio(
    name: str,
    ours: Measure,
    baseline: Measure,
    count: int,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Result:
    """The median of the pairs' ratios ours/baseline, of as many pairs as `_measured` says."""
    limit = at_least if at_least is not None else at_most or 0.0

    def judged(pairs: Pairs) -> Result:
        return Result(
            name, pairs, statistics.median(left / right for left, right in pairs), limit, at_least is not None
        )

    return _measured(ours, baseline, count, judged)


def difference(name: str, ours: Measure, baseline: Measure, count: int, *, at_most: float) -> Result:
    """The same of the differences ours-baseline."""

    def judged(pairs: Pairs) -> Result:
        return Result(name, pairs, statistics.median(left - right for left, right in pairs), at_most, at_least=False)

    return _measured(ours, baseline, count, judged)


def _measured(ours: Measure, baseline: Measure, count: int, judged: Callable[[Pairs], Result]) -> Result:
    """Of `count` pairs, after one that isn't counted; where these miss the limit, of four times as many. All of them count.

    Pairs of a shared machine differ by a half, and so the median of a few does by more than what many limits leave.
    """
    ours(), baseline()
    pairs = _pairs(ours, baseline, count)
    result = judged(pairs)
    return result if result.holds else judged(pairs + _pairs(ours, baseline, 3 * count))


def _pairs(ours: Measure, baseline: Measure, count: int) -> Pairs:
    """Who goes first changes from pair to pair."""
    pairs = []
    for number in range(count):
        if number % 2:
            left = ours()
            pairs.append((left, baseline()))
        else:
            right = baseline()
            pairs.append((ours(), right))
    return tuple(pairs)


def show(result: Result) -> None:
    print(f"\n{result.name}")
    print("  pairs (ours, baseline): " + "  ".join(f"{ours:.6g}/{baseline:.6g}" for ours, baseline in result.pairs))
    sign = ">=" if result.at_least else "<="
    print(
        f"  {'ok  ' if result.holds else 'MISS'} {result.value:.3f} (wanted {sign} {result.limit})",
        flush=True,
    )
