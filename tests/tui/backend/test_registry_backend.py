from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import OutcomeUnknownError, ScriptError, ServerUnreachableError
from luasprocs.operations.run import Enqueued, Ran
from luasprocs_tui.backend.registry_backend import RegistryBackend
from tests.live import put, sproc
from tests.tui.pilot import KEYS
from tests.until import until as wait_for

if TYPE_CHECKING:
    from luasprocs_tui.backend.protocol import Backend
    from tests.conftest import OwnServer
    from tests.servers import Server


def test_a_request_that_was_made_before_the_server_died_is_unknown(own_server: OwnServer) -> None:
    """The daemon may have done it: that nothing answers any more says nothing about that."""
    own = own_server()
    client = own.client()
    backend = RegistryBackend(own.url)

    def kill() -> None:
        wait_for(lambda: client.xlen(KEYS.control))
        own.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(OutcomeUnknownError, match="outcome unknown"):
        backend.sync()
    killer.join()
    with pytest.raises(ServerUnreachableError, match="nothing answers"):
        backend.sync()


def test_what_ran_and_called_an_async_one_is_not_run_again_in_a_worker(server: Server) -> None:
    client, backend = server.client(), RegistryBackend(server.url)
    put(
        client,
        sproc("late.lua", "-- runasync=yes\nreturn 1"),
        sproc("calls.lua", "redis.call('INCR', 'ran')\nlocal reply = sproc.call('late.lua')\nreturn reply"),
    )
    with pytest.raises(ScriptError, match=r"calls\.lua:2"):
        backend.run("calls.lua", ["k"], [])
    assert client.get("ran") == b"1"
    assert backend.jobs() == []
    found = backend.run("late.lua", ["k"], ["a"])
    assert isinstance(found, Enqueued)
    assert [(one.id, one.keys, one.args) for one in backend.jobs()] == [(found.job, ("k",), ("a",))]


def test_changes_say_what_they_did(server: Server) -> None:
    client = server.client()
    put(client, sproc("a.lua", "-- event=set\nreturn KEYS[1]"), sproc("b.lua", "return 1"))
    backend: Backend = RegistryBackend(server.url)
    assert backend.run("a.lua", ["k"], []) == Ran(b"k")
    assert [backend.toggle_pause(names).paused for names in (["a.lua"], ["a.lua", "b.lua"], ["a.lua", "b.lua"])] == [
        True,
        True,
        False,
    ]
    assert [backend.toggle_suspend() for _ in range(2)] == [True, False]
    base = backend.sproc("a.lua")
    assert base is not None
    assert backend.edit_header(base, {"key": "x*"}) is None
    current = backend.edit_source(base, b"return 3")
    assert current is not None
    assert b"key=x*" in current.source
    assert backend.edit_source(current, b"return 3") is None
    backend.undo(["a.lua"])
    assert (backend.sproc("a.lua") or base).source == base.source
    assert backend.sproc("none.lua") is None
