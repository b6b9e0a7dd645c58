"""Numbers as people read them: `12k`, `3m`, `1.2ms`, and lines of bars. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"
NOTHING = "·"
ID_SHOWN = 8
"""Characters of a commit or a blob."""
_UNITS = ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k"))


def age(seconds: float) -> str:
    """A duration as people say it: `12s`, `3m`, `2h`, `9d`."""
    for unit, size in (("d", 172_800), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // min(size, 86_400))}{unit}"
    return f"{int(seconds)}s"


def short_number(number: int | None) -> str:
    """At most six cells: `950`, `12k`, `3.4M`; a dot where nothing was counted yet."""
    if number is None:
        return NOTHING
    if number < 10_000:
        return str(number)
    size, unit = next((size, unit) for size, unit in _UNITS if number >= size)
    whole = number / size
    if whole >= 10_000:
        return f">9999{unit}"
    return f"{int(whole * 10) / 10}{unit}" if whole < 100 else f"{int(whole)}{unit}"


def short_rate(per_s: float | None) -> str:
    """A second: `0`, `0.5`, `12`, `3.4k`; a dot where it isn't known."""
    if per_s is None:
        return NOTHING
    return f"{per_s:.1f}".removesuffix(".0") if per_s < 10 else short_number(round(per_s))


def short_us(us: int | None) -> str:
    """A duration in five cells: `41us`, `1.2ms`, `3s`; a dot where nothing ran."""
    if us is None:
        return NOTHING
    if us < 1000:
        return f"{us}us"
    if us < 10_000:
        return f"{us / 1000:.1f}ms"
    return f"{us // 1000}ms" if us < 1_000_000 else age(us / 1_000_000)


def spark(values: Sequence[float], width: int = 0) -> str:
    """The last `width` values (0: all) as bars, from nothing to the largest; blanks before the first."""
    shown = values[-width:]
    most = max(shown, default=0)
    bars = (BARS[min(len(BARS) - 1, int(value / most * len(BARS)))] if most else BARS[0] for value in shown)
    return "".join(bars).rjust(width)
