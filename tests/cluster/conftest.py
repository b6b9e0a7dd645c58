"""Fixtures of the clusters' tests: `shell` and `guarded`, in a fresh repository, with a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sync.commands.conftest import clean_environment, repo
from tests.sync.commands.shell import Shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clusters import Cluster

__all__ = ["clean_environment", "repo"]


@pytest.fixture
def shell(
    repo: Path,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Shell:
    """A user in an empty repository; LUASPROCS_REDIS names a node."""
    monkeypatch.setenv("LUASPROCS_REDIS", cluster.url)
    return Shell(repo, cluster.nodes[0], capsysbinary)


@pytest.fixture
def guarded(
    repo: Path,
    replicated: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> Shell:
    """The same whose cluster has replicas; LUASPROCS_REDIS names a node that stays."""
    monkeypatch.setenv("LUASPROCS_REDIS", replicated.nodes[1].url)
    return Shell(repo, replicated.nodes[1], capsysbinary)
