"""The daemon's HTTP: /healthz, /readyz, /metrics, and the webhook POST /hook."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from luasprocs.contract.codes import FindingCode
from luasprocs.errors import SettingsError
from luasprocs.runtime.log import log
from sync.service.metrics import Metrics
from sync.service.webhook import BODY_LIMIT_BYTES, PER_SECOND, UNPROVEN, Webhook, claims

if TYPE_CHECKING:
    import logging

    from aiohttp.web_protocol import RequestHandler

    from sync.service.observer import Observer
    from sync.service.supervisor import Supervisor

END_WITHIN_S = 3.0
"""How long responses under way may take when the service ends."""
UNREADY = (FindingCode.UNREACHABLE, FindingCode.EVICTING)
"""Findings by which this daemon can't do its work; the others are the registry's."""
THE_CLIENTS = (HttpProcessingError, web.RequestPayloadError, ConnectionError)
"""Errors of what a client has sent: it is answered, or gone."""
STALE_INTERVALS = 3
STALE_LEAST_S = 30.0
"""The last success may be this many intervals ago, or this long if that is more."""


def _ours(record: logging.LogRecord) -> bool:
    """Whoever may connect could fill the log otherwise."""
    return not (record.exc_info and isinstance(record.exc_info[1], THE_CLIENTS))


_log = log.getChild("http")
_log.addFilter(_ours)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that keep clients from blocking the daemon or using up its file descriptors.

    `connections`: beyond it the oldest is closed; `idle_s`: how long one may be silent; `body_s`: how long a body may take.
    """

    connections: int = 100
    idle_s: float = 75.0
    body_s: float = 10.0


class Http:
    """Serves at `address` (host:port) until it is stopped. `secret` "": no webhook."""

    limits = Limits()

    def __init__(
        self, address: str, secret: str, observer: Observer, supervisor: Supervisor, interval_s: float
    ) -> None:
        self._host, self._port = address.rsplit(":", 1)
        self._supervisor, self._stale_s = supervisor, max(STALE_LEAST_S, STALE_INTERVALS * interval_s)
        self._observer = observer
        self._metrics = Metrics(observer, supervisor)
        self._webhook = Webhook(secret.encode()) if secret else None
        self._stop = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Serves until `stop`.

        Raises:
            SettingsError: the address can't be listened at.
        """
        app = web.Application(client_max_size=BODY_LIMIT_BYTES + 1)
        app.add_routes([web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)])
        app.add_routes([web.get("/metrics", self._serve_metrics), web.post("/hook", self._hook)])
        runner = web.AppRunner(
            app, logger=_log, access_log=None, handle_signals=False, shutdown_timeout=END_WITHIN_S,
            keepalive_timeout=self.limits.idle_s, lingering_time=self.limits.body_s,
        )  # fmt: skip
        await runner.setup()
        try:
            server = await self._listen(runner)
            addresses = (socket.getsockname() for socket in server.sockets)
            log.info("http at %s", ", ".join(f"{host}:{port}" for host, port, *_ in addresses))
            await self._stop.wait()
            server.close()
        finally:
            if self._later:
                self._later.cancel()
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> asyncio.Server:
        def admit() -> RequestHandler:
            assert runner.server is not None  # noqa: S101  # between setup and cleanup
            for old in runner.server.connections[: 1 - self.limits.connections]:
                old.force_close()
            return runner.server()

        try:
            return await asyncio.get_running_loop().create_server(admit, self._host.strip("[]"), int(self._port))
        except OSError as error:
            raise SettingsError(f"http={self._host}:{self._port}: {error.strerror or error}") from error

    def stop(self) -> None:
        self._stop.set()

    def unready(self) -> list[str]:
        """Why it is not ready, as sentences; empty if it is."""
        reasons = []
        runtime, follower = self._supervisor.runtime, self._supervisor.follower
        if runtime is not None and not runtime.listening:
            reasons.append(f"the runtime runs nothing: it is {runtime.status}")
        if follower is not None:
            health = follower.health
            if not health.connected:
                reasons.append("the registry is not watched: no connection to Redis")
            if time.time() - health.last_success > self._stale_s:
                reasons.append(f"no successful check of git and Redis for {self._stale_s:.0f} s")
        return reasons + [one.message for one in self._observer.found if one.code in UNREADY]

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.json_response({"alive": True, "status": self._supervisor.status})

    async def _readyz(self, _: web.Request) -> web.Response:
        await self._observer.fresh()
        reasons = self.unready()
        found = [one.as_json() for one in self._observer.found]
        said = {"ready": not reasons, "reasons": reasons, "findings": found}
        return web.json_response(said, status=503 if reasons else 200)

    async def _serve_metrics(self, _: web.Request) -> web.Response:
        await self._observer.fresh()
        body = self._metrics.text()
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _hook(self, request: web.Request) -> web.Response:
        if self._webhook is None or self._supervisor.follower is None:
            return web.json_response({"text": "no webhook: set webhook_secret"}, status=404)
        if (request.content_length or 0) > BODY_LIMIT_BYTES:
            return web.json_response({"text": "the body is too large"}, status=413)
        if not claims(request.headers):
            return web.json_response({"text": UNPROVEN.text}, status=UNPROVEN.status)
        try:
            async with asyncio.timeout(self.limits.body_s):
                body = await request.read()
        except TimeoutError:
            return web.json_response({"text": f"no whole body within {self.limits.body_s:.0f} s"}, status=408)
        except THE_CLIENTS:
            return web.json_response({"text": "the body is not what its headers say"}, status=400)
        verdict = self._webhook.judge(request.headers, body, time.monotonic(), time.time())
        if verdict.look:
            self._reconcile()
        elif verdict.later and self._later is None:
            self._later = asyncio.get_running_loop().call_later(1 / PER_SECOND, self._reconcile)
        return web.json_response({"text": verdict.text}, status=verdict.status)

    def _reconcile(self) -> None:
        if self._later:
            self._later.cancel()
            self._later = None
        if self._supervisor.follower is not None:
            self._supervisor.follower.wake(fetch=True)
