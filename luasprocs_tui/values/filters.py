"""What is typed into a filter or a search. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.state.executions import Execution
    from luasprocs_tui.values.rows import Row

T = TypeVar("T")
Test = Callable[[T], bool]

HINT = "words; ~regex; -t cron: by trigger; -s paused: by state, failing: the last run failed"
EXECUTIONS_HINT = "words; ~regex; -n name, -t trigger, -s status: error, failed"


def matcher(text: str) -> Test[Row]:
    """A test of rows: each word must stand in name, trigger, state or description, whatever its case.

    `~` begins a regular expression; `-t WORD` looks at the trigger, `-s WORD` at the state, `-s failing` at the last run.
    What is half typed, such as an open bracket or a flag without its word, leaves everything.
    """

    def whole(row: Row) -> str:
        return f"{row.name}\n{row.trigger}\n{row.shown_state}\n{row.description}"

    def state(row: Row, word: str) -> bool:
        return row.counters.failing if word == "failing" else word in row.shown_state.casefold()

    return _matcher(text, whole, {"-t": lambda row, word: word in row.trigger.casefold(), "-s": state})


def execution_matcher(text: str) -> Test[Execution]:
    """A test of records, as `matcher`: words of name, trigger, key, status, reply or error; `-n` looks at the name."""

    def whole(one: Execution) -> str:
        return "\n".join(
            (one.sproc, one.trigger, one.event, one.status, one.key, one.reply, one.error, one.origin, one.daemon)
        )

    def status(one: Execution, word: str) -> bool:
        return one.failed if word == "failed" else word in one.status.casefold()

    return _matcher(
        text,
        whole,
        {
            "-n": lambda one, word: word in one.sproc.casefold(),
            "-t": lambda one, word: word in f"{one.trigger} {one.event}".casefold(),
            "-s": status,
        },
    )


def problem_of(text: str) -> str:
    """What is wrong with a regular expression in it, or ""."""
    for word in text.split():
        if word[0] == "~":
            try:
                re.compile(word[1:])
            except re.error as error:
                return f"{word} is not a regular expression yet: {error}"
    return ""


def _matcher(text: str, whole: Callable[[T], str], flags: Mapping[str, Callable[[T, str], bool]]) -> Test[T]:
    tests: list[Test[T]] = []
    words = iter(text.split())
    for word in words:
        if word in flags:
            tests.append(_flagged(flags[word], next(words, "").casefold()))
        elif word[0] == "~":
            tests.append(_pattern(word[1:], whole))
        else:
            tests.append(_word(word.casefold(), whole))
    return lambda row: all(test(row) for test in tests)


def _flagged(test: Callable[[T, str], bool], word: str) -> Test[T]:
    return lambda row: not word or test(row, word)


def _word(word: str, whole: Callable[[T], str]) -> Test[T]:
    return lambda row: word in whole(row).casefold()


def _pattern(text: str, whole: Callable[[T], str]) -> Test[T]:
    try:
        found = re.compile(text, re.IGNORECASE | re.MULTILINE)
    except re.error:
        return lambda _: True
    return lambda row: found.search(whole(row)) is not None
