"""The screen in a browser: who has the token sees it, and changes nothing unless that was asked for."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import aiohttp
import pytest

from luasprocs.errors import SettingsError
from luasprocs_tui.serve import address_of, is_loopback
from tests.live import put, sproc
from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found: int = taken.getsockname()[1]
    return found


@contextlib.contextmanager
def served(*options: str) -> Iterator[str]:
    """The URL that it prints."""
    command = [sys.executable, "-m", "luasprocs_tui", *options]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LUASPROCS_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("the screen is at ").strip()
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0


async def until_shown(socket: aiohttp.ClientWebSocketResponse, pattern: bytes) -> bytes:
    """What came, as soon as it holds the pattern."""
    came = b""
    while not re.search(pattern, came):
        message = await socket.receive(timeout=PATIENCE_S)
        assert message.type in {aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT}, came[-500:]
        came += message.data if isinstance(message.data, bytes) else message.data.encode()
    return came


@pytest.mark.wording
async def test_who_has_the_token_sees_the_screen_and_changes_nothing(server: Server, port: int) -> None:
    client = server.client()
    put(client, sproc("shown.lua", "-- event=set\nreturn 1"))
    with served("--redis", server.url, "--serve", f"127.0.0.1:{port}") as url:
        page = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            for path in ("/", "/ws", "/static/js/textual.js", "/?token=guess"):
                async with browser.get(page + path) as answer:
                    assert answer.status == 403, path
            async with browser.get(url) as answer:
                assert (answer.status, str(answer.url)) == (200, f"{page}/"), "the token is out of the URL"
                assert set(re.findall(r"https?://[^/\"]+", await answer.text())) == {page}, (
                    "nothing is another server's"
                )
                assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
            async with browser.get(f"{page}/ws", headers={"Origin": "http://evil.example"}) as answer:
                assert answer.status == 403
            async with browser.ws_connect(f"{page}/ws?width=100&height=30", headers={"Origin": page}) as screen:
                shown = await until_shown(screen, rb"shown\.lua")
                assert b"read-only" in shown
                await screen.send_json(["stdin", "p"])
                await screen.send_json(["stdin", "!"])
                await until_shown(screen, rb"What is wrong")
                assert client.scard("__*_Sproc_Paused_*__") == 0


@pytest.mark.wording
async def test_writable_was_asked_for(server: Server, port: int) -> None:
    client = server.client()
    put(client, sproc("shown.lua", "-- event=set\nreturn 1"))
    with served("--redis", server.url, "--serve", f"127.0.0.1:{port}", "--writable") as url:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
            async with browser.get(url) as answer:
                assert answer.status == 200
            async with browser.ws_connect(f"http://127.0.0.1:{port}/ws?width=100&height=30") as screen:
                await until_shown(screen, rb"shown\.lua")
                await screen.send_json(["stdin", "p"])
                await until_shown(screen, rb"paused")


@pytest.mark.parametrize("given", ["8000", ":8000", "localhost", "localhost:0", "localhost:99999", "a:b"])
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(SettingsError, match=r"write 127\.0\.0\.1:8000"):
        address_of(given)


def test_addresses() -> None:
    assert address_of("[::1]:80") == ("::1", 80)
    assert [one for one in ("localhost", "127.0.0.9", "::1", "0.0.0.0", "shop.example") if is_loopback(one)] == [
        *("localhost", "127.0.0.9", "::1"),
    ]
