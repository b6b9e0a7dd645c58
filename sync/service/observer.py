"""Looks at the registry again and again, so that probes can tell at any time what is known of it, and since when."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis.exceptions import RedisError, ResponseError

from luasprocs.contract.codes import FindingCode
from luasprocs.errors import LuasprocsError, ServerUnreachableError
from luasprocs.operations.findings import Finding, findings
from luasprocs.operations.snapshot import Snapshot, read_around, sprocs_of
from luasprocs.registry.live import read_live
from luasprocs.runtime.log_once import LogOnce
from luasprocs.server.errors import errors_named
from luasprocs.server.fleet import Fleet
from luasprocs.server.shards import each_shard
from luasprocs.server.urls import redacted
from luasprocs.state.stats import read_stats
from sync.service.finding_log import FindingLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.contract.keys import Keys
    from luasprocs.operations.snapshot import SprocFacts
    from luasprocs.state.stats import Stats
    from sync.service.supervisor import Supervisor

EVERY_S = 2.0
REST_FACTOR, REST_FACTOR_WRONG = 400, 20
"""How many times its own duration a look at every sproc waits for the next, unless it is asked for: if all was well, and if it
has seen what a sync, or a moment, may have put right by now.
"""
ANSWER_WITHIN_S = 0.7
"""How long a probe waits for a look before it is told what is known."""
HUNG_AFTER_S = 0.5
TIMEOUT_S = 2.0
SETTLED_S = 15.0
"""After its start a daemon has so long until it listens; what is missing before isn't worth a line in the log."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The last whole look. `at_s`: when, unix seconds, 0.0 for never; `stats`: of live sproc that has run or was called."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    stats: Mapping[str, Stats] = field(default_factory=dict)
    at_s: float = 0.0


class Observer:
    """A part of the service. `seen`: the last look that went well."""

    def __init__(self, url: str, keys: Keys, supervisor: Supervisor) -> None:
        self.seen = Seen()
        self._answered, self._asked_s = False, 0.0
        self._url, self._supervisor = url, supervisor
        self._fleet = Fleet(url, keys.namespace, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        # A thread of its own: with a hung server all others may be waiting for it.
        self._thread = ThreadPoolExecutor(1, "luasprocs-observer")
        self._looking: asyncio.Task[None] | None = None
        self._sprocs: SprocFacts | None = None
        self._full_again_s = 0.0
        self._why_down = self._why_blind = ""
        self._stop = asyncio.Event()
        self._said, self._findings_log = LogOnce(), FindingLog()

    @property
    def up(self) -> bool:
        """Whether the server answers."""
        waits = bool(self._asked_s) and time.monotonic() - self._asked_s > HUNG_AFTER_S
        return self._answered and not waits

    @property
    def found(self) -> tuple[Finding, ...]:
        """What is wrong, the worst first; if nobody can look, or may, that, and what was known before."""
        known = findings(self.seen.snapshot) if self.seen.at_s else ()
        if not self.up:
            why = self._why_down or f"{redacted(self._url)} does not answer"
            (first,) = findings(Snapshot(unreachable=why))
        elif blind := self._why_blind or ("" if self.seen.at_s else "nothing was read yet"):
            hint = "see the daemon's log, and the rights of its user: luasprocs acl daemon"
            first = Finding(FindingCode.UNREACHABLE, f"what is wrong can't be told: {blind}", hint)
        else:
            return known
        return first, *(one for one in known if one.code != first.code)

    async def fresh(self) -> Seen:
        """Looks at everything now; if that takes too long, what was known before."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_WITHIN_S):
                if self._looking is not None:  # it may have begun before what is asked for happened
                    await asyncio.wait((self._looking,))
                await asyncio.wait((self._begin(full=True),))
        return self.seen

    async def run(self) -> None:
        """Looks until `stop`, and logs each finding when it begins and when it ends."""
        started_s = time.monotonic()
        try:
            while not self._stop.is_set():
                await asyncio.wait((self._begin(full=time.monotonic() >= self._full_again_s),))
                if self._supervisor.ready or time.monotonic() > started_s + SETTLED_S:
                    self._findings_log.heard(self.found)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY_S):
                        await self._stop.wait()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        self._stop.set()

    def _begin(self, *, full: bool) -> asyncio.Task[None]:
        """The look under way, or a new one."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(full=full))
        return self._looking

    async def _look(self, *, full: bool) -> None:
        self._asked_s = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            with errors_named(self._url):
                await loop.run_in_executor(self._thread, self._ping)
                self._answered, self._asked_s, self._why_down = True, 0.0, ""
                self.seen = await loop.run_in_executor(self._thread, self._read, full)
            self._why_blind = ""
            self._said.forget("findings")
        except ServerUnreachableError as error:
            self._answered, self._why_down = False, str(error)
        except (LuasprocsError, RedisError) as error:
            self._why_blind = str(error)
            self._said.say("findings", f"findings can't be told: {error}")
        finally:
            self._looking, self._asked_s = None, 0.0

    def _ping(self) -> None:
        """In the thread."""
        self._fleet.registry().client.ping()

    def _read(self, full: bool) -> Seen:
        """In the thread."""
        registry = self._fleet.registry()
        stats = self.seen.stats
        if full or self._sprocs is None or self._sprocs.live.empty:
            started_s = time.monotonic()
            with contextlib.suppress(ResponseError):  # the engine isn't there, or this user may not: counts come later
                each_shard(registry, lambda shard: shard.call("flush"))
            live = read_live(registry, len(self._sprocs.live.sprocs) if self._sprocs else 0)
            stats = read_stats(registry, live.sprocs, whole=True)
            self._sprocs = sprocs_of(registry, live, stats, before=self._sprocs)
            done_s = time.monotonic()
            factor = REST_FACTOR_WRONG if self._sprocs.differs else REST_FACTOR
            self._full_again_s = done_s + factor * (done_s - started_s)
        return Seen(read_around(registry, self._sprocs), stats, time.time())
