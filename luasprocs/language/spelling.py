"""What a misspelt word was meant to be. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


KEPT_NAMES = 1000
"""Answers about more names than a server has commands would hold too much memory."""


def nearest(word: str, words: Iterable[str], *, cutoff: float = 0.5) -> str:
    """`; did you mean 'set'?` for a word that is nearly one of `words`, or nothing. `cutoff`: how like it is, 1 is the same."""
    found = near(word, words, count=1, cutoff=cutoff)
    return f"; did you mean {str(found[0])!r}?" if found else ""


def near(word: str, words: Iterable[str], *, count: int = 3, cutoff: float = 0.5) -> list[str]:
    """Those of `words` that a word is nearly, the likeliest first: before all others one with its letters in another order."""
    known = tuple(words)
    found = _near if len(known) <= KEPT_NAMES else _near.__wrapped__
    return list(found(word[:100].lower(), known, count, cutoff))


@lru_cache(maxsize=4096)  # an editor asks for the same at each key: 1 ms a word and 300 names
def _near(written: str, known: tuple[str, ...], count: int, cutoff: float) -> tuple[str, ...]:
    import difflib  # noqa: PLC0415  2 ms of every start, needed only once something is wrong

    letters = sorted(written)
    swapped = [one for one in known if len(one) == len(letters) and sorted(one.lower()) == letters]
    close = difflib.get_close_matches(written, known, n=count, cutoff=cutoff)
    return tuple(dict.fromkeys([*swapped, *close]))[:count]
