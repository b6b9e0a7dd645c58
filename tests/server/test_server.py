from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest
import redis

from luasprocs.errors import (
    ServerAuthenticationError,
    ServerError,
    ServerMemoryError,
    ServerReadOnlyError,
    ServerRightsError,
    ServerTooOldError,
    ServerUnreachableError,
    SettingsError,
)
from luasprocs.runtime.wire import connect as raw_connect
from luasprocs.server import connection as servers
from luasprocs.server.connection import connect, connect_async, errors_named, redacted
from luasprocs.server.info import INFO_COMMAND, OLDEST, parse_info, require_usable, warnings
from luasprocs.server.located import master_of
from luasprocs.worker.connection import Connection
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.servers import binary_of
from tests.until import until

REDIS_6 = b"# Server\r\nredis_version:6.2.14\r\nrun_id:abc\r\n# Replication\r\nrole:master\r\n"
VALKEY_7_2 = b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:7.2.5\r\nrole:master\r\n"
REPLICA = b"redis_version:7.0.15\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6380\r\n"
SECRET = "s3cret"


def ask(url, *command, **settings):
    with connect(url, **settings) as client, errors_named(url):
        return client.execute_command(*(command or ("PING",)))


def info_of(client):
    with client.pipeline(transaction=False) as pipe:
        pipe.execute_command(*INFO_COMMAND)
        return parse_info(pipe.execute()[0])


@contextlib.contextmanager
def answering(data):
    """The URL of something that answers its first caller so, whatever was asked."""

    def answer():
        connection, _ = other.accept()
        with connection, contextlib.suppress(OSError):  # the caller may hang up first
            connection.recv(1000)
            connection.sendall(data)
            connection.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"redis://127.0.0.1:{other.getsockname()[1]}"
        thread.join()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.crt", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *key, *names], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def tls_port(certificates, own_server, server_kind):
    if server_kind == "valkey":
        pytest.skip("the embedded Valkey is built without TLS")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    files = ["--tls-cert-file", f"{certificates}/server.crt", "--tls-key-file", f"{certificates}/server.key"]
    own_server(
        "--tls-port",
        str(port),
        *files,
        "--tls-ca-cert-file",
        f"{certificates}/server.crt",
        "--tls-auth-clients",
        "no",
    )
    return port


# URLs


def test_every_plain_form_of_a_url_connects(server):
    urls = [
        f"redis://127.0.0.1:{server.port}",
        f"redis://localhost:{server.port}/",
        f"redis://127.0.0.1:{server.port}?db=3",
    ]
    urls += [f"redis://127.0.0.1:{server.port}/3?socket_timeout=2.5", f"unix://{server.socket_path}?db=3"]
    assert [ask(url) for url in urls] == [True] * len(urls)


def test_the_db_of_a_url_is_the_one_written_to(server):
    ask(f"redis://127.0.0.1:{server.port}/3", "SET", "key", "value")
    assert server.client(db=3).get("key") == b"value"
    assert server.client().get("key") is None


def test_a_connection_has_a_name_replies_in_bytes_and_sends_no_more_than_it_must(server):
    server.client().config_resetstat()
    with connect(server.url) as client:
        client.ping()
        assert client.execute_command("CLIENT", "GETNAME") == b"luasprocs"
        client.set("key", "value")
        assert client.get("key") == b"value"
        assert "cmdstat_client|setinfo" not in client.info("commandstats")


async def test_the_same_for_asyncio(server):
    async with connect_async(server.url) as client:
        await client.set("key", "value")
        assert await client.get("key") == b"value"
        assert await client.execute_command("CLIENT", "GETNAME") == b"luasprocs"


def test_tls_connects_when_the_certificate_is_trusted(tls_port, certificates):
    assert ask(f"rediss://localhost:{tls_port}/0?ssl_ca_certs={certificates}/server.crt")
    assert ask(f"rediss://localhost:{tls_port}/0?ssl_cert_reqs=none&ssl_check_hostname=false")


