"""Arguments that anybody who may call the engine's functions gives them: an answer or a refusal, and what is live goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import RedisError

from luasprocs.contract.cluster import CLUSTER_CHUNKS
from luasprocs.contract.function import Function
from luasprocs.contract.functions import FUNCTIONS
from luasprocs.contract.keys import Keys
from tests.fuzz.mutated import ANYTHING
from tests.live import put, sproc
from tests.soak import SOAK, examples

if TYPE_CHECKING:
    from redis import Redis

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
KEYS = Keys()
SPROCS = (
    sproc("a.lua", "-- event=set\n-- key=ev:*\n-- retries=1\nreturn #ARGV"),
    sproc("later.lua", "-- runasync=yes\nreturn 1"),
    sproc("tick.lua", "-- every=1h\nreturn 1"),
    sproc("lib.lua", "-- library=yes\nreturn {}"),
)
SOURCE = "__keyspace@0__:ev:*"
JOB = '{"id":"1-1","sproc":"a.lua","server":true,"keys":[],"args":["x"],"attempt":1}'
_WORDS = (
    f"a.lua later.lua tick.lua lib.lua {SOURCE} d1 - ev:1 set run record start show retry drop 0 1 2 250 1700000000000 "
    "999999999999999 epoch generation call GET SELECT {}"
)
WORDS = st.sampled_from([*_WORDS.split(), JOB, ""])
KNOWN = {"daemon": "d1", "epoch": "epoch", "generation": "generation", "source": SOURCE, "name": "a.lua"}


def likely(name: str) -> st.SearchStrategy[str | bytes]:
    """An argument: most often what it may be."""
    return st.one_of(*([st.just(KNOWN[name])] if name in KNOWN else []), WORDS, WORDS, ANYTHING)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Function, list[str], list[str | bytes]]:
    one = draw(st.sampled_from([one for one in FUNCTIONS.values() if one.chunk not in CLUSTER_CHUNKS]))
    args = [draw(likely(name)) for name in one.takes]
    for _ in range(draw(st.integers(0, 3)) if one.each else 0):
        args += [draw(likely(name)) for name in one.each]
    args = args[: draw(st.sampled_from((len(args), len(args), len(args), max(0, len(args) - 1))))]
    return one, draw(st.sampled_from(([], [], ["ev:1"]))), args


def answered(client: Redis, one: Function, keys: list[str], args: list[str | bytes]) -> str:
    """What it says if it fails in the engine's own code; the place of an error of a sproc, or of a command, is none."""
    now = {
        "epoch": client.hget(KEYS.events, "epoch") or b"e",
        "generation": client.hget(KEYS.revision, "generation") or b"1",
    }
    given = [now.get(arg, arg) if isinstance(arg, str) else arg for arg in args]
    try:
        client.execute_command("FCALL_RO" if one.reads else "FCALL", KEYS.function(one.name), len(keys), *keys, *given)
    except Lost as error:
        return repr(error)
    except RedisError as error:
        return (
            str(error) if "user_function" in str(error).partition("script:")[0] or "@luasprocs:" in str(error) else ""
        )
    return ""


@examples(40)
@given(made=st.lists(calls(), min_size=10, max_size=40))
def test_any_arguments(server, made):
    client = server.client()
    client.flushall()
    put(client, *SPROCS)
    client.fcall(KEYS.function("tick"), 0, 250, 1)
    for one, keys, args in made:
        assert answered(client, one, keys, args) == "", (one.usage, keys, args)
    assert client.fcall(KEYS.function("execute"), 0, "a.lua", "x", "y") == 2
    assert client.fcall_ro(KEYS.function("about"), 0)[-1]
