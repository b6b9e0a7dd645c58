"""The engine's side of async runs: jobs, turns, retries and dead letters, by its functions alone."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.keys import Keys
from luasprocs.server.registry import Registry
from luasprocs.state.executions import read_executions
from luasprocs.state.jobs import read_jobs
from tests.live import put, sproc
from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from redis import Redis

    from tests.servers import Server

KEYS = Keys()
ASYNC = "-- runasync=yes\nreturn 1\n"


class Engine:
    """Calls of one daemon."""

    def __init__(self, client: Redis, daemon: str = "d1") -> None:
        self.client, self.daemon = client, daemon

    def call(self, function: str, *args: Any, keys: tuple[Any, ...] = ()) -> Any:
        return self.client.execute_command("FCALL", KEYS.function(function), len(keys), *keys, *args)

    def enqueue(self, name: str, *args: Any, keys: tuple[Any, ...] = ()) -> Any:
        return self.call("enqueue", name, "-", 1, *args, keys=keys)

    def take(self, limit: int = 10, *, stale: bool = False) -> list[Any]:
        rows: list[Any]
        _, *rows = self.call("take", self.daemon, limit, int(stale))
        return rows

    def finish(self, row: list[Any], status: str = "ok", error: str = "") -> Any:
        [answer] = self.call("finish", self.daemon, row[0], status, 120, "", error)
        return answer


@pytest.fixture
def engine(server: Server) -> Engine:
    return Engine(server.client())


def dead(engine: Engine) -> list[dict[bytes, bytes]]:
    found: Any = engine.client.xrange(KEYS.dead)
    return [fields for _, fields in found]


def test_a_job_is_taken_once_with_all_that_its_run_needs(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", "-- runasync=yes\n-- overlap=allow\n-- timeout=5s\n-- memory=16MB\nreturn 1"))
    job_id = engine.enqueue("a.lua", b"\x00\xff\"'", "", keys=(b"k\xfe", "two"))
    entry, *rest = engine.take()[0]
    assert rest == [
        job_id, b"a.lua", b"enqueue", b"1", b"-", b"1", b"5s", b"16MB", 2, b"k\xfe", b"two", 2, b"\x00\xff\"'", b"",
    ]  # fmt: skip
    assert engine.take() == []
    assert engine.finish([entry]) == b"OK"
    assert engine.finish([entry]) == b"LOST"
    [record] = read_executions(Registry(engine.client, KEYS))
    assert (record.sproc, record.trigger, record.status, record.duration_us) == ("a.lua", "async", "ok", 120)
    assert engine.client.xlen(KEYS.jobs) == 0
    assert engine.client.hget(KEYS.stats("a.lua"), "runs") == b"1"


def test_runs_of_a_sproc_take_turns_unless_it_allows_overlap(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC), sproc("b.lua", "-- runasync=yes\n-- overlap=allow\nreturn 1"))
    for number in range(3):
        engine.enqueue("a.lua", number)
        engine.enqueue("b.lua", number)
    first = engine.take()
    assert sorted(row[2] for row in first) == [b"a.lua", b"b.lua", b"b.lua", b"b.lua"]
    order = []
    running = next(row for row in first if row[2] == b"a.lua")
    while running:
        order.append(running[-1])
        engine.finish(running)
        running = next(iter(engine.take()), None)
    assert order == [b"0", b"1", b"2"]
    assert not engine.client.exists(KEYS.running, KEYS.waiting_prefix + "a.lua")


def test_skip_leaves_a_run_out_while_another_one_has_not_ended_and_says_so(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", "-- runasync=yes\n-- overlap=skip\nreturn 1"))
    assert engine.enqueue("a.lua")
    assert engine.enqueue("a.lua") is None
    [record] = read_executions(Registry(engine.client, KEYS))
    assert (record.status, record.error) == ("skipped", "overlap=skip: the run before it has not ended")
    engine.finish(engine.take()[0])
    assert engine.enqueue("a.lua")


def test_a_job_that_fails_is_tried_again_later_and_then_dead(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", "-- runasync=yes\n-- retries=2\n-- backoff=20ms\nreturn 1"))
    job_id = engine.enqueue("a.lua", "x")
    for attempt in (1, 2, 3):
        [row] = engine.take()
        assert (row[1], row[6]) == (job_id, str(attempt).encode())
        engine.finish(row, "error", "no luck")
        assert engine.take() == []
        give_up = time.monotonic() + PATIENCE_S
        while attempt < 3 and time.monotonic() < give_up and not engine.client.xlen(KEYS.jobs):
            engine.call("due")
    [letter] = dead(engine)
    assert (letter[b"id"], letter[b"sproc"], letter[b"error"], letter[b"attempts"]) == (
        job_id, b"a.lua", b"no luck", b"3",
    )  # fmt: skip
    assert [one.status for one in read_executions(Registry(engine.client, KEYS))] == ["error"] * 3
    assert not engine.client.exists(KEYS.running, KEYS.delayed)


def test_the_delay_doubles_up_to_its_cap(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", "-- runasync=yes\n-- retries=1000\n-- backoff=1s\nreturn 1"))
    engine.enqueue("a.lua")
    delays = []
    for _ in range(12):
        engine.finish(engine.take()[0], "error", "again")
        found: Any = engine.client.zrange(KEYS.delayed, 0, -1, withscores=True)
        now: Any = engine.client.time()
        [(text, due_ms)], (seconds, micros) = found, now
        delays.append((due_ms - seconds * 1000 - micros / 1000) / 1000)
        engine.client.zadd(KEYS.delayed, {text: 1})
        engine.call("due")
    for number, delay in enumerate(delays):
        whole = min(300, 2**number)
        assert whole * 0.7 < delay < whole * 1.3


def test_jobs_of_a_dead_daemon_go_to_another_but_not_for_ever(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC))
    engine.enqueue("a.lua", "x")
    [row] = engine.take()
    engine.client.hset(KEYS.daemons, "d1", f"{int(time.time() * 1000)} 0 {{}}")
    other = Engine(engine.client, "d2")
    assert other.take(stale=True) == []
    engine.client.hdel(KEYS.daemons, "d1")
    [claimed] = other.take(stale=True)
    assert claimed == row
    assert engine.finish(row) == b"LOST"
    for number in range(3, 20):  # that daemons die with it before it begins is no try
        [entry, *_] = Engine(engine.client, f"d{number}").take(stale=True)[0]
    for number in range(20, 30):
        one = Engine(engine.client, f"d{number}")
        if not one.take(stale=True):
            break
        assert one.call("begun", one.daemon, entry) == b"OK"
    assert number == 25
    [letter] = dead(engine)
    assert b"daemons died while it ran" in letter[b"error"]
    assert engine.client.xpending(KEYS.jobs, "workers")["pending"] == 0
    assert not engine.client.exists(KEYS.running)


def test_a_daemon_asks_for_the_jobs_that_it_was_handed_and_never_heard_of(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", "-- runasync=yes\n-- overlap=allow\nreturn 1"))
    for _ in range(3):
        engine.enqueue("a.lua")
    known, *lost = engine.take()
    assert engine.call("held", "d1", known[0])[1:] == lost
    assert engine.call("held", "d1", *(row[0] for row in (known, *lost)))[1:] == []
    assert engine.call("held", "d2")[1:] == []
    assert engine.finish(lost[0]) == b"OK"
    assert engine.call("held", "d1", known[0])[1:] == lost[1:]


def test_a_job_that_did_not_begin_goes_back_with_its_turn(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC))
    for number in range(2):
        engine.enqueue("a.lua", number)
    [row] = engine.take()
    assert engine.call("back", "d2", row[0]) == 0
    assert engine.call("back", "d1", row[0]) == 1
    assert engine.call("back", "d1", row[0]) == 0
    [again] = Engine(engine.client, "d2").take()
    assert again[1:] == row[1:]
    assert engine.finish(row) == b"LOST"


def test_a_job_that_goes_back_keeps_its_turn(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", "-- runasync=yes\n-- overlap=queue\nreturn 1"))
    for number in range(2):
        engine.enqueue("a.lua", number)
    [row] = engine.take()
    assert engine.call("back", "d1", row[0]) == 1
    engine.call("due")  # looks for turns whose job somebody has removed
    assert engine.client.xlen(KEYS.jobs) == 1
    [again] = engine.take()
    assert again[1:] == row[1:]
    assert engine.finish(again) == b"OK"
    [second] = engine.take()
    assert second[1] != row[1]


def test_what_can_not_run_is_refused_or_buried(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC), sproc("b.lua", "return 1"))
    for name, why in (("b.lua", "is not runasync=yes"), ("x.lua", "NOSPROC")):
        with pytest.raises(ResponseError) as refused:
            engine.enqueue(name)
        assert why in f"{refused.value.status_code or ''} {refused.value}"
    engine.enqueue("a.lua")
    engine.enqueue("a.lua")
    put(engine.client, sproc("a.lua", "return 1"))
    while engine.client.xlen(KEYS.jobs):
        assert engine.take() == []
    assert [letter[b"sproc"] for letter in dead(engine)] == [b"a.lua", b"a.lua"]


def test_a_paused_sprocs_jobs_wait_until_it_is_resumed(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", "-- runasync=yes\n-- overlap=allow\nreturn 1"))
    engine.client.sadd(KEYS.paused, "a.lua")
    engine.enqueue("a.lua", "1")
    engine.enqueue("a.lua", "2")
    engine.call("due")
    assert engine.take() == []
    engine.client.srem(KEYS.paused, "a.lua")
    engine.call("due")
    assert [row[-1] for row in engine.take()] == [b"1", b"2"]


def resumed(engine: Engine) -> list[bytes]:
    """Resumes a.lua; what it has run then, one after another or at once."""
    engine.client.srem(KEYS.paused, "a.lua")
    engine.call("due")
    order = []
    while rows := engine.take():
        order += [row[-1] for row in rows]
        for row in rows:
            engine.finish(row)
    assert not engine.client.hexists(KEYS.running, "a.lua")
    assert not engine.client.exists(KEYS.waiting_prefix + "a.lua")
    return order


def test_a_pause_holds_jobs_that_wait_for_their_turn(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC))
    for number in range(3):
        engine.enqueue("a.lua", number)
    [row] = engine.take()
    engine.client.sadd(KEYS.paused, "a.lua")
    assert engine.finish(row) == b"OK"
    engine.call("due")
    assert engine.take() == []
    engine.enqueue("a.lua", 3)
    assert resumed(engine) == [b"1", b"2", b"3"]


@pytest.mark.parametrize("overlap", ["allow", "queue", "skip"])
def test_a_pause_holds_jobs_that_nobody_has_taken(engine: Engine, overlap: str) -> None:
    put(engine.client, sproc("a.lua", f"-- runasync=yes\n-- overlap={overlap}\nreturn 1"), sproc("b.lua", ASYNC))
    taken = [str(number).encode() for number in range(3) if engine.enqueue("a.lua", number)]
    engine.enqueue("b.lua")
    engine.client.sadd(KEYS.paused, "a.lua")
    names = [row[2] for _ in range(4) for row in engine.take(1)]
    assert names == [b"b.lua"]
    assert {job.state for job in read_jobs(Registry(engine.client, KEYS)) if job.sproc == "a.lua"} == {"waiting"}
    assert resumed(engine) == taken


def test_a_retry_on_the_server_waits_while_its_sproc_is_paused(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", "return 1"))
    job = json.dumps({"id": "1", "sproc": "a.lua", "server": True, "attempt": 2, "keys": [], "args": []})
    engine.client.zadd(KEYS.delayed, {job: 0})
    engine.client.sadd(KEYS.paused, "a.lua")
    [next_due] = engine.call("due")
    assert 0 < int(next_due) <= 1000
    engine.client.srem(KEYS.paused, "a.lua")
    engine.client.zadd(KEYS.delayed, {job: 0})
    assert engine.call("due")[1:] == [job.encode()]


def test_times_that_are_made_up_for_all_run(engine: Engine) -> None:
    """Those of `misfire=all` come at once: the overlap of other schedules would skip them."""
    put(
        engine.client,
        sproc("a.lua", "-- runasync=yes\n-- every=2s\n-- misfire=all\nreturn 1"),
        sproc("b.lua", "-- runasync=yes\n-- every=2s\nreturn 1"),
    )
    assert [bool(engine.enqueue("a.lua")) for _ in range(3)] == [True, True, True]
    assert [bool(engine.enqueue("b.lua")) for _ in range(3)] == [True, False, False]


def test_an_enqueue_that_lacks_words_says_what_it_takes(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC))
    for words in ((), ("a.lua",), ("a.lua", "-"), ("a.lua", "-", "x")):
        with pytest.raises(ResponseError, match=r"numkeys \[key ...\] name origin depth"):
            engine.call("enqueue", *words)


def test_sproc_enqueue_is_part_of_the_atomic_step(engine: Engine) -> None:
    source = (
        "redis.call('SET', 'id', sproc.enqueue('a.lua', {KEYS[1]}, {ARGV[1], 7}))\nreturn redis.call('INCR', KEYS[1])"
    )
    put(
        engine.client,
        sproc("a.lua", ASYNC),
        sproc("b.lua", source),
        sproc("c.lua", "local id = sproc.enqueue('b.lua') return id"),
    )
    assert engine.call("execute", "b.lua", "v", keys=("n",)) == 1
    [row] = engine.take()
    assert row[1] == engine.client.get("id")
    assert row[9:] == [1, b"n", 2, b"v", b"7"]
    with pytest.raises(ResponseError, match=r"'b.lua' is not runasync=yes.*on @c.lua:1"):
        engine.call("execute", "c.lua")


def test_an_operator_retries_and_drops(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC))
    first = engine.enqueue("a.lua", "1")
    second = engine.enqueue("a.lua", "2")
    third = engine.enqueue("a.lua", "3")
    assert engine.call("job", "drop", "", first) == [b"queued"]
    [row] = engine.take()
    assert row[1] == second
    assert engine.call("job", "drop", "", second) == [b"running"]
    assert engine.call("job", "drop", "", third) == [b"waiting"]
    engine.finish(row, "error", "no")
    assert engine.call("job", "retry", "", second) == [b"dead"]
    [again] = engine.take()
    assert (again[1], again[6]) == (second, b"1")
    engine.finish(again, "error", "no")
    assert engine.call("job", "drop", "", second) == [b"dead"]
    assert engine.call("job", "drop", "", second) == [None]
    assert not engine.client.exists(KEYS.dead) or engine.client.xlen(KEYS.dead) == 0


def test_an_operator_drops_many_in_one_step(engine: Engine) -> None:
    """The one with the turn and those behind it, some twice, one that is not there; each is told about in its place."""
    put(engine.client, sproc("a.lua", ASYNC))
    queued, *waiting = [engine.enqueue("a.lua", '"id":"1-1"') for _ in range(4)]
    wanted = [waiting[1], queued, "1-1", waiting[0], waiting[1]]
    assert engine.call("job", "drop", "", *wanted) == [b"waiting", b"queued", None, b"waiting", b"waiting"]
    [row] = engine.take()
    assert row[1] == waiting[2]
    assert engine.call("job", "drop", "waiting", *wanted) == [None] * 5


def test_one_that_comes_to_its_turn_by_a_drop_is_not_dropped_itself(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC), sproc("b.lua", "-- overlap=allow\n" + ASYNC))
    first, second = engine.enqueue("a.lua", "1"), engine.enqueue("a.lua", "2")
    for _ in range(150):
        engine.enqueue("b.lua")
    assert engine.call("job", "drop", "queued", first, second) == [b"queued", None]
    assert engine.call("job", "drop", "", second) == [b"queued"]


def test_junk_among_what_waits_and_what_is_delayed_holds_nothing_up(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC))
    first = engine.enqueue("a.lua", "1")
    engine.client.rpush(KEYS.waiting_prefix + "a.lua", "junk", '{"id":1}')
    second = engine.enqueue("a.lua", "2")
    engine.client.zadd(KEYS.delayed, {"junk": 1, '{"id":"x"}': 1})
    assert engine.call("due") == [b""]
    assert engine.client.zcard(KEYS.delayed) == 0
    engine.client.zadd(KEYS.delayed, {"junk": "inf"})
    assert engine.call("due") == [b"300000"]
    [row] = engine.take()
    assert row[1] == first
    engine.finish(row)
    [row] = engine.take()
    assert row[1] == second


def test_an_effect_is_the_commands_reply_between_markers(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC), sproc("t.lua", "-- event=set\n-- key=x\nreturn 1"))
    heard = engine.client.pubsub(ignore_subscribe_messages=True)
    heard.subscribe(KEYS.markers)
    heard.get_message(timeout=2)

    def effect(*command: Any) -> Any:
        return engine.call("effect", 2, 1, "o1", "a.lua", "call", 2, *command)

    assert effect("SET", "n", "5") == b"OK"
    assert effect("INCR", "n") == 6
    assert effect("LPUSH", "l", "a", "b") == 2
    assert effect("LRANGE", "l", 0, -1) == [b"b", b"a"]
    assert effect("GET", "nothing") is None
    for command, why in ((("LPUSH", "n", "x"), "wrong kind"), (("NOSUCH",), "nknown"), (("SELECT", "1"), "SELECT")):
        with pytest.raises(ResponseError, match=why):
            effect(*command)
    messages: list[Any] = [heard.get_message(timeout=2) for _ in range(4)]
    assert [message["data"].partition(b" ")[2] for message in messages] == [b"begin 2 1 o1 a.lua", b"end"] * 2


def test_keys_of_the_wrong_type_give_way(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC))
    for key in (KEYS.jobs, KEYS.running, KEYS.delayed, KEYS.dead, KEYS.waiting_prefix + "a.lua"):
        engine.client.set(key, "x")
    engine.enqueue("a.lua", "1")
    engine.enqueue("a.lua", "2")
    engine.call("due")
    [row] = engine.take()
    engine.finish(row, "error", "no")
    assert json.loads(dead(engine)[0][b"job"])["args"] == ["1"]
    assert [row[-1] for row in engine.take()] == [b"2"]


def test_a_turn_goes_on_if_somebody_removed_its_job(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC), sproc("b.lua", "-- runasync=yes\n-- overlap=skip\nreturn 1"))
    for name in ("a.lua", "b.lua"):
        engine.enqueue(name)
    engine.take()
    waits = engine.enqueue("a.lua")
    engine.call("due")
    assert engine.take() == []
    engine.client.xtrim(KEYS.jobs, maxlen=0, approximate=False)
    engine.call("due")
    [row] = engine.take()
    assert row[1] == waits
    assert engine.enqueue("b.lua")
    engine.client.delete(KEYS.jobs)
    engine.call("due")
    assert not engine.client.exists(KEYS.running)


def test_what_is_no_entry_of_a_job_is_lost_and_ends_no_other(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", ASYNC))
    engine.enqueue("a.lua")
    [row] = engine.take()
    ends = (120, "", "")
    answers = engine.call("finish", "d1", row[0], "ok", *ends, "a.lua", "ok", *ends, "9" * 20 + "-1", "ok", *ends)
    assert answers == [b"OK", b"LOST", b"LOST"]
    assert engine.client.xlen(KEYS.jobs) == 0
    engine.client.hset(KEYS.running, "a.lua", "1-1 */5")
    engine.call("due")
    assert not engine.client.exists(KEYS.running)


def test_skip_keeps_one_run_for_the_time_after_a_pause(engine: Engine) -> None:
    put(engine.client, sproc("a.lua", "-- runasync=yes\n-- overlap=skip\nreturn 1"))
    engine.client.sadd(KEYS.paused, "a.lua")
    assert engine.enqueue("a.lua")
    assert engine.enqueue("a.lua") is None
    engine.client.srem(KEYS.paused, "a.lua")
    engine.call("due")
    [row] = engine.take()
    engine.finish(row)
    assert not engine.client.exists(KEYS.running, KEYS.waiting_prefix + "a.lua")
