"""What is typed into the filter of the list. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs_tui.feed import Row

HINT = "words; ~regex; -t cron: by trigger; -s paused: by state, failing: with errors"


def matcher(text: str) -> Callable[[Row], bool]:
    """A test of rows: each word must stand in name, trigger, state or description, whatever its case.

    `~` begins a regular expression; `-t WORD` looks at the trigger, `-s WORD` at the state, `-s failing` finds what has errors.
    What is half typed, such as an open bracket or a flag without its word, leaves everything.
    """
    tests: list[Callable[[Row], bool]] = []
    words = iter(text.casefold().split())
    for word in words:
        if word in {"-t", "-s"}:
            tests.append(_flag(word, next(words, "")))
        elif word[0] == "~":
            tests.append(_pattern(word[1:]))
        else:
            tests.append(lambda row, word=word: word in _text(row))  # type: ignore[misc]  # its own word
    return lambda row: all(test(row) for test in tests)


def _text(row: Row) -> str:
    return f"{row.name}\n{row.trigger}\n{row.state}\n{row.description}".casefold()


def _flag(flag: str, word: str) -> Callable[[Row], bool]:
    if flag == "-t":
        return lambda row: word in row.trigger.casefold()
    if word == "failing":
        return lambda row: bool(row.counters.errors)
    return lambda row: word in row.state.casefold()


def _pattern(text: str) -> Callable[[Row], bool]:
    try:
        found = re.compile(text, re.IGNORECASE | re.MULTILINE)
    except re.error:
        return lambda _: True
    return lambda row: found.search(_text(row)) is not None
