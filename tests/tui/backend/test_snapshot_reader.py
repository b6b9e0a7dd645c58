from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.contexts import Context
from luasprocs.operations.findings import findings
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.server.registry import Registry
from luasprocs_tui.app import TuiApp
from luasprocs_tui.backend.registry_backend import RegistryBackend
from luasprocs_tui.backend.snapshot_reader import SnapshotReader
from luasprocs_tui.screens.beside import EVERY_S
from luasprocs_tui.shell import REFRESH_S
from luasprocs_tui.values.trouble import Trouble, trouble_of
from tests.live import put, sproc
from tests.tui.pilot import KEYS, SOURCES, listed, put_sources, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from luasprocs_tui.values.snapshots import Snapshot
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
        await pilot.press("slash", *"s01", "escape", "o", "enter", "O", "T", "T")
        await pilot.pause(1)
        passed = time.monotonic() - started
        commands: Any = client.info("commandstats")
        looks = commands.get("cmdstat_smembers", {}).get("calls", 0)
        assert looks <= passed * 2 + 1, (looks, passed)


def test_what_fails_now_and_then_is_marked_in_the_list_and_status_says_the_same_as_the_badge(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("luasprocs_tui.backend.rates.LEAST_S", 0.0)
    client, keys = server.client(), KEYS
    put(client, sproc("a.lua", "return 1"), sproc("b.lua", "return 1"))
    registry = Registry(client, keys)
    reader = SnapshotReader(lambda: registry)

    def look() -> tuple[Snapshot, Trouble]:
        time.sleep(0.01)
        found = reader.read(("a.lua", "b.lua"))
        assert found.findings == findings(read_snapshot(registry, "")), "one says what the other does not"
        return found, trouble_of(found.rows[0], time.time() * 1000)

    before: Any = {"runs": 10, "errors": 1, "last_status": "ok", "last_error": "ERR a.lua:1: no"}
    client.hset(keys.stats("a.lua"), mapping=before)
    assert look()[1] is Trouble.QUIET, "an error of yesterday"
    client.hset(keys.stats("a.lua"), mapping={"runs": 20, "errors": 2})
    found, trouble = look()
    assert (trouble, found.findings) == (Trouble.ERRING, ())
    client.hset(keys.stats("a.lua"), mapping={"runs": 30})
    assert look()[1] is Trouble.ERRING, "for a minute"
    client.hset(keys.stats("a.lua"), mapping={"errors": 3, "last_status": "error", "failed_in_a_row": 1})
    found, trouble = look()
    assert (trouble, [one.code for one in found.findings]) == (Trouble.FAILING, [FindingCode.FAILING])


def test_the_last_runs_of_a_quiet_sproc_are_found_among_busy_ones_and_the_search_ends(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = server.client()
    put(client, sproc("quiet.lua", "return 1"), sproc("gone.lua", "return 1"))
    backend, at = RegistryBackend(server.url), 0
    pipe: Any = client.pipeline(transaction=False)
    for name, number in (("quiet.lua", 12), ("busy.lua", 1900)):
        for _ in range(number):
            at += 1
            pipe.xadd(KEYS.executions, {"sproc": name, "status": "ok"}, id=f"{at * 1000}-0")
    pipe.hset(KEYS.stats("quiet.lua"), mapping={"runs": 12, "last_run": 12})
    pipe.hset(KEYS.stats("gone.lua"), mapping={"runs": 12, "last_run": 1900})
    pipe.execute()
    assert [one.time_ms for one in backend.about("quiet.lua", 1).runs] == [*range(12_000, 2000, -1000)]
    monkeypatch.setattr("luasprocs_tui.backend.about_reader.PAGES", 4)
    found = backend.about("gone.lua", 1)
    assert (found.runs, found.looked_at, found.searching) == ((), 1200, True)
    found = backend.about("gone.lua", 1)
    assert (found.runs, found.looked_at, found.searching) == ((), 1500, False)
    assert backend.about("gone.lua", 1).looked_at == 1500


def test_at_rest_with_its_panels_the_screen_asks_redis_twice_a_second_at_most(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's `total_reads_processed` counts what its clients send: a pipeline below 16 kB once."""
    monkeypatch.setattr("luasprocs_tui.backend.snapshot_reader.REST_FACTOR", 0)  # full reads as often as can be
    client, looks = server.client(), 15
    put(client, *(sproc(f"s{number:02}.lua", "return 1") for number in range(40)))
    backend = RegistryBackend(server.url)
    names = [row.name for row in backend.snapshot((), full=False).rows]
    generation = backend.snapshot(names, full=False).revision.generation

    def asked(look: Callable[[], object]) -> float:
        before: Any = client.info("stats")
        for number in range(looks):
            record(client, names[number])
            look()
        after: Any = client.info("stats")
        return float(after["total_reads_processed"] - before["total_reads_processed"] - looks - 1) / looks

    backend.about(names[3], generation)
    of_list = asked(lambda: backend.snapshot(names[:30], full=False))
    of_panels = asked(lambda: backend.about(names[3], generation))
    assert of_panels == 1
    assert of_list / REFRESH_S + of_panels / EVERY_S <= 2
    about = backend.about(names[3], generation)
    assert [one.sproc for one in about.runs] == [names[3]] * 2, "each record once, though only new ones are read"
