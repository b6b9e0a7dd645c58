"""What is read again and again, and what is not."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from luasprocs.errors import SettingsError
from luasprocs_tui.poller import BACKED_OFF_S, Failure, Poller, attempt, pause_s
from tests.until import PATIENCE_S, until


class Read:
    """Counts what is read, and whether it was asked for; fails as long as it shall."""

    def __init__(self) -> None:
        self.asked: list[bool] = []
        self.given: list[int | Failure] = []
        self.fails = False

    def read(self, asked: bool) -> int:  # as a poller calls it
        self.asked.append(asked)
        if self.fails:
            raise SettingsError("no")
        return len(self.asked)

    def poller(self, every_s: float) -> Poller[int]:
        return Poller(self.read, self.given.append, every_s)


def running(poller: Poller[Any]) -> threading.Thread:
    thread = threading.Thread(target=poller.run)
    thread.start()
    return thread


def test_it_reads_at_its_pace_and_sooner_if_somebody_asks() -> None:
    read = Read()
    poller = read.poller(3600)
    thread = running(poller)
    until(lambda: read.given == [1])
    poller.ask()
    until(lambda: read.given == [1, 2])
    assert read.asked == [False, True]
    poller.close()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_failure_is_given_and_reading_goes_on() -> None:
    read = Read()
    read.fails = True
    poller = read.poller(0.01)
    thread = running(poller)
    until(lambda: len(read.given) == 2)
    assert read.given == [Failure("no"), Failure("no")]
    read.fails = False
    until(lambda: isinstance(read.given[-1], int))
    poller.close()
    thread.join(PATIENCE_S)


def test_what_comes_after_its_end_is_not_given() -> None:
    begun, go = threading.Event(), threading.Event()
    given: list[object] = []

    def read(_asked: bool) -> int:  # as a poller calls it
        begun.set()
        go.wait(PATIENCE_S)
        return 1

    poller = Poller(read, given.append, 3600)
    thread = running(poller)
    begun.wait(PATIENCE_S)
    poller.close()
    go.set()
    thread.join(PATIENCE_S)
    assert not given


@pytest.mark.parametrize(
    ("every_s", "failures", "pause"),
    [
        (0.25, 0, 0.25),
        (0.25, 1, 0.5),
        (0.25, 2, 1.0),
        (0.25, 9, BACKED_OFF_S),
        (0.25, 10**6, BACKED_OFF_S),
        (5.0, 9, 5.0),
    ],
)
def test_it_backs_off(every_s: float, failures: int, pause: float) -> None:
    assert pause_s(every_s, failures) == pause


def test_a_bug_is_a_failure_with_its_name() -> None:
    assert attempt(lambda: 1) == 1
    assert attempt(lambda: int("x")) == Failure("ValueError: invalid literal for int() with base 10: 'x'")
