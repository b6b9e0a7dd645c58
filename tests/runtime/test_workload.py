"""Jobs at hand, with real worker processes and no session."""

from __future__ import annotations

import asyncio
import time

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.runtime.pool import DEPTH, Pool
from luasprocs.runtime.workers import Job, WorkerRules, WorkerSetup
from luasprocs.runtime.workload import AHEAD, Workload
from tests.live import put, sproc

QUICK = "-- runasync=yes\nreturn 1\n"
SLOW = "-- runasync=yes\nwhile true do end\n"


def job(number, name=b"quick.lua"):
    place = b"%d-1" % number
    return Job(place, b"id%d" % number, name, b"call", 1, b"-", 1, {"timeout": 30_000, "memory": 64 * 1024**2}, (), ())


@pytest.fixture
async def workload(server, tmp_path):
    put(server.client(), sproc("quick.lua", QUICK), sproc("slow.lua", SLOW))
    rules = WorkerRules(count=1, folder=tmp_path / "files")
    found = Workload(Pool(WorkerSetup(server.url, Keys().namespace, 0, "daemon-1", rules)))
    await found.pool.prepare()
    [worker] = found.pool._workers
    found.generation = b"1"
    yield found
    found.stop()
    await found.end(time.monotonic())
    await found.pool.close()
    await worker.gone()


async def until_ended(workload, count):
    ended = asyncio.Event()
    workload.ended = ended.set
    while len(workload.unreported) < count:
        ended.clear()
        await ended.wait()


async def test_jobs_run_in_order_and_are_kept_until_they_are_reported(workload):
    assert workload.room == 1
    workload.add([job(1), job(2), job(3)])
    assert workload.running == 1
    assert workload.room == 0
    await until_ended(workload, 3)
    assert [(one.entry, outcome.status) for one, outcome in workload.unreported] == [
        (b"1-1", "ok"),
        (b"2-1", "ok"),
        (b"3-1", "ok"),
    ]
    assert (workload.done, workload.running) == (3, 0)


async def test_jobs_are_taken_ahead_while_runs_are_short(workload):
    for number in range(50):  # until the worker is warm
        workload.add([job(number)])
        await until_ended(workload, number + 1)
        if workload.room == DEPTH + AHEAD:
            break
    assert workload.room == DEPTH + AHEAD
    workload.add([job(99, b"slow.lua")])
    await asyncio.sleep(0)  # it begins
    assert workload.room == 0


async def test_after_a_stop_nothing_begins_and_the_rest_is_cut_off(workload):
    workload.add([job(1, b"slow.lua"), job(2)])
    workload.stop()
    assert workload.room == 0
    workload.add([job(3)])
    await workload.end(time.monotonic() + 0.1)
    assert workload.running == 0
    assert not workload.unreported  # others run them again
