from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import JobError, WaitError
from luasprocs.operations.pause import pause
from luasprocs.operations.run import Enqueued, run
from luasprocs.operations.wait import Delay, daemon_alive, delay_of, wait_for_job
from tests.live import put, sproc
from tests.until import until

if TYPE_CHECKING:
    from luasprocs.server.registry import Registry
    from luasprocs.state.executions import Execution
    from tests.conftest import StartDaemon
    from tests.servers import Server

SOURCES = {
    "job.lua": "-- runasync=yes\nreturn ARGV[1]",
    "again.lua": "-- runasync=yes\n-- retries=1\n-- backoff=500ms\nerror('no')",
    "single.lua": "-- runasync=yes\n-- overlap=skip\nreturn 1",
    "slow.lua": "-- runasync=yes\nlocal t = os.time()\nwhile os.time() < t + 6 do end",
}


@pytest.fixture
def live(registry: Registry) -> Registry:
    put(registry.client, *(sproc(name, source) for name, source in SOURCES.items()))
    return registry


def enqueued(registry: Registry, name: str, *args: bytes) -> Enqueued:
    done = run(registry, name, [], args, by="ann")
    assert isinstance(done, Enqueued)
    return done


def test_the_record_of_its_end(live: Registry, server: Server, start_daemon: StartDaemon) -> None:
    start_daemon(server.url)
    first, second = enqueued(live, "job.lua", b"1"), enqueued(live, "job.lua", b"2")
    assert wait_for_job(live, second, 30).reply == "2"
    assert wait_for_job(live, first, 30).reply == "1"


def test_the_last_try_counts_and_each_that_failed_is_heard_of(
    live: Registry, server: Server, start_daemon: StartDaemon
) -> None:
    start_daemon(server.url)
    heard: list[tuple[int, Execution]] = []
    record = wait_for_job(live, enqueued(live, "again.lua"), 30, tried=lambda number, one: heard.append((number, one)))
    assert record.status == "error"
    assert heard[0][0] == 1
    assert heard[0][1].id < record.id


def test_without_a_daemon_it_ends_in_time_and_says_why(live: Registry) -> None:
    job, heard = enqueued(live, "job.lua"), list[Delay]()
    with pytest.raises(WaitError, match=r"job\.lua has not ended within 3\.2 s"):
        wait_for_job(live, job, 3.2, late=heard.append)
    assert heard == [Delay.NO_DAEMON]
    assert not daemon_alive(live)


def test_why_it_takes_long(live: Registry, server: Server, start_daemon: StartDaemon) -> None:
    start_daemon(server.url)
    slow, behind = enqueued(live, "slow.lua"), enqueued(live, "slow.lua")
    until(lambda: delay_of(live, behind) == Delay.TURN)
    until(lambda: delay_of(live, slow) == Delay.RUNNING)
    pause(live, ["job.lua"], by="ann")
    paused = enqueued(live, "job.lua")
    until(lambda: delay_of(live, paused) == Delay.PAUSED)


def test_one_that_overlap_left_out_never_ends(live: Registry) -> None:
    enqueued(live, "single.lua")
    with pytest.raises(JobError, match="overlap=skip"):
        wait_for_job(live, enqueued(live, "single.lua"))
