"""The screen in a browser: `luasprocs-tui --serve 127.0.0.1:8000`.

Each tab that connects has a screen of its own, in a process of its own. Who opens the page needs the token, which the URL that
is printed holds; a cookie keeps it from then on, so that no URL of a page that is open tells it.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import shlex
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from aiohttp import web
from textual_serve.server import Server

from luasprocs.errors import SettingsError
from luasprocs.operations.terminal import escaped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "luasprocs_screen"
ALLOWED = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self' {socket}; frame-ancestors 'none'"
)
"""What the page may load: nothing of other servers. `socket`: its own, which Safari doesn't take for `'self'`."""
TABS_S = 1.0
"""How long open tabs are waited for at the end; each says then that its session has ended."""
TOKEN = "LUASPROCS_SCREEN_TOKEN"  # noqa: S105  # a name


def address_of(given: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; an IPv6 address stands in brackets.

    Raises:
        SettingsError: it is none.
    """
    host, colon, port = given.rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536):
        raise SettingsError(f"--serve {given!r} is no HOST:PORT: write 127.0.0.1:8000")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ScreenServer(Server):
    """textual-serve's server, behind a token."""

    def __init__(self, arguments: Sequence[str], host: str, port: int, token: str) -> None:
        shown = f"[{host}]" if ":" in host else host
        command = shlex.join((sys.executable, "-m", "luasprocs_tui", *arguments))
        super().__init__(
            command,
            host,
            port,
            title="luasprocs",
            public_url=f"http://{shown}:{port}",
            templates_path=Path(__file__).with_name("served"),
        )
        self._token = token

    @property
    def url(self) -> str:
        """What opens the screen."""
        return f"{self.public_url}/?token={self._token}"

    async def on_startup(self, app: web.Application) -> None:
        """Says nothing: nobody is to wait for what isn't there yet."""

    def serve(self, debug: bool = False) -> None:  # noqa: ARG002  # textual-serve's
        """Until SIGINT or SIGTERM. It listens before it says where; nothing is logged, as a log would hold the token.

        Raises:
            OSError: it can't listen there.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.create_server((self.host, self.port), family=family) as listening:
            click.echo(escaped(f"the screen is at {self.url}") + "\nctrl+c ends it")
            web.run_app(self._make_app(), sock=listening, print=None, shutdown_timeout=TABS_S)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._guarded(request, handler)

        app.middlewares.append(guarded)
        return app

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets in who has the token. The page that a URL with it asks for is the one without."""
        if self._is_token(request.query.get("token", "")):
            answer = web.HTTPFound(request.path)
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="Strict", path="/")
            return answer
        if not self._is_token(request.cookies.get(COOKIE, "")):
            return web.Response(status=403, text="this page needs the token: open the URL that luasprocs-tui printed\n")
        origin = request.headers.get("Origin", self.public_url)
        if origin != self.public_url:
            return web.Response(status=403, text=f"asked from {origin!r}, not from {self.public_url}\n")
        given = await handler(request)
        if not given.prepared:
            given.headers["Content-Security-Policy"] = ALLOWED.format(socket=self.public_url.replace("http", "ws", 1))
        return given

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())


def serve(given: str, arguments: Sequence[str], url: str) -> None:
    """Serves the screen at `given` (`HOST:PORT`) until it is stopped.

    `url`: of Redis, which no process list shows; "" if a context of `arguments` has it.

    Raises:
        SettingsError: that is no address, or something else listens there.
    """
    host, port = address_of(given)
    if not is_loopback(host):
        said = f"{host} is reached from other machines, and HTTP hides neither token nor screen: put a proxy with TLS before it"
        click.echo(escaped(f"luasprocs-tui: warning: {said}"), err=True)
    os.environ.pop("LUASPROCS_REDIS", None)
    if url:
        os.environ["LUASPROCS_REDIS"] = url
    try:
        ScreenServer(arguments, host, port, os.environ.pop(TOKEN, "") or secrets.token_urlsafe(24)).serve()
    except OSError as error:
        raise SettingsError(f"can't listen at {given}: {error.strerror or error}") from error
