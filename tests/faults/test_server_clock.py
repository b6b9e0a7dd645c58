"""The server's own clock is set forward and back under running daemons, by libfaketime."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, Writers, check, gaps, settled
from tests.live import put, sproc
from tests.servers import in_ci

EVERY = "-- every=1s\nredis.call('INCR', 'ticks')\n"
EXPIRED = "-- event=expired\n-- key=due:*\nredis.call('INCR', 'expired')\n"


def library() -> str:
    """The library that fakes a process' clock."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        (pytest.fail if in_ci() else pytest.skip)("libfaketime is missing: apt-get install libfaketime")
    return str(found[0])


def test_a_server_whose_clock_is_set_forward_and_back(server_kind, own_server, tmp_path, monkeypatch):
    if server_kind != "valkey":
        pytest.skip("Debian's servers do not start with libfaketime: their jemalloc asks for the time too early")
    shift = tmp_path / "shift"
    shift.write_text("+0")
    with monkeypatch.context() as faked:
        faked.setenv("LD_PRELOAD", library())
        faked.setenv("FAKETIME_TIMESTAMP_FILE", str(shift))
        faked.setenv("FAKETIME_NO_CACHE", "1")
        faked.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        server = own_server()
    client = server.client()
    put(client, sproc("counter.lua", COUNTER), sproc("every.lua", EVERY), sproc("expired.lua", EXPIRED))
    pair = [DaemonProcess(server.url).start() for _ in range(2)]
    try:
        with Writers(server, 2, rate=200) as writers:
            for number, offset in enumerate((3600, 0, -3600, 0)):
                shift.write_text(f"{offset:+}")
                time.sleep(0.2)
                assert abs(client.time()[0] - time.time() - offset) < 60
                ticks = int(client.get("ticks") or 0)
                client.set(f"due:{number}", "x", px=200)
                time.sleep(3)
                assert 2 <= int(client.get("ticks")) - ticks <= 5  # one a second, and one for a time that was missed
                assert int(client.get("expired")) == number + 1
        ran = settled(client, writers.count)
    finally:
        for daemon in pair:
            daemon.kill()
    check(writers.ledger, ran)
    assert gaps(client) == []
