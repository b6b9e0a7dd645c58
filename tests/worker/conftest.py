"""Fixtures of the worker's tests: `bench` has a server of each kind and a worker process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.worker.harness import Bench, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers import Server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    return made


@pytest.fixture
def start_worker(server: Server, folder: Path) -> Iterator[Callable[..., WorkerProcess]]:
    started: list[WorkerProcess] = []

    def start(*, url: str = "", **setup: Any) -> WorkerProcess:
        worker = WorkerProcess(url or server.url, folder, **setup)
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()


@pytest.fixture
def bench(server: Server, start_worker: Callable[..., WorkerProcess]) -> Bench:
    return Bench(server, start_worker)
