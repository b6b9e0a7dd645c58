"""What can't go on is a finding while it lasts, and goes on by itself."""

from __future__ import annotations

import pytest

from luasprocs.contract.codes import FindingCode
from luasprocs.contract.keys import Keys
from luasprocs.operations.findings import findings
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.server.registry import Registry
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.until import until

pytestmark = pytest.mark.timeout(90)
KEYS = Keys()
JOB = sproc("job.lua", "-- runasync=yes\nredis.call('INCR', 'jobs')\n")
EVENT = sproc("event.lua", "-- event=set\n-- key=e:*\nredis.call('INCR', 'events')\n")
SECONDS = sproc("seconds.lua", "-- every=1s\nredis.call('INCR', 'seconds')\n")


def found(server):
    return {one.code: one for one in findings(read_snapshot(Registry(server.client(), KEYS), server.url))}


def enqueue(server):
    server.client().execute_command("FCALL", KEYS.function("enqueue"), 0, "job.lua", "-", 1)


def test_jobs_that_no_daemon_can_run(server, tmp_path):
    """No worker can be started there: a living daemon is not enough."""
    put(server.client(), JOB)
    (tmp_path / "file").touch()
    files = str(tmp_path / "file" / "folder")
    with DaemonProcess(server.url, environ={"LUASPROCS_FILES": files}, cwd=tmp_path):
        assert not found(server)
        enqueue(server)
        until(lambda: FindingCode.NO_DAEMON in found(server))
        [daemon] = found(server)[FindingCode.NO_DAEMON].names
        with DaemonProcess(server.url, cwd=tmp_path):
            until(lambda: server.client().get("jobs") == b"1")
            assert FindingCode.NO_DAEMON not in found(server), daemon


def test_jobs_that_the_daemons_user_may_not_take(server, tmp_path):
    client = server.client()
    put(client, JOB)
    client.execute_command("ACL", "SETUSER", "daemon", "on", ">p", "~*", "&*", "+@all", "-xreadgroup")
    with DaemonProcess(server.url.replace("://", "://daemon:p@"), cwd=tmp_path):
        enqueue(server)
        until(lambda: FindingCode.NO_DAEMON in found(server))
        client.execute_command("ACL", "SETUSER", "daemon", "+@all")
        until(lambda: client.get("jobs") == b"1")
        enqueue(server)
        until(lambda: client.get("jobs") == b"2" and not found(server))


def test_a_daemon_whose_user_may_not_subscribe_says_so_once_and_goes_on_when_it_may(server, tmp_path):
    client = server.client()
    put(client, EVENT)
    client.execute_command("ACL", "SETUSER", "daemon", "on", ">p", "~*", "&*", "+@all")
    with DaemonProcess(server.url.replace("://", "://daemon:p@"), cwd=tmp_path) as daemon:
        client.execute_command("ACL", "SETUSER", "daemon", "-subscribe")
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        until(lambda: FindingCode.NO_DAEMON in found(server))
        said = daemon.output
        assert said.count("NOPERM") == 1
        assert "Traceback" not in said
        client.execute_command("ACL", "SETUSER", "daemon", "+@all")
        daemon.until(" listening", times=2)
        client.set("e:1", 1)
        until(lambda: client.get("events") == b"1")


def test_ticks_that_the_daemons_user_may_not_publish(server, tmp_path):
    """It is alive, connected and subscribed, and no event is ever numbered."""
    client = server.client()
    put(client, EVENT)
    client.execute_command("ACL", "SETUSER", "daemon", "on", ">p", "~*", "&*", "+@all")
    with DaemonProcess(server.url.replace("://", "://daemon:p@"), cwd=tmp_path) as daemon:
        until(lambda: not found(server))
        client.execute_command("ACL", "SETUSER", "daemon", "-publish")
        until(lambda: FindingCode.NO_DAEMON in found(server), what=lambda: daemon.output)
        client.set("e:1", 1)
        client.execute_command("ACL", "SETUSER", "daemon", "+@all")
        until(
            lambda: client.get("events") == b"1" and FindingCode.NO_DAEMON not in found(server),
            what=lambda: f"{client.get('events')} {found(server)}\n{daemon.output}",
        )


def test_all_goes_on_after_the_registry_was_swapped_away_and_back(server, tmp_path):
    client = server.client()
    put(client, EVENT, SECONDS, JOB)
    with DaemonProcess(server.url, cwd=tmp_path) as daemon:
        until(lambda: client.get("seconds"))
        client.swapdb(0, 1)
        daemon.until("generation none")
        client.swapdb(0, 1)
        before = int(client.get("seconds"))
        until(lambda: int(client.get("seconds")) > before)

        def runs():
            client.set("e:1", 1)
            return client.get("events")

        until(runs)
        enqueue(server)
        until(lambda: client.get("jobs"))
