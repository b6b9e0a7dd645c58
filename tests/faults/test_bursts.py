"""One script that writes far more than daemons read in a lease: nobody is taken for dead, nothing is a gap, `wait` waits."""

from __future__ import annotations

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.server.registry import Registry
from luasprocs.state.barrier import wait_for_events
from luasprocs.state.daemons import read_running
from tests.daemons import DaemonProcess
from tests.faults.ledger import gaps
from tests.live import put, sproc
from tests.soak import SOAK

EVENTS = 1_000_000 if SOAK else 120_000
KEYS = Keys()
pytestmark = [pytest.mark.long, pytest.mark.soak, pytest.mark.timeout(3000 if SOAK else 240)]


def test_a_burst_of_one_script_with_three_triggers_and_two_daemons(own_server, tmp_path):
    own = own_server()
    client = own.client(socket_timeout=300)
    put(
        client,
        sproc("first.lua", "-- event=set\n-- key=ev:*\nredis.call('INCR', 'first')"),
        sproc("second.lua", "-- event=set\n-- key=*:*\nredis.call('INCR', 'second')"),
        sproc("later.lua", "-- event=set\n-- key=ev:*\n-- runasync=yes\n-- overlap=allow\nredis.call('INCR', 'later')"),
    )
    registry = Registry(client, KEYS)
    environ = {"LUASPROCS_WORKERS": "1"}
    with (
        DaemonProcess(own.url, cwd=tmp_path, environ=environ) as one,
        DaemonProcess(own.url, cwd=tmp_path, environ=environ) as other,
    ):
        client.eval(f"for i = 1, {EVENTS} do redis.call('SET', 'ev:' .. i, i) end", 0)
        wait_for_events(registry, timeout_s=2400)
        assert (client.get("first"), client.get("second")) == (b"%d" % EVENTS, b"%d" % EVENTS)
        waiting = client.xlen(KEYS.jobs)
        assert int(client.get("later") or 0) + waiting >= EVENTS
        assert gaps(client) == []
        assert len(read_running(registry).alive) == 2
        for daemon in (one, other):
            assert "connecting again" not in daemon.output
            assert "Traceback" not in daemon.output
