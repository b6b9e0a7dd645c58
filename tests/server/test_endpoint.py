"""What a URL says, read without redis-py: the same that redis-py reads."""

from __future__ import annotations

import subprocess
import sys

import pytest
from redis.connection import parse_url

from luasprocs.errors import SettingsError
from luasprocs.server.endpoint import CONNECT_TIMEOUT_S, REPLY_TIMEOUT_S, Endpoint
from tests.live import put, sproc
from tests.worker.harness import WorkerProcess

URLS = (
    "redis://",
    "redis:///3",
    "redis://localhost",
    "redis://HOST.example:7000/12",
    "redis://[::1]:7000",
    "redis://ann@host",
    "redis://:p%40ss%2F%25@host/1",
    "redis://ann:p%C3%A9@host?db=4",
    "redis://host/1?db=4",
    "redis://:one@host?db=2&db=1&password=two&username=a&username=b",
    "redis://host?username=bob&password=s%2525",
    "redis://ann:one@host?username=bob&password=two",
    "redis://host?socket_timeout=7&socket_connect_timeout=0.5",
    "unix:///run/redis.sock",
    "unix://ann:pw@/run/my%20redis.sock?db=2",
    "rediss://host:7001/0?ssl_ca_certs=/etc/ca.pem&ssl_cert_reqs=none",
)


@pytest.mark.parametrize("url", URLS)
def test_a_url_means_what_it_means_to_redis_py(url):
    ours, theirs = Endpoint.of(url), parse_url(url)
    assert ours.path == theirs.get("path", "")
    assert (ours.host, ours.port) == (theirs.get("host", "localhost"), theirs.get("port", 6379))
    assert (ours.username, ours.password) == (theirs.get("username", ""), theirs.get("password", ""))
    assert ours.db == (theirs.get("db") or 0)
    assert ours.connect_timeout_s == theirs.get("socket_connect_timeout", CONNECT_TIMEOUT_S)
    assert ours.reply_timeout_s == theirs.get("socket_timeout", REPLY_TIMEOUT_S)
    assert ours.tls == url.startswith("rediss:")
    assert {name: value for name, value in theirs.items() if name.startswith("ssl_")} == {
        name: value for name, value in ours.options.items() if name.startswith("ssl_")
    }


@pytest.mark.parametrize(
    "url",
    [
        "REDIS://host",
        "redis:host",
        "http://host",
        "redis://host?socket_timeout=1e7",
        "redis://host?socket_timeout=1e-9",
        "redis://host?socket_connect_timeout=nan",
    ],
)
def test_a_url_that_redis_py_or_a_socket_would_refuse_is_refused_at_once(url):
    with pytest.raises(SettingsError, match="can't be used"):
        Endpoint.of(url)


def test_sentinels_a_name_and_a_db():
    found = Endpoint.of(
        "rediss+sentinel://ann:pw@s1,[::1]:7000,s3:7001/shop.a-1/4?socket_timeout=2&sentinel_password=x"
    )
    assert found.guides == (("s1", 26379), ("::1", 7000), ("s3", 7001))
    assert (found.master, found.db, found.tls, found.host) == ("shop.a-1", 4, True, "")
    assert found.login == ("ann", "pw")
    assert found.at(("::2", 1)).plain_url() == "rediss://[::2]:1/4?socket_timeout=2"
    assert Endpoint.of("redis+sentinel://s1/shop?db=3").db == 3


def test_an_endpoint_does_not_show_its_password():
    assert "s3cret" not in repr(Endpoint.of("redis://ann:s3cret@host?ssl_ca_certs=x".replace("redis:", "rediss:")))


def test_a_worker_needs_no_redis_py():
    code = "import sys, luasprocs.worker.__main__; print('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"


def test_a_worker_logs_in_as_a_user_without_a_password(server, tmp_path):
    admin = server.client()
    put(admin, sproc("who.lua", "-- runasync=yes\nreturn redis.call('GET', 'name')"))
    admin.set("name", "value")
    admin.execute_command("ACL", "SETUSER", "ann", "on", "nopass", "~*", "+@all")
    admin.execute_command("ACL", "SETUSER", "default", "resetkeys", "~nothing")
    with WorkerProcess(f"redis://ann@127.0.0.1:{server.port}", tmp_path) as worker:
        assert worker.run("who.lua").reply == "value"
