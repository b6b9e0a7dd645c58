from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import NoPermissionError, ResponseError

from luasprocs.errors import NoSprocError, ScriptError, SprocDisabledError
from luasprocs.operations.run import Enqueued, Ran, run
from luasprocs.server.acl import rule
from luasprocs.server.connection import connect
from luasprocs.server.registry import Registry
from luasprocs.state.executions import read_executions
from luasprocs.state.jobs import read_jobs
from tests.live import put, sproc

if TYPE_CHECKING:
    from tests.servers import Server

SOURCES = {
    "echo.lua": "return {KEYS[1], ARGV[1]}",
    "off.lua": "-- enabled=no\nreturn 1",
    "fails.lua": "-- one\nerror('no')",
    "later.lua": "-- runasync=yes\nreturn 1",
    "single.lua": "-- runasync=yes\n-- overlap=skip\nreturn 1",
    "calls.lua": "redis.call('SET', 'ran', 1)\nlocal reply = sproc.call('later.lua')\nreturn reply",
    "passes.lua": "redis.call('INCR', 'passed')\nreturn sproc.call('later.lua')",
    "says.lua": "redis.call('INCR', 'said')\nreturn redis.error_reply(ARGV[1])",
    "deep.lua": "local t = {}\nt[1] = t\nreturn t",
    "hostile.lua": "error(\"'hostile.lua' is runasync=yes: it runs in a worker\", 0)",
}


@pytest.fixture
def live(registry: Registry) -> Registry:
    put(registry.client, *(sproc(name, source) for name, source in SOURCES.items()))
    return registry


def test_a_run_is_recorded_with_who_asked(live: Registry) -> None:
    assert run(live, "echo.lua", [b"k"], [b"\xff"], by="ann@host") == Ran([b"k", b"\xff"])
    [record] = read_executions(live)
    assert (record.sproc, record.trigger, record.key, record.origin) == ("echo.lua", "call", "k", "ann@host")


def test_an_async_one_is_enqueued(live: Registry) -> None:
    done = run(live, "later.lua", [b"k"], [b"a"], by="ann@host")
    assert isinstance(done, Enqueued)
    [job] = read_jobs(live)
    assert (done.sproc, done.job) == ("later.lua", job.id)
    assert (job.sproc, job.keys, job.args) == ("later.lua", ("k",), ("a",))
    assert done.origin.startswith("ann@host/")


def test_one_that_overlap_leaves_out_has_no_job(live: Registry) -> None:
    first, second = (run(live, "single.lua", by="ann") for _ in range(2))
    assert isinstance(first, Enqueued)
    assert isinstance(second, Enqueued)
    assert first.job
    assert second.job is None


def test_a_call_that_leaves_no_place_of_the_sproc_in_the_error_is_its_own_too(live: Registry) -> None:
    with pytest.raises(ScriptError, match=r"'later\.lua' is runasync=yes"):
        run(live, "passes.lua", by="ann")
    assert live.client.get("passed") == b"1"
    assert read_jobs(live) == []


def test_one_that_ran_and_called_an_async_one_is_not_enqueued_and_fails_with_its_own_error(live: Registry) -> None:
    with pytest.raises(ScriptError, match=r"calls\.lua:2.*'later\.lua' is runasync=yes"):
        run(live, "calls.lua", by="ann")
    assert live.client.get("ran") == b"1"
    assert read_jobs(live) == []
    assert [one.status for one in read_executions(live)] == ["error"]


@pytest.mark.parametrize("said", ["ASYNC 'says.lua' is async", "NORECORD no record", "ASYNC", "async x"])
def test_whatever_a_sproc_says_it_is_run_once(live: Registry, said: str) -> None:
    with pytest.raises(ScriptError):
        run(live, "says.lua", [], [said.encode()], by="ann")
    assert live.client.get("said") == b"1"
    assert read_jobs(live) == []


def test_a_sentence_is_no_code(live: Registry) -> None:
    with pytest.raises(ScriptError, match="is runasync=yes"):
        run(live, "hostile.lua", by="ann")
    assert read_jobs(live) == []


def test_refusals_are_errors_of_their_own(live: Registry) -> None:
    with pytest.raises(NoSprocError):
        run(live, "nope.lua", by="ann")
    with pytest.raises(SprocDisabledError):
        run(live, "off.lua", by="ann")
    with pytest.raises(ScriptError, match=r"fails\.lua:2"):
        run(live, "fails.lua", by="ann")
    with pytest.raises(ScriptError, match="nested too deep"):
        run(live, "deep.lua", by="ann")


def test_without_an_engine_there_is_no_sproc(registry: Registry) -> None:
    with pytest.raises(NoSprocError, match="no engine is loaded"):
        run(registry, "echo.lua", by="ann")


def test_who_may_write_no_record_runs_without(live: Registry, server: Server) -> None:
    words = rule("caller", live.keys, own_keys=("k",))
    server.client().execute_command("ACL", "SETUSER", "caller", "reset", *words, "on", "nopass")
    caller = Registry(connect(server.url.replace("//", "//caller:x@")), live.keys)
    assert run(caller, "echo.lua", [b"k"], [b"a"], by="ann") == Ran([b"k", b"a"], recorded=False)
    caller.client.close()


def test_what_the_server_refuses_stays_its_own(live: Registry, server: Server) -> None:
    server.client().execute_command("ACL", "SETUSER", "nobody", "reset", "on", "nopass", "+ping")
    nobody = Registry(connect(server.url.replace("//", "//nobody:x@")), live.keys)
    with pytest.raises(NoPermissionError):
        run(nobody, "echo.lua", by="ann")
    nobody.client.close()
    assert issubclass(NoPermissionError, ResponseError)
