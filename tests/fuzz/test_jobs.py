"""Jobs as anybody may have written them, wherever jobs are: each is run as what it can be, or goes away; nothing is held up."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from luasprocs.contract.keys import Keys
from luasprocs.runtime.jobs import parse_job
from luasprocs.server.connection import connect
from luasprocs.server.registry import Registry
from luasprocs.state.jobs import STATES, act, count_jobs, read_jobs
from tests.fuzz.mutated import mutated
from tests.live import put, sproc
from tests.soak import SOAK, examples

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
KEYS = Keys()
SPROCS = (
    sproc("a.lua", "-- event=set\n-- key=ev:*\n-- retries=2\nreturn #ARGV"),
    sproc("later.lua", "-- runasync=yes\n-- overlap=queue\nreturn 1"),
    sproc("free.lua", "-- runasync=yes\n-- overlap=allow\nreturn 1"),
)
JOB = (
    b'{"id":"1700000000000000-1","sproc":"later.lua","trigger":"enqueue","keys":["k"],"args":["a"],"origin":"-","depth":1,'
    b'"attempt":1,"enqueued_ms":1700000000000}'
)
ODD = [b'"x"', b"1e300", b"-1", b"null", b"true", b"[1,null,{},[]]", b"{}", b'"' + b"9" * 40 + b'"', b"[" * 3000]


def with_odd(number: int) -> list[bytes]:
    """The job with something odd in place of one of its values."""
    return [
        JOB.replace(value, odd)
        for odd in ODD
        for value in (b'"1700000000000000-1"', b'"enqueue"', b'["k"]', b'["a"]', b'"-"')
    ][number:] + [JOB.replace(b":1,", b":" + odd + b",", 1) for odd in ODD]


JOBS = mutated(
    [
        *(JOB, JOB, JOB.replace(b"later", b"free"), JOB.replace(b"later", b"a").replace(b"{", b'{"server":true,', 1)),
        *with_odd(0),
    ]
)
SENT = st.lists(
    st.tuples(st.sampled_from(["jobs", "enqueued", "delayed", "waiting", "dead"]), JOBS), min_size=5, max_size=25
)


@settings(examples(25), phases=(Phase.generate,))  # to look for a shorter example takes minutes
@given(sent=SENT)
def test_any_job(server, sent):
    client = connect(server.url)
    client.flushall()
    put(client, *SPROCS)
    registry = Registry(client, KEYS)
    for place, job in sent:
        match place:
            case "jobs":
                client.xadd(KEYS.jobs, {b"job": job})
            case "dead":
                client.xadd(KEYS.dead, {b"job": job, b"error": b"x"})
            case "delayed":
                client.zadd(KEYS.delayed, {job: 1})
            case "waiting":
                client.rpush(KEYS.waiting_prefix + "later.lua", job)
            case _:
                client.rpush(KEYS.enqueued, job)
    client.hset(KEYS.running, "later.lua", "paused")
    assert all(
        job.state in STATES and all(isinstance(one, str) for one in (*job.keys, *job.args))
        for job in read_jobs(registry)
    )
    assert count_jobs(registry).keys() == {"open", "delayed", "dead"}
    for _ in range(40):
        _, *due = registry.call("due")
        for job in (one for one in due if isinstance(one, bytes)):
            registry.call("retry", "d1", job, "")
        _, *rows = registry.call("take", "d1", 50, 0)
        for job in map(parse_job, rows):
            assert job.name in {b"later.lua", b"free.lua"}
            assert job.attempt >= 0
            registry.call("finish", "d1", job.entry, "ok", 1, "", "")
    assert not client.exists(KEYS.enqueued)
    assert client.xlen(KEYS.jobs) == 0
    assert [job.id for job in read_jobs(registry) if job.state in {"queued", "running", "waiting"}] == []
    dead = [job.id for job in read_jobs(registry)]
    assert [was for _, was in act(registry, "drop", dead)] == ["dead"] * len(set(dead))
    client.close()
