"""The daemon's probes, metrics and webhook, over a real socket; and what a service manager hears."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from redis.exceptions import ResponseError

from luasprocs.registry.history import read_history
from luasprocs.server.registry import Registry
from sync.git.repository import Repository
from sync.service.follower import Follower
from sync.service.http import Http, Limits
from sync.service.observer import Observer
from sync.service.rules import Rules
from sync.service.sources import Checkout
from sync.service.supervisor import Supervisor
from tests.daemons import DaemonProcess
from tests.gitrepo import GitRepo
from tests.live import put, sproc
from tests.sync.service.service import KEYS, Service, commit_of, live
from tests.until import until

pytestmark = pytest.mark.timeout(120)
SECRET = "a secret of some length"


@pytest.fixture
def repo(tmp_path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    found.write("sprocs/a.lua", "return 1\n")
    found.write("sprocs/b.lua", "-- event=set\n-- key=ev:*\nif ARGV[1] == 'bad' then error('no') end\n")
    found.commit("first")
    return found


def ask(service: DaemonProcess, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    found = until(lambda: re.search(r"http at 127\.0\.0\.1:(\d+)", service.output))
    request = urllib.request.Request(f"http://127.0.0.1:{found[1]}{path}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def serve(server: Any, repo: GitRepo, **environ: str) -> Service:
    settings = {"LUASPROCS_HTTP": "127.0.0.1:0", "LUASPROCS_WEBHOOK_SECRET": SECRET, **environ}
    return Service(server.url, repo.path, environ=settings)


def test_ready_as_long_as_redis_is_there(own_server, repo):
    own = own_server(persistent=True)
    with serve(own, repo) as service:
        live(own.client(), repo.git("rev-parse", "HEAD"))
        until(lambda: ask(service, "/readyz")[0] == 200)
        assert json.loads(ask(service, "/healthz")[1])["alive"] is True
        known = of_registry(ask(service, "/metrics")[1])
        own.kill()
        until(lambda: within_a_second(service, "/readyz")[0] == 503)
        assert json.loads(within_a_second(service, "/readyz")[1])["reasons"]
        assert within_a_second(service, "/healthz")[0] == 200
        text = within_a_second(service, "/metrics")[1]
        assert b"luasprocs_redis_up 0.0" in text
        assert of_registry(text).keys() == known.keys()
        assert of_registry(text)["luasprocs_registry_daemons"] == 1
        age_s = of_registry(text)["luasprocs_registry_age_seconds"]
        until(
            lambda: of_registry(within_a_second(service, "/metrics")[1])["luasprocs_registry_age_seconds"] > age_s + 1
        )
        own.restart()
        until(lambda: ask(service, "/readyz")[0] == 200)
        own.client().config_set("maxmemory-policy", "allkeys-lru")
        until(lambda: ask(service, "/readyz")[0] == 503)
        assert b"allkeys-lru" in ask(service, "/readyz")[1]


def test_a_daemon_that_may_not_look_or_has_nothing_to_run_is_not_ready(server):
    client = server.client()
    client.execute_command("ACL", "SETUSER", "daemon", "on", ">p", "~*", "&*", "+@all")
    url = server.url.replace("://", "://daemon:p@")
    daemon = DaemonProcess(url, environ={"LUASPROCS_HTTP": "127.0.0.1:0"}).spawn()
    try:
        assert b"waiting for a sync" in refused(daemon)
        put(client, sproc("a.lua", "-- event=set\nreturn 1"))
        until(lambda: ask(daemon, "/readyz")[0] == 200)
        client.execute_command("ACL", "SETUSER", "daemon", "-zcard")
        assert b"what is wrong can't be told" in refused(daemon)
        assert b'luasprocs_finding{code="unreachable"} 1.0' in ask(daemon, "/metrics")[1]
        client.execute_command("ACL", "SETUSER", "daemon", "+@all")
        until(lambda: ask(daemon, "/readyz")[0] == 200)
        client.flushall()
        client.function_flush()
        assert b"waiting for a sync" in refused(daemon)
    finally:
        daemon.kill()


def refused(service: DaemonProcess) -> bytes:
    """What /readyz says once it is not ready."""
    return until(lambda: (found := ask(service, "/readyz"))[0] == 503 and found[1])  # type: ignore[no-any-return]


def of_registry(text: bytes) -> dict[str, float]:
    """What all daemons say alike, by name and labels."""
    lines = (line.rpartition(" ") for line in text.decode().splitlines() if line.startswith("luasprocs_registry_"))
    return {name: float(value) for name, _, value in lines}


def within_a_second(service: Service, path: str) -> tuple[int, bytes]:
    started_s = time.monotonic()
    found = ask(service, path)
    assert time.monotonic() - started_s < 1, "whatever Redis does"
    return found


def test_a_hung_server_is_told_within_a_second_with_what_was_known(own_server, repo):
    own = own_server()
    with serve(own, repo) as service:
        live(own.client(), repo.git("rev-parse", "HEAD"))
        own.client().set("ev:1", "bad")
        until(lambda: b"luasprocs_registry_daemons 1.0" in ask(service, "/metrics")[1])
        service.until("finding: failing")
        os.kill(own.pid, signal.SIGSTOP)
        try:
            text = within_a_second(service, "/metrics")[1].decode()
            assert 'luasprocs_finding{code="failing"} 1.0\n' in text, "it was known before"
            assert "luasprocs_redis_up 0.0\n" in text
            assert 'luasprocs_finding{code="unreachable"} 1.0\n' in text
            assert "luasprocs_registry_daemons 1.0\n" in text
            assert 'luasprocs_sync_state{state="unreachable"} 1.0\n' in text
            assert 'state="synced"' not in text
            assert within_a_second(service, "/healthz")[0] == 200
            status, said = within_a_second(service, "/readyz")
            assert (status, json.loads(said)["findings"][0]["code"]) == (503, "unreachable")
            until(lambda: b"synced" not in within_a_second(service, "/healthz")[1])
            assert b"luasprocs_redis_up 0.0\n" in within_a_second(service, "/metrics")[1]
            age = re.search(rb"\nluasprocs_registry_age_seconds (\S+)", within_a_second(service, "/metrics")[1])
            assert age
            assert float(age[1]) > 0.5
            service.until("finding: unreachable")
            assert "finding ended" not in service.output
        finally:
            os.kill(own.pid, signal.SIGCONT)
        until(lambda: ask(service, "/readyz")[0] == 200)
        assert b"luasprocs_redis_up 1.0" in ask(service, "/metrics")[1]


def test_a_finding_is_logged_when_it_begins_and_when_it_ends(server, repo):
    client = server.client()
    with serve(server, repo) as service:
        live(client, repo.git("rev-parse", "HEAD"))
        client.set("ev:2", "bad")
        service.until("finding: failing: the last run failed: b.lua")
        assert ready_with(service) == ["failing"]
        client.set("ev:1", "good")
        service.until("finding ended: failing")
        assert service.output.count("finding: ") == service.output.count("finding ended: ") == 1, service.output
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        until(lambda: client.xlen(KEYS.gaps))
        until(lambda: ask(service, "/readyz")[0] == 200)
        assert ready_with(service) == ["gap"]


def ready_with(service: Service) -> list[str]:
    """The codes of what is wrong with a registry whose daemon can do its work."""
    status, said = ask(service, "/readyz")
    assert status == 200, said
    found = json.loads(said)
    assert (found["ready"], found["reasons"]) == (True, [])
    return [one["code"] for one in found["findings"]]


def test_what_is_healed_is_a_warning_a_metric_and_a_mark(server, repo):
    client = server.client()
    with serve(server, repo) as service:
        live(client, repo.git("rev-parse", "HEAD"))
        client.hset(KEYS.name("a.lua"), "source", "return 'by hand'")
        service.until("WARNING repaired: a.lua")
        assert b"luasprocs_heals_total 1.0" in ask(service, "/metrics")[1]
    newest = read_history(Registry(client, KEYS))[0]
    assert (newest.action, newest.healed, list(newest.updated)) == ("heal", ("a.lua",), ["a.lua"])


def test_metrics(server, repo):
    client = server.client()
    with serve(server, repo) as service:
        commit = repo.git("rev-parse", "HEAD")
        live(client, commit)
        client.set("ev:1", "good")
        client.set("ev:2", "bad")
        until(lambda: client.hget(KEYS.stats("b.lua"), "errors") == b"1")
        for _ in range(3):
            client.fcall(KEYS.function("execute"), 0, "a.lua")
        for _ in range(2):
            client.publish(KEYS.markers, "begin 1 1 - a.lua")
        until(lambda: b"luasprocs_registry_messages_ignored 2.0\n" in ask(service, "/metrics")[1])
        text = ask(service, "/metrics")[1].decode()
    for line in (
        f'luasprocs_registry_revision_info{{branch="main",commit="{commit}"}} 1.0',
        "luasprocs_registry_generation 1.0",
        "luasprocs_registry_sprocs 2.0",
        'luasprocs_registry_executions{sproc="b.lua",status="ok"} 1.0',
        'luasprocs_registry_executions{sproc="b.lua",status="error"} 1.0',
        'luasprocs_registry_executions{sproc="a.lua",status="call"} 3.0',
        'luasprocs_registry_execution_seconds_bucket{le="+Inf",sproc="b.lua"} 2.0',
        'luasprocs_registry_execution_seconds_count{sproc="b.lua"} 2.0',
        "luasprocs_registry_daemons 1.0",
        "luasprocs_registry_gaps 0.0",
        "luasprocs_redis_up 1.0",
        'luasprocs_finding{code="failing"} 1.0',
        'luasprocs_finding{code="gap"} 0.0',
        'luasprocs_sync_state{state="synced"} 1.0',
        "luasprocs_syncs_total 1.0",
        "luasprocs_events_read_total 2.0",
        "luasprocs_lag 0.0",
    ):
        assert f"{line}\n" in text, text


def test_of_two_daemons_each_counts_its_own_and_both_say_the_same_of_the_registry(server):
    client = server.client()
    put(client, sproc("b.lua", "-- event=set\n-- key=ev:*\nreturn 1"), sproc("bad.lua", "error('no')"))
    only = {"LUASPROCS_HTTP": "127.0.0.1:0"}
    with DaemonProcess(server.url, environ=only) as first, DaemonProcess(server.url, environ=only) as second:
        for number in range(40):
            client.set(f"ev:{number}", "x")
        for _ in range(3):
            with contextlib.suppress(ResponseError):
                client.fcall(KEYS.function("execute"), 0, "bad.lua")
        until(lambda: client.hget(KEYS.stats("b.lua"), "runs") == b"40")
        until(lambda: sum(metric(one, "luasprocs_runs_total") for one in (first, second)) == 40)
        texts = [ask(one, "/metrics")[1] for one in (first, second)]
        assert [metric(one, "luasprocs_events_read_total") for one in (first, second)] == [40, 40]
    said = [of_registry(text) for text in texts]
    assert [one.pop("luasprocs_registry_age_seconds") < 5 for one in said] == [True, True]
    assert said[0] == said[1]
    assert said[0]['luasprocs_registry_executions{sproc="b.lua",status="ok"}'] == 40
    assert said[0]['luasprocs_registry_executions{sproc="bad.lua",status="call_error"}'] == 3
    assert said[0]["luasprocs_registry_daemons"] == 2
    assert b"# TYPE luasprocs_registry_executions gauge\n" in texts[0]
    kinds = re.findall(rb"# TYPE luasprocs_registry_(\w+) (\w+)", texts[0])
    assert {name for name, kind in kinds if kind != b"gauge"} == {b"execution_seconds"}
    counters = {name for name, kind in re.findall(rb"# TYPE (\w+) (\w+)", texts[0]) if kind == b"counter"}
    assert b"luasprocs_runs_total" in counters


def metric(service: DaemonProcess, name: str) -> float:
    found = re.search(rb"^%s (\S+)$" % name.encode(), ask(service, "/metrics")[1], re.MULTILINE)
    assert found, name
    return float(found[1])


def test_the_webhook_makes_it_fetch(server, repo, tmp_path):
    client = server.client()
    environ = {"LUASPROCS_REMOTE": f"file://{repo.path}", "LUASPROCS_INTERVAL": "1h", "LUASPROCS_BRANCH": "main"}
    work = GitRepo(tmp_path / "empty")
    with serve(server, work, **environ) as service:
        live(client, repo.git("rev-parse", "HEAD"))
        repo.write("sprocs/a.lua", "return 2\n")
        second = repo.commit("second")
        body = b'{"ref": "refs/heads/main", "after": "not looked at"}'
        assert ask(service, "/hook", body)[0] == 403
        time.sleep(0.5)
        assert commit_of(client) != second
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert ask(service, "/hook", body, **{"X-Hub-Signature-256": f"sha256={signature}"})[0] == 202
        live(client, second)
        assert ask(service, "/hook", b"x" * (1024 * 1024 + 10))[0] == 413
        statuses = []
        for number in range(60):
            body = b"%d" % number
            signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            statuses.append(ask(service, "/hook", body, **{"X-Gitea-Signature": signature})[0])
        assert 429 in statuses
        assert ask(service, "/healthz")[0] == 200


def test_of_a_flood_of_webhooks_none_is_forgotten(server, repo, tmp_path):
    """The one that says that there is news may be the one that comes too soon."""
    client = server.client()
    environ = {"LUASPROCS_REMOTE": f"file://{repo.path}", "LUASPROCS_INTERVAL": "1h", "LUASPROCS_BRANCH": "main"}
    with serve(server, GitRepo(tmp_path / "empty"), **environ) as service:
        live(client, repo.git("rev-parse", "HEAD"))
        last = ""
        for number in range(2, 7):
            while push_said(service, os.urandom(8)) != 429:
                pass
            settled(service)
            repo.write("sprocs/a.lua", f"return {number}\n")
            last = repo.commit("news")
            if push_said(service, b"news %d" % number) == 429:
                break
        else:
            pytest.fail("none was told to come later")
        live(client, last)


def settled(service: Service) -> None:
    """Waits until it has not fetched for a while."""
    fetches = b""
    while fetches != (found := re.findall(rb"luasprocs_fetches_total .*", ask(service, "/metrics")[1])[0]):
        fetches = found
        time.sleep(0.2)


def push_said(service: Service, body: bytes) -> int:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return ask(service, "/hook", body, **{"X-Gitea-Signature": signature})[0]


@pytest.fixture
async def http(repo):
    """One within this process, of a daemon that does nothing, with little patience; and its port."""
    follower = Follower("redis://127.0.0.1:1/0", KEYS, Checkout(Repository.open(repo.path)), Rules(), "d", 1.0)
    port = free_port()
    supervisor = Supervisor(None, follower)
    observer = Observer("redis://127.0.0.1:1/0", KEYS, supervisor)
    found = Http(f"127.0.0.1:{port}", SECRET, observer, supervisor, 1.0)
    found.limits = Limits(connections=10, idle_s=0.5, body_s=0.5)
    serving = asyncio.create_task(found.run())
    await listens(port)
    yield port
    found.stop()
    await asyncio.wait_for(serving, 5)


async def test_who_says_nothing_or_slowly_is_thrown_out_and_others_are_served(http):
    hello = b"POST /hook HTTP/1.1\r\nHost: x\r\nX-Gitlab-Token: x\r\nContent-Length: 100\r\n"
    for said in (b"", b"GET /heal", hello, hello + b"\r\n12345"):
        assert (await answer(http, said)).partition(b"\r\n")[0] in {b"", b"HTTP/1.1 408 Request Timeout"}
    assert (await answer(http, hello + b"\r\n12345")).startswith(b"HTTP/1.1 408")
    assert b'"alive"' in await answer(http, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


async def test_a_body_that_nothing_vouches_for_is_not_waited_for(http):
    hello = b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", http)
    writer.write(hello)
    assert (await reader.readline()).startswith(b"HTTP/1.1 403")
    writer.close()


async def test_of_too_many_connections_the_oldest_go(http):
    idle = [await asyncio.open_connection("127.0.0.1", http) for _ in range(30)]
    assert b'"alive"' in await answer(http, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(0.4):  # sooner than for want of words
        assert await idle[0][0].read() == b""
        assert await idle[19][0].read() == b""
    assert not idle[29][0].at_eof()
    for _, writer in idle:
        writer.close()


async def test_bytes_that_are_no_text_are_refused_without_a_stir(http, caplog):
    said = b"POST /hook HTTP/1.1\r\nHost: x\r\nX-GitHub-Delivery: \xff\xfe\r\nX-Gitea-Signature: \xff\r\n"
    found = await answer(http, said + b"Connection: close\r\nContent-Length: 1\r\n\r\nx")
    assert found.startswith((b"HTTP/1.1 403", b"HTTP/1.1 400"))
    assert "Traceback" not in caplog.text


async def answer(port: int, said: bytes) -> bytes:
    """All that comes until the other end closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    async with asyncio.timeout(5):
        found = await reader.read()
    writer.close()
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found: int = taken.getsockname()[1]
    return found


async def listens(port: int) -> None:
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return
            await asyncio.sleep(0.01)


def test_an_address_that_is_taken_is_said(server, repo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = Service(
            server.url, repo.path, environ={"LUASPROCS_HTTP": f"127.0.0.1:{taken.getsockname()[1]}"}
        ).spawn()
        assert service.wait() == 2
    assert "in use" in service.output


def test_a_service_manager_hears_ready_and_stopping(server, repo, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        with Service(server.url, repo.path, environ={"NOTIFY_SOCKET": str(path)}) as service:
            assert b"READY=1" in manager.recv(4096)
            assert commit_of(server.client()) == repo.git("rev-parse", "HEAD")
            assert service.stop() == 0
            heard = b""
            while b"STOPPING=1" not in heard:
                heard = manager.recv(4096)


def test_logs_as_json(server, repo):
    service = Service(server.url, repo.path, environ={"LUASPROCS_LOG_FORMAT": "json"}).spawn()
    try:
        service.until('"listening"')
        assert service.stop() == 0
        lines = [json.loads(line) for line in service.output.splitlines()]
    finally:
        service.kill()
    assert {"event", "level", "time"} <= lines[0].keys()
    assert any(line["event"].startswith("synced: ") for line in lines)
