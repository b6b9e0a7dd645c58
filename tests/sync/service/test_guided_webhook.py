"""A webhook brings a push to what the URL leads to: the master that Sentinels name, or all shards of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.registries import everywhere
from tests.gitrepo import GitRepo
from tests.sync.service.service import Service, source_of
from tests.sync.service.test_http import SECRET, push_said
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.clusters import Cluster
    from tests.sentinels import Sentinels

pytestmark = pytest.mark.timeout(120)


def pushed(url: str, folder: Path, sources: Callable[[], set[str]]) -> None:
    """Two commits, the second of which nothing but a webhook tells of. `sources`: what is live of a.lua."""
    remote = GitRepo(folder / "remote")
    remote.write("sprocs/a.lua", "return 1\n")
    remote.commit("first")
    environ = {"LUASPROCS_REMOTE": f"file://{remote.path}", "LUASPROCS_INTERVAL": "1h", "LUASPROCS_BRANCH": "main"}
    environ |= {"LUASPROCS_HTTP": "127.0.0.1:0", "LUASPROCS_WEBHOOK_SECRET": SECRET}
    with Service(url, GitRepo(folder / "empty").path, environ=environ) as service:
        until(lambda: sources() == {"return 1\n"}, 30, sources)
        remote.write("sprocs/a.lua", "return 2\n")
        remote.commit("second")
        assert push_said(service, b"{}") == 202
        until(lambda: sources() == {"return 2\n"}, 30, sources)


def test_a_webhook_brings_a_push_to_the_master(sentinels: Sentinels, tmp_path: Path) -> None:
    with sentinels.client() as client:
        client.flushall()
        pushed(sentinels.url, tmp_path, lambda: {source_of(client, "a.lua")})


def test_a_webhook_brings_a_push_to_all_shards(cluster: Cluster, tmp_path: Path) -> None:
    pushed(cluster.seeds_url, tmp_path, lambda: {one.sources.get("a.lua", "") for one in everywhere(cluster)})
