"""Stopping what runs for too long, with fewer rights than it takes. tests/faults/test_contained.py has it stop runs."""

from __future__ import annotations

from luasprocs.contract.keys import Keys
from luasprocs.runtime.bindings import Bindings
from luasprocs.runtime.link import Address
from luasprocs.runtime.log_once import LogOnce
from luasprocs.runtime.watchdog import stop_overdue


async def test_a_missing_right_is_said_once(server, caplog):
    server.client().execute_command("ACL", "SETUSER", "lean", "on", ">pw", "+@all", "-function")
    address = Address(f"redis://lean:pw@127.0.0.1:{server.port}/0", Keys(), 0)
    said = LogOnce()
    for _ in range(2):
        await stop_overdue(address, Bindings(), said)
    [message] = caplog.messages
    assert message.startswith("can't stop endless runs: NOPERM")


async def test_a_server_that_is_away_is_no_error(caplog):
    await stop_overdue(Address("redis://127.0.0.1:1/0", Keys(), 0), Bindings(), LogOnce())
    assert caplog.messages == []
