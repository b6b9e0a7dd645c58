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
from luasprocs.language.sproc import Sproc, git_blob_id
from luasprocs.registry.apply import apply
from luasprocs.registry.live import read_live
from luasprocs.registry.transaction import Change
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


def _throughput(port: int, *command: str) -> float:
    words = ["redis-benchmark", "-p", str(port), "-n", str(REQUESTS), "-P", "32", "-q", *command]
    printed = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    found = re.findall(r"([0-9.]+) requests per second", printed)
    assert found, printed
    return float(found[-1])


def _live(client: Redis, *, triggers: bool) -> None:
    put = [Sproc(NAME, BODY, git_blob_id(BODY), {})]
    if triggers:
        source = b"-- event=set\n-- key=nothing\nreturn 1\n"
        put.append(Sproc("trigger.lua", source, git_blob_id(source), {"event": "set", "key": "nothing"}))
    names = tuple(sproc.name for sproc in put)
    change = Change("bench", "main", "bench", "", "", "bench", tuple(put), (), names, adopt=True)
    apply(Registry(client, Keys()), read_live(Registry(client, Keys())), change)


def results() -> Iterator[Result]:
    """One ratio for each server, without and with triggers in the registry."""
    for kind in kinds():
        for triggers, at_least in ((False, 0.95), (True, 0.5)):
            with running(kind) as server, Redis(port=server.port, protocol=2) as client:
                _live(client, triggers=triggers)
                sha = str(client.script_load(BODY))
                assert client.evalsha(sha, 1, "k", *ARGS) == client.execute_command(
                    "FCALL", "luasprocs_execute", 1, "k", NAME, *ARGS
                )
                what = "with triggers" if triggers else "without triggers"
                yield ratio(
                    f"FCALL by name / EVALSHA, {kind}, {what} (requests/s)",
                    partial(_throughput, server.port, "FCALL", "luasprocs_execute", "1", "k", NAME, *ARGS),
                    partial(_throughput, server.port, "EVALSHA", sha, "1", "k", *ARGS),
                    PAIRS,
                    at_least=at_least,
                )