async def test_tls_connects_with_asyncio(tls_port, certificates):
    async with connect_async(f"rediss://localhost:{tls_port}?ssl_ca_certs={certificates}/server.crt") as client:
        assert await client.ping()


async def test_the_daemons_own_connections_speak_tls(tls_port, certificates):
    trusted = f"rediss://localhost:{tls_port}/2?ssl_ca_certs={certificates}/server.crt"
    for url in (trusted, f"rediss://127.0.0.1:{tls_port}/2?ssl_cert_reqs=none"):
        wire = await raw_connect(url)
        try:
            await wire.call("SET", "key", "x")
            assert await wire.call("GET", "key") == b"x"
            await wire.call("SET", "large", "y" * 1_000_000)
            assert await wire.call("GET", "large") == b"y" * 1_000_000  # of many TLS records
        finally:
            wire.close()
    with pytest.raises(redis.ConnectionError) as error:
        await raw_connect(f"rediss://localhost:{tls_port}")
    assert "not trusted: ?ssl_ca_certs=FILE" in str(servers.named(error.value, f"rediss://localhost:{tls_port}"))


@pytest.fixture
def tls_sentinel(tls_port, certificates, tmp_path, unused_tcp_port):
    """The URL of a Sentinel that speaks TLS alone, to the server too."""
    files = {"cert": "server.crt", "key": "server.key", "ca-cert": "server.crt"}
    tls = "".join(f"tls-{what}-file {certificates}/{name}\n" for what, name in files.items())
    (tmp_path / "sentinel.conf").write_text(
        f"port 0\ntls-port {unused_tcp_port}\ntls-replication yes\ntls-auth-clients no\n{tls}"
        f"sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\nsentinel monitor shop localhost {tls_port} 1\n"
    )
    command = [str(binary_of("redis")), "sentinel.conf", "--sentinel"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        url = f"rediss+sentinel://localhost:{unused_tcp_port}/shop/1?ssl_ca_certs={certificates}/server.crt"
        until(lambda: ask(url))
        yield url
        process.kill()


async def test_sentinels_and_their_master_by_tls(tls_sentinel):
    ask(tls_sentinel, "SET", "key", "value")
    async with connect_async(tls_sentinel) as client:
        assert await client.get("key") == b"value"
    wire = await raw_connect(tls_sentinel)
    assert await wire.call("GET", "key") == b"value"
    wire.close()
    connection = Connection(tls_sentinel, [master_of(tls_sentinel)])
    assert connection.call("GET", "key") == b"value"
    connection.close()
    with pytest.raises(ServerUnreachableError, match="certificate") as untrusted:
        ask(tls_sentinel.partition("?")[0])
    assert "without TLS" not in str(untrusted.value)
    with pytest.raises(ServerUnreachableError, match=r"with TLS it is rediss\+sentinel://"):
        ask(tls_sentinel.partition("?")[0].replace("rediss", "redis"))


def test_a_daemon_runs_events_over_tls(tls_port, certificates):
    url = f"rediss://localhost:{tls_port}/0?ssl_ca_certs={certificates}/server.crt"
    with connect(url) as client:
        put(client, sproc("a.lua", "-- event=set\n-- key=ev:*\nredis.call('INCR', 'ran')"))
        with DaemonProcess(url):
            client.set("ev:1", "x")
            until(lambda: client.get("ran") == b"1")


async def test_a_user_without_a_password_is_sent_as_redis_py_does(server):
    client = server.client()
    client.execute_command("ACL", "SETUSER", "open", "reset", "on", "nopass", "+@all", "~*", "&*")
    try:
        wire = await raw_connect(f"redis://open@127.0.0.1:{server.port}/0")
        assert await wire.call("ACL", "WHOAMI") == b"open"
        wire.close()
        assert ask(f"redis://open@127.0.0.1:{server.port}/0")
        with pytest.raises(redis.AuthenticationError):
            await raw_connect(f"redis://nobody@127.0.0.1:{server.port}/0")
    finally:
        client.execute_command("ACL", "DELUSER", "open")


def test_a_certificate_that_is_not_trusted_is_named(tls_port):
    with pytest.raises(ServerUnreachableError, match=r"not trusted: \?ssl_ca_certs=FILE"):
        ask(f"rediss://localhost:{tls_port}")


def test_a_missing_ca_file_and_plain_text_to_a_tls_port_are_named(tls_port):
    with pytest.raises(ServerUnreachableError):
        ask(f"rediss://localhost:{tls_port}?ssl_ca_certs=/nonexistent")
    with pytest.raises(ServerUnreachableError, match="write rediss://"):
        ask(f"redis://localhost:{tls_port}", socket_timeout=2)


async def test_plain_text_to_a_tls_port_is_named_with_asyncio(tls_port):
    url = f"redis://localhost:{tls_port}"
    async with connect_async(url) as client:
        with pytest.raises(ServerUnreachableError, match="write rediss://"), errors_named(url):
            await client.ping()


def test_a_tls_alert_is_told_from_a_server_that_is_no_redis():
    with answering(b"\x15\x03\x03\x00\x02\x02\x46") as url, pytest.raises(ServerUnreachableError, match="speaks TLS"):
        ask(url)


def test_tls_to_a_plain_port_is_named_when_the_time_to_connect_is_over(server):
    url = f"rediss://localhost:{server.port}?socket_connect_timeout=0.5"
    started = time.monotonic()
    with pytest.raises(ServerUnreachableError, match="does it speak TLS"):
        ask(url)
    assert time.monotonic() - started < 25


async def test_tls_to_a_plain_port_is_named_with_asyncio(server):
    url = f"rediss://localhost:{server.port}?socket_connect_timeout=0.5"
    async with connect_async(url) as client:
        with pytest.raises(ServerUnreachableError, match="does it speak TLS"), errors_named(url):
            await client.ping()


def test_tls_to_what_speaks_something_else_is_named():
    with (
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url,
        pytest.raises(ServerUnreachableError, match="speaks no TLS that serves"),
    ):
        ask(url.replace("redis:", "rediss:"))


def test_the_time_for_a_reply_is_its_own_over_tls(tls_port, certificates):
    url = f"rediss://localhost:{tls_port}?ssl_ca_certs={certificates}/server.crt&socket_connect_timeout=0.5"
    assert ask(url, "BLPOP", "nothing", "1") is None


BAD_URLS = [
    "",
    "localhost:6379",
    f":{SECRET}@localhost:6379",
    f"http://:{SECRET}@localhost",
    f"redis://:{SECRET}@localhost:port",
    f"redis://:{SECRET}@localhost:99999",
    f"redis://:{SECRET}@localhost:0",
    f"redis://:{SECRET}@localhost/one",
    f"redis://:{SECRET}@localhost/1/2",
    f"redis://:{SECRET}/x@localhost:6379",
    f"redis://:12/{SECRET}@localhost:6379",
    f"redis://:{SECRET}#x@localhost:6379",
    f"redis://:12#{SECRET}@localhost:6379",
    f"redis://:12?{SECRET}@localhost:6379",
    f"redis://:{SECRET}@[::1",
    f"redis://:{SECRET}@a..b",
    f"redis://:{SECRET}@a%00b",
    f"redis://:{SECRET}@localhost\x1b[31m",
    f"redis://:{SECRET}@localhost?unknown=1",
    f"redis://:{SECRET}@localhost?protocol=3",
    f"redis://:{SECRET}@localhost?decode_responses=yes",
    f"redis://:{SECRET}@localhost?socket_timeout=nan",
    f"redis://:{SECRET}@localhost?socket_timeout=-1",
    f"redis://:{SECRET}@localhost?db=-1",
    f"redis://:{SECRET}@localhost?db=",
    f"redis://:{SECRET}@localhost?max_connections=0",
    f"redis://:{SECRET}@localhost?ssl_ca_certs=/ca",
    f"rediss://:{SECRET}@localhost?ssl_cert_reqs=maybe",
    f"redis+sentinel://:{SECRET}@s1,s2:26379",
    f"redis+sentinel://:{SECRET}@s1,s2:port/shop",
    f"redis+sentinel://:{SECRET}@s1,,s2/shop",
    f"redis+sentinel://:{SECRET}@s1/shop/one",
    f"redis+sentinel://:{SECRET}@s1/shop?ssl_ca_certs=/ca",
    f"redis+sentinel://s1/shop?sentinel_password={SECRET}&unknown=1",
    f"redis://localhost?sentinel_password={SECRET}",
    f"sentinel://:{SECRET}@s1:26379/shop",
    "unix://",
    "unix:///",
    f"unix://:{SECRET}@host/path",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_url_is_refused_at_once_and_never_quoted(url):
    for function in (connect, connect_async):
        with pytest.raises(SettingsError) as caught:
            function(url)
        assert SECRET not in str(caught.value)
        assert caught.value.__cause__ is None or SECRET not in str(caught.value.__cause__)
    assert SECRET not in redacted(url)
    assert redacted(url).endswith("***")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost", "redis://localhost"),
        (f"redis://:{SECRET}@localhost:6380/2", "redis://:***@localhost:6380/2"),
        (f"rediss://bob:{SECRET}@[::1]:1", "rediss://bob:***@[::1]:1"),
        (f"redis://{SECRET}@localhost", "redis://***@localhost"),
        (f"redis://bob:{SECRET}%40%2F@h", "redis://bob:***@h"),
        (f"redis://bob:@{SECRET}@h", "redis://bob:***@h"),
        (f"unix://bob:{SECRET}@/run/redis.sock?db=1", "unix://bob:***@/run/redis.sock?db=1"),
        (f"redis://h?password={SECRET}&db=1&username={SECRET}", "redis://h?db=1"),
        (f"rediss://h?ssl_ca_certs=/ca.pem&ssl_password={SECRET}", "rediss://h?ssl_ca_certs=/ca.pem"),
        (
            f"redis+sentinel://bob:{SECRET}@s1:1,[::1]:2,s3/shop/4?sentinel_username=sue&sentinel_password={SECRET}",
            "redis+sentinel://bob:***@s1:1,[::1]:2,s3/shop/4",
        ),
    ],
)
def test_a_url_is_shown_without_secrets(url, shown):
    assert redacted(url) == shown


