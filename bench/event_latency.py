"""How soon a sproc runs after its event, and what a daemon costs while nothing happens.

Idle latency is held against two things measured in the same run. The p99 against that of a bare round trip: a PING by the same
raw client, in turn with the SETs, as the p99 of a loopback PING is the scheduler's (it moves by a factor of ten with the
machine's load) and strikes both alike. The p50 against the bare loop, which wakes as many processes: it takes 4 PINGs itself,
so that no program beside the server gets near to the 2 that were wished for (docs/architecture.md).
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import hiredis
from redis import Redis

from bench.events import daemons, live
from bench.pairs import Result, ratio
from bench.servers import kinds, running
from luasprocs.contract.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROUNDS = 2000
BARE_ROUNDS = 500
REST_S = 0.002
"""Between two SETs: the daemon is idle when the next one comes."""
OTHER_KEYS = 100_000
EXPIRING = 1000
EXPIRY_SPREAD_MS = 5000
REST_OVER_S = 10.0
EFFECT = "-- event=set\n-- key=dream:*\nredis.call('PUBLISH', 'effect', ARGV[1])\n"
LATENESS = """-- event=expired
-- key=due:*
local now = redis.call('TIME')
redis.call('RPUSH', 'late', now[1] * 1000 + now[2] / 1000 - tonumber(KEYS[1]:match('%d+$')))
"""


class Raw:
    """A socket and a reader: nothing between the measurement and the loopback."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def call(self, command: bytes) -> object:
        """Sends a packed command, waits for one message."""
        self._socket.sendall(command)
        return self.message()

    def message(self) -> object:
        while (message := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65536))
        return message

    def close(self) -> None:
        self._socket.close()


def _packed(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)


def percentile(values: Sequence[float], part: float) -> float:
    """The smallest value that `part` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _trips(port: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds from a SET's reply to the sproc's effect, and of a bare round trip, in turn."""
    client, listener = Raw(port), Raw(port)
    ping, effects, trips = _packed("PING"), [], []
    try:
        listener.call(_packed("SUBSCRIBE", "effect"))
        for number in range(rounds):
            started = time.perf_counter()
            client.call(ping)
            trips.append(time.perf_counter() - started)
            client.call(_packed("SET", f"dream:{number % 100}", str(number)))
            started = time.perf_counter()
            heard = listener.message()
            effects.append(time.perf_counter() - started)
            assert isinstance(heard, list)
            assert heard[2] == str(number).encode(), "an effect was lost, or came twice"
            time.sleep(REST_S)
    finally:
        client.close()
        listener.close()
    return effects, trips


def idle() -> Iterator[Result]:
    """From the SET's reply to the sproc's effect, in bare round trips."""
    for kind in kinds():
        with running(kind) as server, Redis(port=server.port, protocol=2) as client:
            live(client, EFFECT)
            with daemons(server.port):
                _trips(server.port, 200)
                effects, trips = _trips(server.port, ROUNDS)
        took, trip = percentile(effects, 0.99), percentile(trips, 0.99)
        pairs = ((took * 1e6, trip * 1e6),)
        yield Result(f"idle: SET to effect / PING, p99, {kind} (us)", pairs, took / trip, 8.0, at_least=False)


def _ours(kind: str) -> float:
    """Microseconds from the SET's reply to the effect: the median."""
    with running(kind) as server, Redis(port=server.port, protocol=2) as client:
        live(client, EFFECT)
        with daemons(server.port):
            _trips(server.port, 200)
            return statistics.median(_trips(server.port, BARE_ROUNDS)[0]) * 1e6


def _bare(kind: str) -> float:
    script = Path(__file__).with_name("bare_events")
    body = script.with_suffix(".lua").read_text(encoding="utf-8")
    counts, publishes = "'HINCRBY', ARGV[4] .. 'fired', KEYS[1], 1", "'PUBLISH', 'effect', ARGV[1]"
    published = body.replace(counts, publishes)
    assert published != body
    with running(kind) as server, Redis(port=server.port, protocol=2) as client:
        client.config_set("notify-keyspace-events", "K$")
        client.execute_command("FUNCTION", "LOAD", published)
        words = [
            sys.executable,
            str(script.with_suffix(".py")),
            str(10**9),
            "__keyspace@0__:dream:*",
            f"{server.port}:",
        ]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as loop:
            try:
                assert loop.stdout is not None
                assert loop.stdout.readline() == "ready\n"
                _trips(server.port, 200)
                return statistics.median(_trips(server.port, BARE_ROUNDS)[0]) * 1e6
            finally:
                loop.kill()


def idle_against_bare() -> Iterator[Result]:
    """The same way through a second process, by the bare loop."""
    for kind in kinds():
        name = f"idle: SET to effect / bare loop, p50, {kind} (us)"
        yield ratio(name, partial(_ours, kind), partial(_bare, kind), 5, at_most=1.5)


def _expire_some(client: Redis) -> list[float]:
    """Milliseconds from the deadline to the run, by the server's clock."""
    client.delete("late")
    seconds, micros = client.time()
    first = seconds * 1000 + micros // 1000 + 1000
    pipe = client.pipeline(transaction=False)
    for number in range(EXPIRING):
        deadline = first + number * EXPIRY_SPREAD_MS // EXPIRING
        pipe.set(f"due:{number}:{deadline}", "x", pxat=deadline)
    pipe.execute()
    give_up = time.monotonic() + 60
    while client.llen("late") < EXPIRING and time.monotonic() < give_up:
        time.sleep(0.1)
    late = [float(value) for value in client.lrange("late", 0, -1)]
    assert len(late) <= EXPIRING, "an event ran twice"
    return late + [60_000.0] * (EXPIRING - len(late))


def expired() -> Iterator[Result]:
    """From the deadline to the run, by the server's clock, beside many keys that have one too."""
    for kind in kinds():
        with running(kind) as server, Redis(port=server.port, protocol=2) as client:
            live(client, LATENESS)
            pipe = client.pipeline(transaction=False)
            for number in range(OTHER_KEYS):
                pipe.set(f"other:{number}", "x", ex=3600)
            pipe.execute()
            with daemons(server.port):
                late = _expire_some(client)
        value = percentile(late, 0.99)
        pairs = ((statistics.median(late), value),)
        yield Result(f"expired: deadline to run, p99, {kind} (ms; pair: p50/p99)", pairs, value, 100.0, at_least=False)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def at_rest() -> Iterator[Result]:
    """Nothing to do, for one trigger and for every kind of source: memory, and CPU over ten seconds."""
    every = (EFFECT, LATENESS, "-- event=del\n-- key=a*, b*\nreturn 1\n")
    for kind, what, sources in ((kind, *one) for kind in kinds() for one in (("one", (EFFECT,)), ("every", every))):
        with running(kind) as server, Redis(port=server.port, protocol=2) as client:
            live(client, *sources)
            with daemons(server.port) as [daemon]:
                time.sleep(2)
                before = _cpu_s(daemon.pid)
                time.sleep(REST_OVER_S)
                used = (_cpu_s(daemon.pid) - before) / REST_OVER_S * 100
                held = _rss_mb(daemon.pid)
                assert client.hlen(Keys().daemons) == 1
        yield Result(f"at rest, {what} trigger: CPU of a core, {kind} (%)", ((used, 1.0),), used, 1.0, at_least=False)
        yield Result(
            f"at rest, {what} trigger: resident memory, {kind} (MB)", ((held, 80.0),), held, 80.0, at_least=False
        )


def results() -> Iterator[Result]:
    yield from idle()
    yield from idle_against_bare()
    yield from expired()
    yield from at_rest()
