"""Bytes that anybody may send to a daemon's HTTP port: it refuses them, goes on, and looks at nothing."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from tests.fuzz.mutated import ANYTHING, mutated
from tests.gitrepo import GitRepo
from tests.soak import SOAK, examples
from tests.sync.service.service import Service, live
from tests.until import PATIENCE_S, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
SECRET, BODY = b"a secret of some length", b'{"ref": "refs/heads/main"}'
SIGNED = hmac.new(SECRET, BODY, hashlib.sha256).hexdigest().encode()
OTHERS = hmac.new(b"another secret", BODY, hashlib.sha256).hexdigest().encode()
HOOK = b"POST /hook HTTP/1.1\r\nHost: x\r\nX-Gitea-Signature: " + OTHERS + b"\r\n"
CHUNKS = b"1a\r\n" + BODY + b"\r\n0\r\n\r\n"
REQUESTS = [
    HOOK + b"Content-Length: 26\r\n\r\n" + BODY,
    HOOK + b"Content-Length: 9\r\n\r\n" + BODY,
    HOOK + b"Content-Length: 2600\r\n\r\n" + BODY,
    HOOK + b"Content-Length: 26\r\nContent-Length: 3\r\n\r\n" + BODY,
    HOOK + b"Content-Length: -1\r\n\r\n" + BODY,
    HOOK + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
    HOOK + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    HOOK + b"Transfer-Encoding: chunked\r\nContent-Length: 26\r\n\r\n" + CHUNKS,
    HOOK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + BODY,
    HOOK + b"Content-Encoding: gzip\r\nContent-Length: 26\r\n\r\n" + BODY,
    HOOK + b"Expect: 100-continue\r\nContent-Length: 26\r\n\r\n" + BODY,
    HOOK + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    HOOK + b"X-Long: " + b"x" * 20_000 + b"\r\n\r\n",
    HOOK + b"".join(b"X-%d: x\r\n" % number for number in range(500)) + b"\r\n",
    b"GET /metrics?" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 5,
    b"GET //../healthz%00 HTTP/9.9\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40,
]
STATUSES = {100, 200, 400, 403, 404, 405, 408, 413, 414, 417, 431}


def said(port: int, sent: bytes, patience_s: float = 0.05) -> bytes:
    """What comes back until nothing more does."""
    found = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(sent)
        connection.settimeout(patience_s)
        with contextlib.suppress(TimeoutError):
            while part := connection.recv(65536):
                found += part
    return found


def test_any_bytes(server: Server, tmp_path: Path) -> None:
    hub, client = GitRepo(tmp_path / "hub"), server.client()
    hub.write("sprocs/a.lua", "return 1\n")
    commit, work = hub.commit(), tmp_path / "daemon"
    work.mkdir()
    environ = {"LUASPROCS_HTTP": "127.0.0.1:0", "LUASPROCS_WEBHOOK_SECRET": SECRET.decode(), "LUASPROCS_INTERVAL": "1h"}
    with Service(server.url, work, "--remote", f"file://{hub.path}", environ=environ) as daemon:
        live(client, commit)
        port = int(until(lambda: re.search(r"http at 127\.0\.0\.1:(\d+)", daemon.output))[1])
        well = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

        @examples(60)
        @given(mutated(REQUESTS) | ANYTHING)
        def each(sent: bytes) -> None:
            refused(sent)

        def refused(sent: bytes) -> None:
            statuses = {int(one) for one in re.findall(rb"^HTTP/1\.[01] (\d{3})", said(port, sent), re.MULTILINE)}
            assert statuses <= STATUSES, daemon.output
            assert said(port, well, PATIENCE_S).startswith(b"HTTP/1.1 200")
            assert "Traceback" not in daemon.output

        for one in REQUESTS:
            refused(one)
        each()
        fetches = b"luasprocs_fetches_total 1.0\n"
        metrics = well.replace(b"healthz", b"metrics")
        until(lambda: fetches in said(port, metrics))
        proven = HOOK.replace(OTHERS, SIGNED) + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS
        assert said(port, proven).startswith(b"HTTP/1.1 202")
        until(lambda: b"luasprocs_fetches_total 2.0\n" in said(port, metrics))
