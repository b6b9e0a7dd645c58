"""Keys of the registry that anybody may have written by hand: fields, heartbeats, jobs, records.

Readers and the engine take what is sound and leave the rest, or say what is wrong. A sync puts all that is git's right again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from redis.exceptions import RedisError, ResponseError

from luasprocs.contract.keys import KEYS as ALL
from luasprocs.contract.keys import Keys
from luasprocs.errors import LuasprocsError
from luasprocs.operations.diff import git_difference
from luasprocs.operations.edit import edit_metadata, undo
from luasprocs.operations.findings import findings
from luasprocs.operations.rollback import rollback
from luasprocs.operations.snapshot import read_snapshot
from luasprocs.registry.history import read_history
from luasprocs.registry.live import read_live, read_sprocs
from luasprocs.server.connection import connect
from luasprocs.server.registry import Registry
from luasprocs.state.daemons import read_running
from luasprocs.state.desired import read_suspended, read_sync_state
from luasprocs.state.executions import read_executions, read_gaps
from luasprocs.state.jobs import act, count_jobs, read_jobs
from luasprocs.state.minutes import EVERYONE, read_minutes
from luasprocs.state.requests import take
from luasprocs.state.schedules import read_schedules
from tests.fuzz.mutated import ANYTHING, mutated
from tests.live import put, sproc
from tests.soak import SOAK, examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800 if SOAK else 180)]
KEYS = Keys()
SPROCS = (
    sproc("a.lua", "-- event=set\n-- key=ev:*\n-- retries=2\nreturn KEYS[1]"),
    sproc("later.lua", "-- runasync=yes\n-- overlap=queue\nreturn 1"),
    sproc("tick.lua", "-- cron=0 3 * * *\n-- timezone=Europe/Zurich\nreturn 1"),
    sproc("lib.lua", "-- library=yes\nreturn {}"),
)
JOB = (
    b'{"id":"1700000000000000-1","sproc":"later.lua","trigger":"enqueue","keys":["k"],"args":["a"],"origin":"-","depth":1,'
    b'"attempt":1,"enqueued_ms":1700000000000}'
)
SAMPLES = (
    JOB,
    JOB.replace(b"later", b"a").replace(b'"depth"', b'"server":true,"depth"'),
    b'1700000000000 7 {"host":"h","pid":1,"version":"1","workers":2,"jobs":0,"lag":0,"sync":true,"paused":[]}',
    b"7 2 1700000000000",
    b"29933414 7 2",
    b"498890 N4!1I3000",
    b'{"by":"Ann <a@b>","at":1700000000.5,"base":"0123456789012345678901234567890123456789","past":["0123"]}',
    b'["a.lua","b.lua"]',
    b'{"a.lua":"0123456789012345678901234567890123456789"}',
    b"1700000000000 */5 * * * *",
    b"1700000000000 ann@host",
    b"a.lua\nlater.lua",
    b"flags=no-writes a.lua",
    b"",
)
VALUES = mutated(SAMPLES)
_FIELDS = """
source blob commit edit event key every cron generation owner engine applied_at applied_by defaults pinned held created updated
deleted healed action epoch tick proof limit a.lua later.lua job id sproc status error duration_us depth runs errors last_status
le_50 since state problems at daemon request deadline arguments __keyspace@0__:ev:* gap missed h:1:x
"""
FIELDS = [field.encode() for field in _FIELDS.split()]
PLACES = [
    key.within(KEYS) + (each if key.each else "")
    for key in ALL
    if key.kind != "channel"
    for each in ("a.lua", "later.lua")
]


def full(client: Redis) -> None:
    """A registry with something in each kind of key."""
    client.flushall()
    put(client, *SPROCS)
    put(client, *SPROCS, sproc("b.lua", "return 2"))
    registry = Registry(client, KEYS)
    edit_metadata(
        registry, "a.lua", {"description": "d"}, base=read_sprocs(registry, ["a.lua"])[0].blob, by="Ann <a@b>"
    )
    for _ in range(3):
        client.fcall(KEYS.function("enqueue"), 0, "later.lua", "ann", 1)
    client.fcall(KEYS.function("run"), 0, "b.lua", "ann")
    client.fcall(KEYS.function("tick"), 0, 250, 1)
    client.fcall(KEYS.function("take"), 0, "d1", 1, 0)


def written(client: Redis, place: str, kind: str, field: bytes, value: bytes) -> None:
    """Writes something there, in place of what isn't of this kind."""
    if client.type(place) not in {kind.encode(), b"none"}:
        client.delete(place)
    match kind:
        case "hash":
            client.hset(place, field, value)
        case "stream":
            client.xadd(place, {field: value, b"job": JOB})
        case "list":
            client.rpush(place, value)
        case "set":
            client.sadd(place, field, value)
        case "zset":
            client.zadd(place, {value: 1, field: 2, JOB: "inf"})
        case _:
            client.set(place, value)


def wrong(call: Callable[[], Any]) -> str:
    """What came of it that should not: errors of ours say what is wrong, the server's are none of the engine's own code."""
    try:
        call()
    except LuasprocsError:
        return ""
    except ResponseError as error:
        return str(error) if "user_function" in str(error).partition("script:")[0] or "luasprocs:" in str(error) else ""
    except RedisError as error:
        return repr(error)
    return ""


