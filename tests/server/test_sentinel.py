"""Finding the master by Sentinels: by each way that connects, and what is said where there is none."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import exceptions

import luasprocs
from luasprocs.contract.keys import Keys
from luasprocs.errors import ServerAuthenticationError, ServerError, ServerUnreachableError
from luasprocs.operations.pause import pause
from luasprocs.operations.put import put
from luasprocs.runtime.wire import connect as connect_wire
from luasprocs.server.acl import ROLES, rule, setuser
from luasprocs.server.connection import connect, connect_async, errors_named
from luasprocs.server.fleet import open_registry
from luasprocs.server.guide_errors import GuideError, Why
from luasprocs.server.guided_clients import ASK_EVERY_S
from luasprocs.state.executions import read_executions
from luasprocs.worker.connection import Connection
from tests.daemons import DaemonProcess
from tests.live import sproc
from tests.paths import ROOT
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.sentinels import Sentinels

SECRET = "s3cret"
QUICKLY = "?socket_connect_timeout=1"


@pytest.fixture
def users(sentinels: Sentinels) -> Iterator[None]:
    """A user `ann` of the servers, and a user `sue` of the Sentinels."""
    clients = [server.client() for server in sentinels.servers]
    watching = [sentinels.sentinel(port) for port in sentinels.ports]
    for client in clients:
        client.execute_command("ACL", "SETUSER", "ann", "on", f">{SECRET}", "+@all", "~*", "&*")
    for client in watching:
        allowed = (
            "+sentinel|master",
            "+sentinel|get-master-addr-by-name",
            "+sentinel|replicas",
            "+sentinel|slaves",
            "+sentinel|ckquorum",
        )
        client.execute_command("ACL", "SETUSER", "sue", "on", f">{SECRET}", "-@all", *allowed)
    yield
    for client in (*clients, *watching):
        client.execute_command("ACL", "DELUSER", "ann", "sue")
    for server in sentinels.servers:
        server.close_clients()


async def reach(way: str, url: str) -> None:
    """Connects in one of three ways."""
    if way == "sync":
        with connect(url) as client:
            client.ping()
    elif way == "asyncio":
        async with connect_async(url) as asking:
            await asking.ping()
    else:
        (await connect_wire(url)).close()


async def refused(url: str) -> tuple[GuideError, ServerError]:
    """What each way to connect says: all the same."""
    found: list[GuideError] = []
    for way in ("sync", "asyncio", "daemon"):
        with pytest.raises(GuideError) as caught:
            await reach(way, url)
        found.append(caught.value)
    assert len({one.why for one in found}) == 1
    assert SECRET not in "".join(map(str, found))
    with pytest.raises(ServerError) as named, errors_named(url):
        raise found[0]
    return found[0], named.value


def port_in(found: Mapping[Any, Any]) -> int:
    """Of CONFIG GET's reply."""
    return int(next(iter(found.values())))


@pytest.mark.usefixtures("users")
async def test_every_way_leads_to_the_master(sentinels):
    url = sentinels.url.replace("//", f"//ann:{SECRET}@") + f"/3?sentinel_username=sue&sentinel_password={SECRET}"
    port = sentinels.master.port
    with connect(url) as client:
        client.set("key", "value")
        assert port_in(client.config_get("port")) == port
    async with connect_async(url) as asking:
        assert await asking.get("key") == b"value"
        assert await asking.execute_command("ACL", "WHOAMI") == b"ann"
    wire = await connect_wire(url)
    assert await wire.call("GET", "key") == b"value"
    assert int((await wire.call("CONFIG", "GET", "port"))[1]) == port
    wire.close()


async def test_a_name_that_no_sentinel_knows(sentinels):
    error, ours = await refused(sentinels.url.replace("mymaster", "shop"))
    assert error.why is Why.UNKNOWN_NAME
    assert isinstance(ours, ServerUnreachableError)


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize("login", ["&sentinel_username=nobody", "&sentinel_username=sue"])
async def test_a_wrong_user_or_password_of_the_sentinels(sentinels, login):
    error, ours = await refused(f"{sentinels.url}{QUICKLY}&sentinel_password=x{SECRET}{login}")
    assert error.why is Why.REFUSED
    assert isinstance(ours, ServerAuthenticationError)


