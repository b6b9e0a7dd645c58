from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import OutcomeUnknownError, RegistryError
from luasprocs.operations.request import request
from luasprocs.state.requests import Answer, answer, take
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


def test_without_a_daemon_nobody_knows(registry: Registry) -> None:
    with pytest.raises(OutcomeUnknownError, match="no daemon answered within 0 s"):
        request(registry, "sync", by="ann", within_s=0.1)
