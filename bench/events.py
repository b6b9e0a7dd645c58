"""Events from the SET to the last recorded run, against a bare loop; and writes that no trigger wants."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis

from bench.pairs import Result, ratio
from bench.servers import kinds, running
from luasprocs.contract.keys import Keys
from luasprocs.language.sproc import git_blob_id, read_sproc
from luasprocs.operations.put import put
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = 200_000
PAIRS = 5
SETTLED_S = 2.0
"""After which a daemon that has begun to listen has done what it does once, beside the server's own core or on it."""
BODY = "redis.call('HINCRBY', 'fired', KEYS[1], 1)"
LUASPROCS = str(Path(sys.executable).with_name("luasprocs"))


def live(client: Redis, *sources: str) -> None:
    """Makes sprocs live, named by their place."""
    named = ((f"t{place}.lua", source.encode()) for place, source in enumerate(sources))
    put(Registry(client, Keys()), [read_sproc(name, name, source, git_blob_id(source)) for name, source in named])


@contextlib.contextmanager
def daemons(port: int, count: int = 1) -> Iterator[list[subprocess.Popen[str]]]:
    """Real daemons, ready."""
    command = [LUASPROCS, "--redis", f"redis://127.0.0.1:{port}/0", "daemon", "--no-sync"]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for process in started:
            assert process.stderr is not None
            for line in process.stderr:
                if "listening" in line:
                    break
        yield started
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def write(port: int, count: int, *command: str) -> float:
    """Requests a second."""
    words = ["redis-benchmark", "-p", str(port), "-n", str(count), "-r", "1000", "-c", "20", "-P", "32", "-q", *command]
    printed = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    return float(re.findall(r"([0-9.]+) requests per second", printed)[-1])


def _fired(client: Redis) -> int:
    return sum(map(int, client.hvals("fired")))


def _until(client: Redis, total: int) -> None:
    deadline = time.monotonic() + 60
    while (found := _fired(client)) < total:
        assert time.monotonic() < deadline, f"{found} of {total} events ran"
        time.sleep(0.005)
    assert found == total, f"{found} runs for {total} events"


def _ours(server_port: int, count: int = 1) -> float:
    """Events a second, from the first SET's reply to the last run."""
    with Redis(port=server_port, protocol=2) as client, daemons(server_port, count):
        client.delete("fired")
        started = time.perf_counter()
        write(server_port, EVENTS, "set", "dream:__rand_int__", "v")
        _until(client, EVENTS)
        return EVENTS / (time.perf_counter() - started)


@contextlib.contextmanager
def bare_loop(total: int, *places: tuple[int, str]) -> Iterator[subprocess.Popen[str]]:
    """The bare loop, ready for so many events: it prints how many seconds they took, and ends.

    `places`: the ports of its servers, each with what its keys there begin with.
    """
    script = Path(__file__).with_name("bare_events")
    for port, tag in places:
        with Redis(port=port, protocol=2) as client:
            client.config_set("notify-keyspace-events", "K$")
            client.config_set("client-output-buffer-limit", "pubsub 268435456 0 0")  # as the daemon does
            client.execute_command(
                "FUNCTION", "LOAD", "REPLACE", script.with_suffix(".lua").read_text(encoding="utf-8")
            )
            client.delete(f"{tag}fired", f"{tag}bare:watermark")
    asked = [f"{port}:{tag}" for port, tag in places]
    command = [sys.executable, str(script.with_suffix(".py")), str(total), "__keyspace@0__:dream:*", *asked]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as loop:
        try:
            assert loop.stdout is not None
            for _ in places:
                assert loop.stdout.readline() == "ready\n"
            yield loop
        finally:
            loop.kill()


def _bare(server_port: int) -> float:
    """The same by the bare loop."""
    with Redis(port=server_port, protocol=2) as client, bare_loop(EVENTS, (server_port, "")):
        started = time.perf_counter()
        write(server_port, EVENTS, "set", "dream:__rand_int__", "v")
        _until(client, EVENTS)
        return EVENTS / (time.perf_counter() - started)


def _recorded(server_port: int, record: str) -> float:
    """The same of one daemon, with that key in the header."""
    with Redis(port=server_port, protocol=2) as client:
        live(client, f"-- event=set\n-- key=dream:*\n-- record={record}\n{BODY}\n")
    return _ours(server_port)


def unrecorded() -> Iterator[Result]:
    """What records cost."""
    for kind in kinds():
        with running(kind) as server:
            none, whole = (partial(_recorded, server.port, record) for record in ("none", "all"))
            yield ratio(f"events with record=none / record=all, {kind} (events/s)", none, whole, PAIRS, at_least=1.4)


def throughput() -> Iterator[Result]:
    """One daemon against the bare loop, two against one."""
    for kind in kinds():
        with running(kind) as server, Redis(port=server.port, protocol=2) as client:
            live(client, f"-- event=set\n-- key=dream:*\n{BODY}\n")
            one, two, bare = partial(_ours, server.port), partial(_ours, server.port, 2), partial(_bare, server.port)
            yield ratio(f"events run / bare loop, {kind} (events/s)", one, bare, PAIRS, at_least=0.8)
            yield ratio(f"events with two daemons / with one, {kind} (events/s)", two, one, PAIRS, at_least=0.7)


_SUBSCRIBER = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
    connection.sendall(b"PSUBSCRIBE __keyspace@0__:wanted0:*\\r\\n")
    print(connection.recv(100), flush=True)
    while connection.recv(65536):
        pass
"""


def _unwanted(server_port: int, triggers: int) -> float:
    """SETs a second on keys that no trigger wants, with a daemon."""
    with Redis(port=server_port, protocol=2) as client:
        live(client, *(f"-- event=set\n-- key=wanted{place}:*\n{BODY}\n" for place in range(triggers)))
    with daemons(server_port):
        time.sleep(SETTLED_S)
        return write(server_port, 3 * EVENTS, "set", "unwanted:__rand_int__", "v")


def _unwanted_bare(server_port: int) -> float:
    """The same with a bare subscriber to the pattern of one trigger."""
    with Redis(port=server_port, protocol=2) as client:
        client.config_set("notify-keyspace-events", "K$")
    with subprocess.Popen([sys.executable, "-c", _SUBSCRIBER, str(server_port)], stdout=subprocess.PIPE) as bare:
        assert bare.stdout is not None
        assert b"psubscribe" in bare.stdout.readline()
        try:
            return write(server_port, 3 * EVENTS, "set", "unwanted:__rand_int__", "v")
        finally:
            bare.kill()


def unwanted() -> Iterator[Result]:
    """What triggers cost writes that they don't want: the server's time, on its own core."""
    for kind in kinds():
        with running(kind) as server:
            one, many = partial(_unwanted, server.port, 1), partial(_unwanted, server.port, 100)
            bare = partial(_unwanted_bare, server.port)
            name = f"unwanted SETs with one trigger / with a bare subscriber, {kind} (requests/s)"
            yield ratio(name, one, bare, PAIRS, at_least=0.9)  # see docs/architecture.md
            name = f"unwanted SETs with 100 triggers / with one, {kind} (requests/s)"
            yield ratio(name, many, one, PAIRS, at_least=0.6)