# What goes wrong


def test_nothing_there_is_named_with_the_place_and_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(
        ServerUnreachableError, match=rf"redis://:\*\*\*@127.0.0.1:{port}/0: is it running\? --redis"
    ) as caught:
        ask(f"redis://:{SECRET}@127.0.0.1:{port}/0")
    assert SECRET not in str(caught.value)
    with pytest.raises(ServerUnreachableError, match="nonexistent"):
        ask("unix:///nonexistent.sock")
    with pytest.raises(ServerUnreachableError):
        ask("redis://no-such-host.invalid")


async def test_nothing_there_is_named_with_asyncio():
    url = "unix:///nonexistent.sock"
    async with connect_async(url) as client:
        with pytest.raises(ServerUnreachableError), errors_named(url):
            await client.ping()


def test_a_socket_that_never_answers_is_an_error_within_the_timeout():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(ServerUnreachableError, match="no answer in time"):
            ask(f"redis://127.0.0.1:{silent.getsockname()[1]}?socket_timeout=0.3")
        assert time.monotonic() - started < 25


def test_a_server_that_is_no_redis_is_named():
    with (
        answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url,
        pytest.raises(ServerUnreachableError, match="is not Redis"),
    ):
        ask(url, socket_timeout=2)


def test_a_command_whose_reply_was_lost_is_not_repeated():
    seen: list[bytes] = []

    def serve():
        other.settimeout(1)
        while True:
            try:
                connection, _ = other.accept()
            except TimeoutError:
                return
            with connection:
                while data := connection.recv(1000):
                    seen.append(data)
                    if b"INCR" in data:
                        break  # it ran, and its reply is lost
                    connection.sendall(b"+OK\r\n")

    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ServerUnreachableError):
            ask(f"redis://127.0.0.1:{other.getsockname()[1]}", "INCR", "n")
        thread.join()
    assert sum(b"INCR" in data for data in seen) == 1


