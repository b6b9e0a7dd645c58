from __future__ import annotations

import pytest


@pytest.fixture
def size(server_kind: str) -> tuple[int, int]:
    """A small screen on one server, a large one on the other."""
    return (80, 24) if server_kind == "valkey" else (160, 45)
