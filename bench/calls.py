"""FCALL by name against EVALSHA of the same body, by redis-benchmark at -P 32."""

from __future__ import annotations

import re
import subprocess
from functools import partial
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

REQUESTS = 400_000
PAIRS = 9
NAME = "bucket.lua"
# A token bucket as people really call it: read, reckon, write.
BODY = b"""local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local rate, size, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tokens = math.min(size, (tonumber(bucket[1]) or size) + math.max(0, now - (tonumber(bucket[2]) or now)) * rate)
local allowed = tokens >= 1
if allowed then tokens = tokens - 1 end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], 60000)
return allowed and 1 or 0
"""
ARGS = ("10", "100", "1795433077")
# The least that a call can do: what the way to it costs shows most.
ONE_COMMAND = b"return redis.call('INCR', KEYS[1])"
BODIES = {"a token bucket": (BODY, ARGS), "one command": (ONE_COMMAND, ())}
OWN = "-- event=del\n-- key=nothing\n"
NAMED = b"-- function=incr\n"
OTHER = "-- event=set\n-- key=nothing\nreturn 1\n"


def _throughput(port: int, *command: str) -> float:
    words = ["redis-benchmark", "-p", str(port), "-n", str(REQUESTS), "-P", "32", "-q", *command]
    printed = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    found = re.findall(r"([0-9.]+) requests per second", printed)
    assert found, printed
    return float(found[-1])


def _live(client: Redis, **sources: bytes) -> None:
    named = ((f"{name}.lua", source) for name, source in sources.items())
    put(Registry(client, Keys()), [read_sproc(name, name, source, git_blob_id(source)) for name, source in named])


def _against_evalsha(
    what: str, body: bytes, args: tuple[str, ...], at_least: float, **sources: bytes
) -> Iterator[Result]:
    """FCALL of `bucket.lua` among `sources`, against EVALSHA of `body`, on each server."""
    for kind in kinds():
        with running(kind) as server, Redis(port=server.port, protocol=2) as client:
            _live(client, **sources)
            sha = str(client.script_load(body))
            call = ("FCALL", "luasprocs_execute", "1", "k", NAME, *args)
            client.execute_command(*call)
            client.delete("k")
            first = client.evalsha(sha, 1, "k", *args)
            client.delete("k")
            assert client.execute_command(*call) == first
            yield ratio(
                f"FCALL by name / EVALSHA of {what}, {kind} (requests/s)",
                partial(_throughput, server.port, *call),
                partial(_throughput, server.port, "EVALSHA", sha, "1", "k", *args),
                PAIRS,
                at_least=at_least,
            )


def _by_its_own_name() -> Iterator[Result]:
    """FCALL of a sproc's own function, against EVALSHA of a body of one command."""
    for kind in kinds():
        with running(kind) as server, Redis(port=server.port, protocol=2) as client:
            _live(client, incr=NAMED + ONE_COMMAND)
            sha = str(client.script_load(ONE_COMMAND))
            assert (client.fcall("incr", 1, "k"), client.evalsha(sha, 1, "k")) == (1, 2)
            yield ratio(
                f"FCALL of a function of its own / EVALSHA of one command, {kind} (requests/s)",
                partial(_throughput, server.port, "FCALL", "incr", "1", "k"),
                partial(_throughput, server.port, "EVALSHA", sha, "1", "k"),
                PAIRS,
                at_least=1.0,
            )


def results() -> Iterator[Result]:
    """One ratio for each server and body: alone, beside a trigger of another sproc, and of a sproc that has one itself."""
    yield from _by_its_own_name()
    for what, (body, args) in BODIES.items():
        yield from _against_evalsha(what, body, args, 0.95, bucket=body)
        yield from _against_evalsha(f"{what}, beside a trigger", body, args, 0.9, bucket=body, other=OTHER.encode())
        yield from _against_evalsha(f"{what}, with a trigger of its own", body, args, 0.5, bucket=OWN.encode() + body)