def test_a_missing_and_a_wrong_password_are_named(own_server):
    own = own_server("--requirepass", SECRET)
    with pytest.raises(ServerAuthenticationError, match="asks for a password"):
        ask(own.url)
    with pytest.raises(ServerAuthenticationError, match="refuses the user or the password") as caught:
        ask(f"redis://:wrong{SECRET}@127.0.0.1:{own.port}")
    assert SECRET not in str(caught.value)
    assert ask(f"redis://:{SECRET}@127.0.0.1:{own.port}")
    assert ask(f"redis://127.0.0.1:{own.port}?password={SECRET}")
    assert ask(f"unix://:{SECRET}@{own.socket_path}")


def test_acl_users_connect_and_a_missing_right_is_named(server):
    server.cli(
        "ACL",
        "SETUSER",
        "bob",
        "on",
        ">p/w@1",
        "+@connection",
        "+get",
        "+set",
        "+eval",
        "+multi",
        "+exec",
        "~a*",
    )
    url = f"redis://bob:p%2Fw%401@127.0.0.1:{server.port}/0"
    assert ask(url, "SET", "a", "1")
    for command in (("SET", "b", "1"), ("FLUSHALL",), ("EVAL", "return redis.call('DEL', 'a')", 0)):
        with pytest.raises(ServerRightsError, match="luasprocs acl") as caught:
            ask(url, *command)
        assert "p/w" not in str(caught.value)
        assert "p%2F" not in str(caught.value)
    with pytest.raises(ServerRightsError, match=r"(?i)flushall"):
        ask(url, "FLUSHALL")
    with pytest.raises(ServerAuthenticationError):
        ask(f"redis://bob:wrong@127.0.0.1:{server.port}/0")


