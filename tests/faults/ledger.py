"""Writers that keep their own ledger of what they wrote, and when; the check is against it, not against what was recorded."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis

from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError
from luasprocs.server.registry import Registry
from luasprocs.state.barrier import wait_for_events
from tests.background import Background

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.proxy import Proxy
    from tests.servers import Server

COUNTER = "-- event=set\n-- key=ev:*\nredis.call('HINCRBY', 'fired', KEYS[1], 1)\n"
BATCH = 20
QUIET_S, LONG_QUIET_S = 2.0, 15.0


@dataclass(frozen=True, slots=True)
class Written:
    """A key that was set between two times of the server's clock (ms). `sure`: the server said so."""

    key: str
    after_ms: int
    before_ms: int
    sure: bool


class Writers(Background):
    """Threads that set keys nobody set before, `rate` keys a second each (0: as fast as they can)."""

    def __init__(self, server: Server | Proxy, count: int = 8, rate: int = 0) -> None:
        self._server = server
        self._rate = rate
        self._enough = 1 << 60
        self._ledgers: list[list[Written]] = [[] for _ in range(count)]
        super().__init__(self._write, count)

    def until(self, total: int, timeout_s: float = 60) -> None:
        """Waits until so many keys are written, then stops."""
        deadline = time.monotonic() + timeout_s
        self._enough = total
        while self.count < total:
            assert time.monotonic() < deadline, f"only {self.count} of {total} keys were written"
            time.sleep(0.01)
        self.stop()

    @property
    def count(self) -> int:
        return sum(map(len, self._ledgers))

    @property
    def ledger(self) -> list[Written]:
        return [entry for ledger in self._ledgers for entry in ledger]

    def _write(self, number: int) -> None:
        ledger, sequence = self._ledgers[number], 0
        client = self._client()
        while not self.stopping.is_set() and self.count < self._enough:
            started = time.monotonic()
            names = [f"ev:{number}:{sequence + place}" for place in range(BATCH)]
            sequence += BATCH
            ledger += self._set(client, names)
            if self._rate:
                self.stopping.wait(max(0.0, BATCH / self._rate - (time.monotonic() - started)))
        client.close()

    def _client(self) -> redis.Redis:
        return redis.Redis(port=self._server.port, protocol=2, socket_timeout=20, socket_connect_timeout=5)

    def _set(self, client: redis.Redis, names: list[str]) -> list[Written]:
        pipe = client.pipeline(transaction=False)
        pipe.time()
        for name in names:
            pipe.set(name, name)
        pipe.time()
        try:
            replies = pipe.execute(raise_on_error=False)
        except redis.RedisError:  # the server is away: what was under way may have been written, or not
            now_ms = round(time.time() * 1000)
            self.stopping.wait(0.02)
            return [Written(name, now_ms - 20_000, now_ms + 1000, sure=False) for name in names]
        times = [reply for reply in (replies[0], replies[-1]) if isinstance(reply, tuple)]
        if len(times) < 2:
            return []  # BUSY or LOADING from the first to the last
        (first_s, first_us), (last_s, last_us) = times
        after_ms, before_ms = first_s * 1000 + first_us // 1000, last_s * 1000 + last_us // 1000 + 1
        return [
            Written(name, after_ms, before_ms, sure=True)
            for name, reply in zip(names, replies[1:-1], strict=True)
            if reply is True or reply == b"OK"
        ]


def fired(client: redis.Redis, key: str = "fired") -> dict[str, int]:
    """How often the counter ran for each key."""
    found: Any = client.hgetall(key)
    return {name.decode(): int(times) for name, times in found.items()}


def gaps(client: redis.Redis) -> list[tuple[int, int, str]]:
    """From and to (ms), and why."""
    entries: Any = client.xrange("__*_Sproc_Gaps_*__")
    return [(int(fields[b"from_ms"]), int(fields[b"to_ms"]), fields[b"why"].decode()) for _, fields in entries]


def settled(client: redis.Redis, wanted: int, key: str = "fired") -> dict[str, int]:
    """The counts, once there are so many, or nothing more comes: daemons are through, and for seconds nothing has changed."""
    last, since = -1, time.monotonic()
    while (now := client.hlen(key)) < wanted:
        if now != last:
            last, since = now, time.monotonic()
        quiet_s = time.monotonic() - since
        if quiet_s > LONG_QUIET_S or (quiet_s > QUIET_S and _through(client)):
            break
        time.sleep(0.02)
    return fired(client, key)


def _through(client: redis.Redis) -> bool:
    """Whether daemons have come to the end of what was published; a machine that stands still keeps them from it."""
    try:
        wait_for_events(Registry(client, Keys()), 1)
    except (LuasprocsError, redis.RedisError):
        return False
    return True


def check(written: list[Written], ran: Mapping[str, int], holes: list[tuple[int, int, str]] = []) -> list[Written]:  # noqa: B006
    """Nothing ran twice, and what did not run lies in a recorded gap. Returns what did not run."""
    twice = {key: times for key, times in ran.items() if times != 1}
    assert not twice, f"ran more than once: {dict(list(twice.items())[:5])}"
    strange = ran.keys() - {entry.key for entry in written}
    assert not strange, f"ran for what nobody wrote: {sorted(strange)[:5]}"
    missing = [entry for entry in written if entry.sure and entry.key not in ran]
    silent = [entry for entry in missing if not any(f <= entry.before_ms and entry.after_ms <= t for f, t, _ in holes)]
    assert not silent, f"{len(silent)} of {len(written)} lost in silence, like {silent[:3]}; gaps: {holes}"
    return missing
