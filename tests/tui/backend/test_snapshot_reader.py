from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.codes import FindingCode
from luasprocs.server.registry import Registry
from luasprocs_tui.app import TuiApp
from luasprocs_tui.backend.snapshot_reader import SnapshotReader
from luasprocs_tui.settings import Context
from tests.live import put, sproc
from tests.tui.pilot import KEYS, SOURCES, listed, put_sources

if TYPE_CHECKING:
    from tests.servers import Server


def test_a_small_registry_is_read_whole_once_and_then_glanced_at(server: Server):
    client = server.client()
    put_sources(client, SOURCES)
    registry = Registry(client, KEYS)
    reader = SnapshotReader(lambda: registry)
    reader.read()
    reader._full_again_at_s = float("inf")
    client.hset(KEYS.stats("sc1.lua"), "calls", 5)
    rows = {row.name: row for row in reader.read(["sc1.lua"]).rows}
    assert rows["sc1.lua"].counters.calls == 5
    put_sources(client, {**SOURCES, "new.lua": b"return 1\n"})
    assert "new.lua" in {row.name for row in reader.read(["sc1.lua"]).rows}


def test_what_runs_on_the_server_has_a_share_of_it_and_what_runs_in_workers_none(server: Server) -> None:
    client = server.client()
    put(client, sproc("here.lua", "return 1"), sproc("away.lua", "-- runasync=yes\nreturn 1"))
    registry = Registry(client, KEYS)
    reader = SnapshotReader(lambda: registry)
    for total_us in (1_000_000, 90_000_000):
        for name in ("here.lua", "away.lua"):
            client.hset(KEYS.stats(name), mapping={"runs": 1, "duration_us_total": total_us})
        rows = {row.name: row.counters.share for row in reader.read(full=True).rows}
    assert rows == {"here.lua": 1, "away.lua": None}


async def test_redis_is_asked_twice_a_second_at_most_and_never_by_keys(server: Server) -> None:
    client = server.client()
    put(client, *(sproc(f"s{number:03}.lua", "return 1") for number in range(100)))
    async with TuiApp(Context("", server.url)).run_test(size=(100, 24)) as pilot:
        await listed(pilot)
        client.config_resetstat()
        started = time.monotonic()
        for _ in range(12):
            await pilot.press(*"jjk")
        await pilot.press("slash", *"s01", "escape", "o", "O", "T", "T")
        await pilot.pause(1)
        passed = time.monotonic() - started
        commands: Any = client.info("commandstats")
        looks = commands.get("cmdstat_smembers", {}).get("calls", 0)
        assert looks <= passed * 2 + 1, (looks, passed)


def test_what_fails_now_and_then_is_failing_though_its_last_run_went_well(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luasprocs_tui.backend.rates.LEAST_S", 0.0)
    client, keys = server.client(), KEYS
    put(client, sproc("a.lua", "return 1"), sproc("b.lua", "return 1"))
    registry = Registry(client, keys)
    reader = SnapshotReader(lambda: registry)
    before: Any = {"runs": 10, "errors": 1, "last_status": "ok", "last_error": "ERR a.lua:1: no"}
    client.hset(keys.stats("a.lua"), mapping=before)
    assert not reader.read(("a.lua", "b.lua")).findings, "an error of yesterday"
    client.hset(keys.stats("a.lua"), mapping={"runs": 20, "errors": 2})
    time.sleep(0.01)
    found = reader.read(("a.lua", "b.lua"))
    assert [(one.code, one.names) for one in found.findings] == [(FindingCode.FAILING, ("a.lua",))]
    assert "a.lua: ERR a.lua:1: no" in found.findings[0].message
    client.hset(keys.stats("a.lua"), mapping={"runs": 30})
    assert reader.read(("a.lua", "b.lua")).findings, "for a minute"