@pytest.mark.parametrize("transaction", [True, False])
def test_a_missing_right_inside_a_pipeline_is_named(server, transaction):
    server.cli("ACL", "SETUSER", "bob", "on", ">pw", "+@connection", "+set", "+multi", "+exec", "~a*")
    url = f"redis://bob:pw@127.0.0.1:{server.port}/0"
    with connect(url) as client:
        pipe = client.pipeline(transaction=transaction)
        pipe.set("a", 1)
        pipe.set("OOM of pipeline caused error: b", 1)
        with pytest.raises(ServerRightsError), errors_named(url):
            pipe.execute()


def test_a_replica_is_recognised_and_its_refusal_named(own_server):
    master = own_server()
    replica = own_server("--replicaof", f"127.0.0.1 {master.port}")
    client = replica.client()
    until(lambda: client.info("replication")["master_link_status"] == "up")
    info = info_of(client)
    assert (info.role, info.master) == ("replica", f"127.0.0.1:{master.port}")
    require_usable(info, writes=False)
    with pytest.raises(ServerReadOnlyError, match=re.escape(info.master)):
        require_usable(info, writes=True)
    with pytest.raises(ServerReadOnlyError, match="replica"):
        ask(replica.url, "SET", "key", "value")


def test_a_replica_that_lost_its_master_is_named(own_server):
    replica = own_server("--replicaof", "127.0.0.1 1", "--replica-serve-stale-data", "no")
    with pytest.raises(ServerError, match="lost its master"):
        ask(replica.url, "GET", "key")


