"""What is typed into a filter or a search. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from luasprocs_tui.values.expressions import expression
from luasprocs_tui.values.trouble import is_slow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.state.executions import Execution
    from luasprocs_tui.values.columns import Line
    from luasprocs_tui.values.rows import Row

T = TypeVar("T")
Test = Callable[[T], bool]

HINT = "words; ~regex; !not; -t cron: by trigger; -s paused: by state, failing, dead, missed, slow, …"
LINES_HINT = "words of any column; ~regex; !not"
NO_MATCH = "nothing matches the filter: esc ends it"
EXECUTIONS_HINT = "words; ~regex; !not; -n name, -t trigger, -s status: error, failed"


def matcher(text: str, now_ms: float = 0) -> Test[Row]:
    """A test of rows: each word must stand in name, trigger, state or description, whatever its case.

    `~` begins a regular expression, `!` what must not match; `-t WORD` looks at the trigger, `-s WORD` at the state,
    or at a word of `said`. What is half typed, such as an open bracket or a flag without its word, leaves everything.
    `now_ms`: the server's clock.
    """
    said: dict[str, Test[Row]] = {
        "failing": lambda row: row.counters.failing,
        "erring": lambda row: row.counters.erring and not row.counters.failing,
        "dead": lambda row: bool(row.dead),
        "missed": lambda row: bool(row.missed),
        "slow": lambda row: is_slow(row, now_ms),
    }

    def whole(row: Row) -> str:
        return f"{row.name}\n{row.trigger}\n{row.shown_state}\n{row.description}"

    def state(row: Row, word: str) -> bool:
        return said[word](row) if word in said else word in row.shown_state.casefold()

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


def line_matcher(text: str) -> Test[Line]:
    """A test of a table's lines, as `matcher`: words of any cell; there are no flags."""
    return _matcher(text, lambda line: "\n".join(line.cells), {})


def problem_of(text: str) -> str:
    """What is wrong with a regular expression in it, or ""."""
    words = (word.removeprefix("!") for word in text.split())
    found = (expression(word[1:]).problem for word in words if word[:1] == "~")
    return next(filter(None, found), "")


def _matcher(text: str, whole: Callable[[T], str], flags: Mapping[str, Callable[[T, str], bool]]) -> Test[T]:
    tests: list[Test[T]] = []
    words = iter(text.split())
    for word in words:
        what = word.removeprefix("!")
        wanted = what == word
        if what in flags:
            tests.append(_flagged(flags[what], next(words, "").casefold(), wanted=wanted))
        elif what[:1] == "~":
            tests.append(_pattern(what[1:], whole, wanted=wanted))
        elif what:
            tests.append(_word(what.casefold(), whole, wanted=wanted))
    return lambda row: all(test(row) for test in tests)


def _flagged(test: Callable[[T, str], bool], word: str, *, wanted: bool) -> Test[T]:
    return lambda row: not word or test(row, word) == wanted


def _word(word: str, whole: Callable[[T], str], *, wanted: bool) -> Test[T]:
    return lambda row: (word in whole(row).casefold()) == wanted


def _pattern(text: str, whole: Callable[[T], str], *, wanted: bool) -> Test[T]:
    pattern = expression(text)
    pattern.begin()
    return lambda row: pattern.found(whole(row)) in {wanted, None}
