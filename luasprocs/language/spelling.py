"""What a misspelt word was meant to be. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, words: Iterable[str], *, cutoff: float = 0.5) -> str:
    """`; did you mean 'set'?` for a word that is nearly one of `words`, or nothing. `cutoff`: how like it is, 1 is the same."""
    found = near(word, words, count=1, cutoff=cutoff)
    return f"; did you mean {str(found[0])!r}?" if found else ""


def near(word: str, words: Iterable[str], *, count: int = 3, cutoff: float = 0.5) -> list[str]:
    """Those of `words` that a word is nearly, the likeliest first: before all others one with its letters in another order."""
    import difflib  # noqa: PLC0415  2 ms of every start, needed only once something is wrong

    written, known = word[:100].lower(), list(words)
    letters = sorted(written)
    swapped = [one for one in known if len(one) == len(letters) and sorted(one.lower()) == letters]
    close = difflib.get_close_matches(written, known, n=count, cutoff=cutoff)
    return list(dict.fromkeys([*swapped, *close]))[:count]