def test_out_of_memory_is_named_alone_queued_and_in_a_script(server):
    client = server.client()
    client.execute_command("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "noeviction")
    with pytest.raises(ServerMemoryError, match="maxmemory"):
        ask(server.url, "SET", "key", "value")
    with pytest.raises(ServerMemoryError):
        ask(server.url, "EVAL", "return redis.call('SET', 'key', 'value')", 0)
    with connect(server.url) as other, pytest.raises(ServerMemoryError), errors_named(server.url):
        other.pipeline(transaction=True).set("key", "value").execute()


def test_a_busy_server_is_named(own_server):
    own = own_server("--busy-reply-threshold", "50")
    with socket.create_connection(("127.0.0.1", own.port)) as connection:
        connection.sendall(b"EVAL 'while true do end' 0\r\n")
        time.sleep(0.3)
        with pytest.raises(ServerError, match="busy with a script"):
            ask(own.url, "GET", "key")
        own.cli("SCRIPT", "KILL")


def test_no_db_of_that_number_and_no_free_connection_are_named(own_server):
    own = own_server("--databases", "2", "--maxclients", "2")
    with pytest.raises(ServerError, match="no db of that number"):
        ask(f"redis://127.0.0.1:{own.port}/7")
    with own.client() as one, own.client() as two:
        one.ping()
        two.ping()
        with pytest.raises(ServerError, match="maxclients"):
            ask(own.url)


def test_an_error_of_a_single_command_stays_as_it_is(server):
    ask(server.url, "SET", "key", "value")
    for command in (("LPUSH", "key", "x"), ("EVAL", "return redis.error_reply('MINE no OOM here')", 0)):
        with pytest.raises(redis.ResponseError):
            ask(server.url, *command)


# What a server is


def test_a_server_says_what_it_is(server):
    info = info_of(server.client())
    assert info == parse_info(server.client().info())
    assert info.kind == server.kind
    assert info.version >= OLDEST[server.kind]
    assert len(info.run_id) == 40
    assert info.role == "master"
    assert not info.evicts
    require_usable(info, writes=True)
    assert warnings(info) == ()


def test_a_server_that_evicts_sprocs_is_warned_of(server):
    client = server.client()
    for policy, evicts in (
        ("allkeys-lru", True),
        ("allkeys-random", True),
        ("volatile-lru", False),
        ("noeviction", False),
    ):
        client.execute_command("CONFIG", "SET", "maxmemory-policy", policy)
        info = info_of(client)
        assert info.evicts == evicts
        assert bool(warnings(info)) == evicts
    client.execute_command("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "maxmemory", "100mb")
    assert "allkeys-lfu removes sprocs when memory is short: set noeviction" in warnings(info_of(client))[0]


@pytest.mark.parametrize(
    ("reply", "kind", "version"),
    [
        (REDIS_6, "redis", (6, 2, 14)),
        (VALKEY_7_2, "valkey", (7, 2, 5)),
        (b"redis_version:255.255.255\r\n", "redis", (255, 255, 255)),
        (b"redis_version:8.0-rc1\r\n", "redis", (8, 0)),
        ({"redis_version": 8.0}, "redis", (8, 0)),
        (b"redis_version:\xff\xfe\r\nmaxmemory:x\r\n", "redis", ()),
        (b"", "redis", ()),
    ],
)
def test_any_reply_of_info_is_read(reply, kind, version):
    info = parse_info(reply, db=3)
    assert (info.kind, info.version, info.db) == (kind, version, 3)


@pytest.mark.parametrize("reply", [REDIS_6, b"", b"redis_version:6.9.9\r\n", b"valkey_version:7.1.0\r\n"])
def test_a_server_too_old_is_refused(reply):
    with pytest.raises(ServerTooOldError, match=r"needs Redis 7\.0 or Valkey 7\.2"):
        require_usable(parse_info(reply), writes=False)


@pytest.mark.parametrize(
    "reply", [VALKEY_7_2, b"redis_version:7.0.0\r\n", b"redis_version:7.0\r\n", b"valkey_version:7.2\r\n"]
)
def test_the_oldest_that_serves_is_taken(reply):
    require_usable(parse_info(reply), writes=True)


def test_openssl_is_here_for_the_tests_of_tls():
    assert shutil.which("openssl")


@pytest.mark.parametrize(
    ("name", "stored"),
    [("k\udcff", b"k\xff"), ("k\ud800", b"k\xed\xa0\x80"), ("ünï", "ünï".encode())],
    ids=["a byte", "half of a character", "letters"],  # what is no text breaks pytest's own
)
def test_names_that_are_no_text_are_sent_as_their_bytes(server, name, stored):
    client = connect(server.url)
    client.set(name, name)
    assert client.keys() == [stored]
    with client.pipeline() as pipe:
        pipe.get(name)
        pipe.execute_command("GET", name)
        assert pipe.execute() == [stored, stored]
    client.close()
