"""Async runs: no-op jobs a second against arq and rq on the same server with as many worker processes, and how soon one starts.

Jobs are enqueued first; what is measured is from a tenth of them done to all of them, so that nobody's start counts.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import time
import venv
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import Redis

from bench.events import daemons, live
from bench.pairs import Result, ratio
from bench.servers import kinds, running
from luasprocs.contract.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JOBS = 4000
PAIRS = 3
STARTS = 200
HERE = Path(__file__).parent
PLACE = HERE.parent / ".bench"
KEYS = Keys()
NOOP = "-- runasync=yes\n-- overlap=allow\nreturn"
STARTED = """-- runasync=yes
-- overlap=allow
local t = redis.call('TIME')
redis.call('RPUSH', 'started', t[1] * 1000 + t[2] / 1000)
"""


def _rivals() -> Path:
    python = PLACE / "bin" / "python"
    if not python.exists():
        venv.create(PLACE, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
    return python


def _rate(left: Callable[[], int]) -> float:
    """Jobs a second between a tenth done and all done."""
    deadline = time.monotonic() + 120
    while (first := left()) > JOBS * 9 // 10:
        assert time.monotonic() < deadline, "nobody works"
        time.sleep(0.001)
    started = time.perf_counter()
    while left():
        assert time.monotonic() < deadline, "they don't end"
        time.sleep(0.001)
    return first / (time.perf_counter() - started)


def _enqueue(client: Redis, count: int) -> None:
    pipe = client.pipeline(transaction=False)
    for _ in range(count):
        pipe.execute_command("FCALL", KEYS.function("enqueue"), 0, "t0.lua", "-", 1)
    pipe.execute()


def _left(client: Redis, command: str, key: str) -> int:
    found: Any = client.execute_command(command, key)
    return int(found)


def _ours(kind: str) -> float:
    with running(kind) as server, Redis(port=server.port, protocol=2) as client:
        live(client, NOOP)
        _enqueue(client, JOBS)
        with daemons(server.port):
            return _rate(partial(_left, client, "XLEN", KEYS.jobs))


def _theirs(kind: str, rival: str) -> float:
    python, workers = _rivals(), os.cpu_count() or 1
    command, key = ("ZCARD", "arq:queue") if rival == "arq" else ("LLEN", "rq:queue:default")
    with running(kind) as server, Redis(port=server.port, protocol=2) as client, contextlib.ExitStack() as stack:
        words = [str(python), "rivals.py", rival, str(server.port)]
        subprocess.run([*words, "fill", str(JOBS)], cwd=HERE, check=True)
        for _ in range(workers):
            process = subprocess.Popen([*words, "work"], cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
        return _rate(partial(_left, client, command, key))


def _starts(kind: str) -> list[float]:
    """Milliseconds from the enqueuing's reply to the job's first command, by one machine's clock; the workers are warm."""
    with running(kind) as server, Redis(port=server.port, protocol=2) as client:
        live(client, STARTED)
        with daemons(server.port):
            found = []
            for number in range(STARTS + 20):
                _enqueue(client, 1)
                asked = time.time() * 1000
                popped: Any = client.blpop(["started"], 10)
                if number >= 20:
                    found.append(float(popped[1]) - asked)
                time.sleep(0.002)
    return found


def results() -> Iterator[Result]:
    for kind in kinds():
        for rival in ("arq", "rq"):
            name = f"no-op jobs / {rival}'s, {kind} (jobs/s)"
            yield ratio(name, partial(_ours, kind), partial(_theirs, kind, rival), PAIRS, at_least=2.0)
        starts = _starts(kind)
        value = statistics.median(starts)
        pairs = ((value, sorted(starts)[int(len(starts) * 0.99)]),)
        yield Result(f"enqueue to start, p50, {kind} (ms; pair: p50/p99)", pairs, value, 5.0, at_least=False)
