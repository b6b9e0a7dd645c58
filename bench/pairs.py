"""Pairs of measurements taken in turn, so that a noisy machine is noisy for both."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


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
        """Whether the limit is kept."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def measure(ours: Callable[[], float], baseline: Callable[[], float], count: int) -> tuple[tuple[float, float], ...]:
    """`count` pairs, after one that isn't counted; who goes first changes from pair to pair."""
    ours(), baseline()
    pairs = []
    for number in range(count):
        if number % 2:
            left = ours()
            pairs.append((left, baseline()))
        else:
            right = baseline()
            pairs.append((ours(), right))
    return tuple(pairs)


def ratio(
    name: str,
    pairs: tuple[tuple[float, float], ...],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Result:
    """The median of the pairs' ratios ours/baseline."""
    value = statistics.median(ours / baseline for ours, baseline in pairs)
    return Result(name, pairs, value, at_least if at_least is not None else at_most or 0.0, at_least is not None)


def difference(name: str, pairs: tuple[tuple[float, float], ...], *, at_most: float) -> Result:
    """The median of the pairs' differences ours-baseline."""
    return Result(name, pairs, statistics.median(ours - baseline for ours, baseline in pairs), at_most, at_least=False)


def show(result: Result) -> None:
    """The raw pairs, then the verdict."""
    print(f"\n{result.name}")
    print("  pairs (ours, baseline): " + "  ".join(f"{ours:.6g}/{baseline:.6g}" for ours, baseline in result.pairs))
    sign = ">=" if result.at_least else "<="
    print(
        f"  {'ok  ' if result.holds else 'MISS'} {result.value:.3f} (wanted {sign} {result.limit})",
        flush=True,
    )