@pytest.mark.usefixtures("users")
async def test_a_wrong_password_of_the_server_is_the_servers(sentinels):
    url = sentinels.url.replace("//", "//ann:wrong@")
    for way in ("sync", "asyncio", "daemon"):
        with pytest.raises(ServerAuthenticationError), errors_named(url):
            await reach(way, url)


async def test_servers_in_the_place_of_sentinels(sentinels):
    error, _ = await refused(f"redis+sentinel://127.0.0.1:{sentinels.master.port}/mymaster")
    assert error.why is Why.NO_GUIDE


async def test_no_sentinel_there(unused_tcp_port):
    error, _ = await refused(f"redis+sentinel://127.0.0.1:{unused_tcp_port}/mymaster")
    assert error.why is Why.NO_ANSWER


async def test_sentinels_that_hang(sentinels):
    """One of three keeps nobody waiting; of all of them it is said when the time to connect is over."""
    first, *others = sentinels.processes
    try:
        os.kill(first.pid, signal.SIGSTOP)
        with connect(sentinels.url) as client:
            assert client.ping()
        (await connect_wire(sentinels.url)).close()
        for one in others:
            os.kill(one.pid, signal.SIGSTOP)
        error, _ = await refused(sentinels.url + QUICKLY)
        assert error.why is Why.NO_ANSWER
    finally:
        for one in sentinels.processes:
            os.kill(one.pid, signal.SIGCONT)
    sentinels.until_whole()


async def test_sentinels_that_name_a_replica_or_nobody(sentinels, unused_tcp_port):
    replica = next(one for one in sentinels.servers if one is not sentinels.master)
    first = sentinels.ports[0]
    for name, port, why in (("replica", replica.port, Why.REPLICA), ("nobody", unused_tcp_port, Why.DEAD)):
        sentinels.sentinel(first).execute_command("SENTINEL", "MONITOR", name, "127.0.0.1", port, 1)
        try:
            error, ours = await refused(f"redis+sentinel://127.0.0.1:{first}/{name}")
        finally:
            sentinels.sentinel(first).execute_command("SENTINEL", "REMOVE", name)
        assert error.why is why
        assert str(port) in str(ours)


async def test_a_master_that_hangs_or_is_down_without_a_quorum(sentinels):
    old = sentinels.master
    stopped = sentinels.processes[1:]
    try:
        for pid in (old.pid, *(one.pid for one in stopped)):
            os.kill(pid, signal.SIGSTOP)
        with connect(sentinels.url + QUICKLY) as client:
            assert why_not(client) in {Why.DEAD, Why.DOWN, Why.NO_QUORUM}
            until(lambda: why_not(client) is Why.NO_QUORUM)
        await refused(sentinels.url)
    finally:
        for pid in (old.pid, *(one.pid for one in stopped)):
            os.kill(pid, signal.SIGCONT)
    until(lambda: sentinels.client().ping())
    sentinels.until_whole()


def why_not(client) -> Why | None:
    try:
        client.ping()
    except GuideError as error:
        return error.why
    return None


def test_a_worker_passes_over_what_is_no_master(sentinels):
    replica = next(one for one in sentinels.servers if one is not sentinels.master)
    connection = Connection(sentinels.url, [("127.0.0.1", one.port) for one in (replica, sentinels.master)])
    try:
        assert connection.call("SET", "key", "value") is not None
        assert connection.server[b"role"] == b"master"
        assert connection.ports == {replica.port, sentinels.master.port}
        assert connection.named
    finally:
        connection.close()


async def test_clients_follow_a_master_that_is_replaced_in_order(sentinels):
    """Before the old one is demoted, which takes Sentinels ten seconds by default: till then writes would be lost."""
    with connect(sentinels.url) as client:
        async with connect_async(sentinels.url) as asking:
            assert client.ping()
            assert await asking.ping()
            sentinels.order()
            port = sentinels.master.port
            await asyncio.sleep(ASK_EVERY_S)
            assert port_in(client.config_get("port")) == port
            assert port_in(await asking.config_get("port")) == port
    sentinels.until_whole()


