from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import NotDoneError, OutcomeUnknownError, RegistryError
from luasprocs.operations.request import request
from luasprocs.state.requests import Answer, Request, answer, now_and_generation, take
from luasprocs.state.requests import request as start
from tests.live import put, sproc
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from luasprocs.server.registry import Registry


@pytest.fixture
def daemon(registry: Registry) -> Iterator[list[object]]:
    """One that answers a rollback by what it was asked for, and refuses all else."""
    taken: list[object] = []

    def serve() -> None:
        asked = until(lambda: take(registry, "d1"))[0]
        taken.append(asked)
        said = str(dict(asked.arguments))
        answer(registry, asked, Answer(asked.action == "rollback", said, "d1"))

    thread = threading.Thread(target=serve)
    thread.start()
    yield taken
    thread.join()


def test_a_daemons_answer(registry: Registry, daemon: list[object]) -> None:
    assert request(registry, "rollback", by="ann", generation="3") == Answer(True, "{'generation': '3'}", "d1")
    assert len(daemon) == 1


def test_its_refusal(registry: Registry, daemon: list[object]) -> None:
    with pytest.raises(RegistryError, match=r"\{\}"):
        request(registry, "sync", by="ann")
    assert len(daemon) == 1


def test_without_a_daemon_it_is_taken_back(registry: Registry) -> None:
    with pytest.raises(NotDoneError, match="no daemon has taken the sync within 0 s"):
        request(registry, "sync", by="ann", within_s=0.1)
    assert take(registry, "d1") == []  # that comes later
    with pytest.raises(NotDoneError):  # a group, and nobody in it
        request(registry, "sync", by="ann", within_s=0.1)
    assert take(registry, "d1") == []


def test_what_a_daemon_has_taken_and_not_answered_is_not_known(registry: Registry) -> None:
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.extend(until(lambda: take(registry, "d1"))))
    thread.start()
    with pytest.raises(OutcomeUnknownError, match="has taken the sync, and not answered"):
        request(registry, "sync", by="ann", within_s=0.5)
    thread.join()
    assert len(taken) == 1


def test_a_request_says_until_when_it_holds_and_on_which_generation(registry: Registry) -> None:
    put(registry.client, sproc("a.lua", "return 1"))
    start(registry, "rollback", "ann", 5.0, generation="1")
    start(registry, "sync", "ann", 5.0, on=7)
    registry.client.xadd(registry.keys.control, {"request": "sync", "by": "ben", "deadline": "9" * 40})
    now_ms, generation = now_and_generation(registry)
    back, sync, bare = take(registry, "d1")
    assert (back.on, sync.on, generation) == (1, 7, 1)
    assert back.refused(now_ms, 1) is None
    assert back.refused(now_ms, 2) == "overtaken"
    assert sync.refused(now_ms, 1) == "overtaken"
    assert back.refused(now_ms + 5001, 1) == "expired"
    assert bare.refused(now_ms, 1) == "expired"
    assert Request("1-1", "fetch", "ann", now_ms + 1, 3).refused(now_ms, 4) is None


@pytest.mark.parametrize("refusal", ["expired", "overtaken"])
def test_a_daemon_that_may_not_any_more_is_told_from_one_that_failed(registry: Registry, refusal: str) -> None:
    def serve() -> None:
        answer(registry, until(lambda: take(registry, "d1"))[0], Answer(False, "why", "d1", refusal))

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(NotDoneError, match="why"):
        request(registry, "sync", by="ann")
    thread.join()
