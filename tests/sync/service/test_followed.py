"""Whether anybody follows git: a daemon that only syncs has no heartbeat, and says by when it looks again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.findings import findings
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.server.registry import Registry
from tests.gitrepo import GitRepo
from tests.sync.service.service import KEYS, Service, live, state_of
from tests.until import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


def test_a_daemon_that_was_killed_is_missed_and_one_that_stopped_in_order_is_not(
    server: Server, tmp_path: Path
) -> None:
    client, repo = server.client(), GitRepo(tmp_path / "shop")
    repo.write("sprocs/a.lua", "return 1\n")
    commit = repo.commit()

    def promised() -> int:
        found: Any = client.hget(KEYS.desired, "followed_until_ms")
        return int(found or 0)

    daemon = Service(server.url, repo.path, "--no-runtime").spawn()
    try:
        live(client, commit)
        until(promised)
        first = promised()
        until(lambda: promised() > first)  # it has looked again, though nothing is new
        daemon.stop()
        assert not promised()
        assert state_of(client).commit == commit
        daemon.spawn()
        until(promised)
    finally:
        daemon.kill()
    last = read_snapshot(Registry(client, KEYS), server.url)
    assert not findings(last)
    [one] = findings(replace(last, now_ms=promised() + 1))
    assert one.code == FindingCode.DEGRADED
