from __future__ import annotations

import zlib
from pathlib import Path

import pytest

BOTH_SERVERS = ("test_terminal.py", "test_faults.py")


@pytest.fixture
def size(server_kind: str) -> tuple[int, int]:
    """A small screen on one server, a large one on the other."""
    return (80, 24) if server_kind == "valkey" else (160, 45)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What a screen does with what was read is tested on one of the servers, every other test on the other one.

    What it reads is tested on both, by the tests of what it reads with; and so are those of BOTH_SERVERS.
    """
    here, left_out = Path(__file__).parent, []
    for item in items:
        kind = getattr(item, "callspec", None) and item.callspec.params.get("server_kind")  # type: ignore[attr-defined]
        if kind and here in item.path.parents and item.path.name not in BOTH_SERVERS:
            same = item.nodeid.replace("redis", "valkey")
            if (zlib.crc32(same.encode()) % 2 == 0) != (kind == "valkey"):
                left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