async def test_clients_of_a_master_that_hangs_go_on_with_the_next(sentinels):
    """Long before the time for a reply is over."""
    with connect(sentinels.url) as client:
        async with connect_async(sentinels.url) as asking:
            assert client.ping()
            assert await asking.ping()
            old = sentinels.master
            os.kill(old.pid, signal.SIGSTOP)
            try:
                waiting = asyncio.ensure_future(asking.ping())
                with pytest.raises(GuideError) as caught:
                    await asyncio.to_thread(client.ping)
                assert caught.value.why is Why.MOVED
                with pytest.raises(GuideError) as caught:
                    await waiting
                assert caught.value.why is Why.MOVED
                until(lambda: sentinels.master is not old)  # the first Sentinel may be the last to know
                assert port_in(client.config_get("port")) == sentinels.master.port
                assert port_in(await asking.config_get("port")) == sentinels.master.port
            finally:
                os.kill(old.pid, signal.SIGCONT)
    sentinels.until_whole()


def test_one_that_waits_for_long_is_not_disturbed(sentinels):
    with connect(sentinels.url) as client:
        assert client.blpop(["nothing"], timeout=2) is None
        assert client.ping()


def test_the_page_as_it_stands(tmp_path, unused_tcp_port_factory):
    """docs/sentinel.md: its first block, a failover, and the block that stops all."""
    if not shutil.which("redis-server") or not shutil.which("redis-cli"):
        pytest.skip("redis-server and redis-cli are not on PATH")
    page = (ROOT / "docs" / "sentinel.md").read_text(encoding="utf-8")
    for port in set(re.findall(r"\b7[12]0[123]\b", page)):
        page = page.replace(port, str(unused_tcp_port_factory()))
    first, last = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    [url] = re.findall(r"LUASPROCS_REDIS=(\S+)", first)
    environ = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}

    def typed(block: str) -> str:
        done = subprocess.run(
            ["bash"], input=block.encode(), cwd=tmp_path, env=environ, capture_output=True, check=False, timeout=60
        )
        return (done.stdout + done.stderr).decode()

    try:
        assert re.search(r"registry +empty", typed(first))
        with connect(url) as client:
            assert client.ping()
            port = port_in(client.config_get("port"))
            until(
                lambda: typed(f"redis-cli -p {url.split(':')[2].partition(',')[0]} SENTINEL FAILOVER shop").startswith(
                    "OK"
                )
            )
            until(lambda: port_in(client.config_get("port")) != port)
    finally:
        typed(last)


def test_the_rule_of_each_role_serves_behind_sentinels(sentinels: Sentinels) -> None:
    servers = [server.client() for server in sentinels.servers]
    for client in servers:
        client.acl_log_reset()
    for role, client in itertools.product(ROLES, servers):
        client.execute_command(*shlex.split(setuser(role, rule(role, Keys()), SECRET)))

    def by(role: str) -> str:
        return sentinels.url.replace("//", f"//{role}:{SECRET}@")

    try:
        registry = open_registry(by("deployer"))
        put(registry, [sproc("add.lua", "-- event=set\n-- key=app:x\nreturn redis.call('INCR', 'app:ran')")])
        with DaemonProcess(by("daemon")), luasprocs.connect(by("caller")) as sprocs:
            assert sprocs.execute("add.lua") == 1
            sentinels.client().set("app:x", 1)
            until(lambda: sentinels.client().get("app:ran") == b"2")
        pause(registry, ["add.lua"], by="ann")
        assert [one.status for one in read_executions(open_registry(by("viewer")))] == ["ok"]
        with pytest.raises(exceptions.NoPermissionError):
            pause(open_registry(by("viewer")), ["add.lua"], by="ann")
        refused = [entry["username"] for client in servers for entry in client.acl_log()]
        assert set(refused) <= {"viewer"}
    finally:
        for client in servers:
            client.execute_command("ACL", "DELUSER", *ROLES)
            client.execute_command("ACL", "LOG", "RESET")
        for server in sentinels.servers:
            server.close_clients()
