from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.live import put, sproc
from tests.tui.pilot import TO_ACT_ON

if TYPE_CHECKING:
    from pathlib import Path

    from redis import Redis

    from tests.servers import Server


@pytest.fixture(autouse=True)
def drafts_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where drafts are: none of whoever runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def size(server_kind: str) -> tuple[int, int]:
    """A small screen on one server, a large one on the other."""
    return (80, 24) if server_kind == "valkey" else (160, 45)


@pytest.fixture
def client(server: Server) -> Redis:
    found = server.client()
    put(found, *(sproc(name, source) for name, source in TO_ACT_ON.items()))
    return found
