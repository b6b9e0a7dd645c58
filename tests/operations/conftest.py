"""Fixtures of the operations' tests: a registry on each server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.server.connection import connect
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture
def registry(server: Server) -> Iterator[Registry]:
    """An empty one."""
    client = connect(server.url)
    yield Registry(client, Keys())
    client.close()