def readers(registry: Registry) -> dict[str, Callable[[], Any]]:
    return {
        "live": lambda: read_live(registry),
        "sprocs": lambda: read_sprocs(registry, ["a.lua", "later.lua"]),
        "snapshot": lambda: findings(read_snapshot(registry, "here")),
        "history": lambda: read_history(registry),
        "running": lambda: read_running(registry),
        "state": lambda: (read_sync_state(registry), read_suspended(registry)),
        "executions": lambda: [(one.said, one.duration_ms_text, one.failed) for one in read_executions(registry, None)],
        "gaps": lambda: read_gaps(registry),
        "minutes": lambda: read_minutes(registry, [EVERYONE, "a.lua"]),
        "jobs": lambda: (read_jobs(registry), count_jobs(registry)),
        "schedules": lambda: read_schedules(registry),
        "git": lambda: git_difference(registry, "a.lua"),
        "requests": lambda: take(registry, "d1"),
    }


def calls(registry: Registry) -> dict[str, Callable[[], Any]]:
    own = {
        **{name: (name,) for name in ("about", "bound", "schedules", "due", "flush")},
        "inspect": ("inspect", 0, -1),
        "tick": ("tick", 0, 1),
        "beat": ("beat", "d1", "e", "{}"),
        "take": ("take", "d1", 5, 1),
        "held": ("held", "d1"),
        "enqueue": ("enqueue", "later.lua", "ann", 1),
        "execute": ("execute", "a.lua"),
        "run": ("run", "a.lua", "ann"),
        "retry": ("job", "retry", "", "1700000000000000-1"),
        "blind": ("blind", "d1", 1, "why", "__keyspace@0__:ev:*"),
    }
    return {name: lambda words=words: registry.call(*words) for name, words in own.items()} | {
        "drop": lambda: list(act(registry, "drop", [job.id for job in read_jobs(registry)])),
        "edit": lambda: edit_metadata(registry, "b.lua", {"description": "e"}, base=SPROCS[0].blob, by="x"),
        "undo": lambda: undo(registry, "a.lua", by="x"),
        "rollback": lambda: rollback(registry, by="x"),
    }


KINDS = ["hash", "stream", "list", "set", "zset", "string"]
HASHES = {
    KEYS.revision: b"generation engine owner commit applied_at applied_by defaults pinned held branch",
    KEYS.name("a.lua"): b"source blob commit edit event key every retries oom",
    KEYS.events: b"epoch tick proof limit __keyspace@0__:ev:*",
    KEYS.desired: b"state problems at daemon commit deleted drift waiting branch",
    KEYS.stats("a.lua"): b"runs errors last_status le_50 last_run failed_in_a_row failing_since duration_us_max minute",
    KEYS.minutes("a.lua"): b"0 1 23",
    **dict.fromkeys(
        (KEYS.scheduled, KEYS.running, KEYS.catchups, KEYS.pauses, KEYS.digests), b"a.lua later.lua tick.lua"
    ),
    KEYS.daemons: b"d1 h:1:x",
    KEYS.acknowledged: b"gap missed",
    KEYS.suspended: b"since by reason",
    KEYS.triggers: b"__keyspace@0__:ev:*",
}
"""What stands in them, so that something wrong stands there most often."""
LIKELY = st.sampled_from([(key, field) for key, fields in HASHES.items() for field in fields.split()])
STREAMS = st.sampled_from(
    [(KEYS.history, one) for one in FIELDS] + [(key, one) for key in (KEYS.gaps, KEYS.control) for one in FIELDS]
)
EDITS = st.lists(
    st.one_of(
        st.tuples(LIKELY, VALUES).map(lambda found: (found[0][0], "hash", found[0][1], found[1])),
        st.tuples(LIKELY, VALUES).map(lambda found: (found[0][0], "hash", found[0][1], found[1])),
        st.tuples(STREAMS, VALUES).map(lambda found: (found[0][0], "stream", found[0][1], found[1])),
        st.tuples(st.sampled_from(PLACES), st.sampled_from(KINDS), st.sampled_from(FIELDS) | ANYTHING, VALUES),
    ),
    min_size=4,
    max_size=12,
)


BEYOND = b'{"by":"x","at":1e999,"base":"0123456789012345678901234567890123456789"}'


@settings(examples(15), phases=(Phase.explicit, Phase.generate))  # to look for a shorter example takes minutes
@given(edits=EDITS)
@example(edits=[(KEYS.events, "hash", b"tick", b"junk"), (KEYS.running, "hash", b"later.lua", b"1-1 */5")])
@example(edits=[(KEYS.desired, "hash", b"at", b"inf"), (KEYS.suspended, "hash", b"since", b"nan")])
@example(edits=[(KEYS.delayed, "zset", b"x", b"y"), (KEYS.name("a.lua"), "hash", b"edit", BEYOND)])
@example(edits=[(KEYS.stats("tick.lua"), "hash", b"last_run", b"9" * 5000)])
@example(edits=[(KEYS.revision, "hash", b"generation", b"9" * 5000)])
def test_any_key_may_hold_anything(server, edits):
    client = connect(server.url)
    registry = Registry(client, KEYS)
    full(client)
    for place, kind, field, value in edits:
        with suppress(RedisError):  # a field that the command doesn't take
            written(client, place, kind, field, value)
    for of in (readers, calls, readers):
        assert {name: said for name, call in of(registry).items() if (said := wrong(call))} == {}
    put(client, *SPROCS, adopt=True)
    live = read_live(registry)
    assert (live.drift, live.faults, sorted(live.sprocs)) == ((), (), ["a.lua", "later.lua", "lib.lua", "tick.lua"])
    assert client.fcall(KEYS.function("execute"), 1, "k", "a.lua") == b"k"
    client.close()
