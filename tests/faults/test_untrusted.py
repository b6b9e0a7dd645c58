"""Whoever may call sprocs may send anything: to the channels that the user may publish on, and to each function of the engine."""

from __future__ import annotations

import contextlib
import random
import time
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import RedisError, ResponseError

from luasprocs.contract.cluster import CLUSTER_CHUNKS
from luasprocs.contract.functions import FUNCTIONS
from luasprocs.contract.keys import Keys
from luasprocs.server.acl import rule
from luasprocs.server.registry import Registry
from luasprocs.state.daemons import read_running
from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, Writers, check, gaps, settled
from tests.live import put, sproc
from tests.soak import SOAK
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.servers import Server

MESSAGES = 20_000 if SOAK else 1001
SECONDS = 4.0
KEYS = Keys()
ALLOWED = (KEYS.markers, KEYS.wakes)
CHANNELS = (*ALLOWED, KEYS.ticks, KEYS.generations, "shop:" + KEYS.markers)
JUNK = (
    *("begin 1 1 - counter.lua", "begin 8 1 - counter.lua", "begin 9 1 x counter.lua", "begin x", "begin", "end"),
    *(
        "",
        " ",
        "\xff\x00",
        "begin 99999999999999999999 1 - counter.lua",
        "begin 1 1 -",
        "0 1 2 3 4",
        "e 99999999 1 r 1",
    ),
    *("999999999", "schedules", "delayed", "0000000000000000 begin 9 1 - counter.lua", "0000000000000000 end", "x y z"),
    *("\n", "1 " * 1000),
)
NUMBERS = ("0", "1", "-1", "1.5", "1e400", "nan", "", "x", "9" * 30, "0x10", " 1", "2", "\x00")
WORDS = (
    *("counter.lua", "n.lua", "-", "", "x y", "ev:1", "SET", "run", "drop", "\xff", "a" * 300, "begin", "PUBLISH"),
    KEYS.markers,
)
pytestmark = [pytest.mark.soak, pytest.mark.timeout(600 if SOAK else 150)]


def caller(server: Server, *more: str) -> Redis:
    """A client of a user with `acl caller`'s rights, and `more`."""
    server.client().execute_command(
        "ACL", "SETUSER", "app", *rule("caller", KEYS, own_keys=("ev:*", "app:*")), ">secret", *more
    )
    return server.client(username="app", password="secret")


def shout(client: Redis, chance: random.Random) -> tuple[int, int]:
    """Some messages, most of them where any caller may publish. How many have reached a channel, and how many were refused."""
    pipe = client.pipeline(transaction=False)
    for _ in range(20):
        channels = ALLOWED if chance.random() < 0.8 else CHANNELS
        pipe.publish(chance.choice(channels), chance.choice(JUNK))
    replies = pipe.execute(raise_on_error=False)
    refused = sum(isinstance(reply, RedisError) for reply in replies)
    return len(replies) - refused, refused


def call(client: Redis, chance: random.Random) -> None:
    """One call of a function, of any kind."""
    one = chance.choice([one for one in FUNCTIONS.values() if one.chunk not in CLUSTER_CHUNKS])
    count = len(one.takes) + len(one.each) + chance.randint(-1, 3)
    args = [chance.choice(chance.choice((NUMBERS, WORDS))) for _ in range(max(0, count))]
    keys = ["ev:own"] if chance.random() < 0.2 else []
    client.execute_command("FCALL_RO" if one.reads else "FCALL", KEYS.function(one.name), len(keys), *keys, *args)


@contextlib.contextmanager
def fault_of_the_caller() -> Iterator[None]:
    """What is refused is no fault of the engine's own."""
    try:
        yield
    except RedisError as error:
        assert "user_function" not in str(error).partition("script:")[0], error


@pytest.mark.parametrize("more", [(), ("&*", "+publish")], ids=["as printed", "publishes anywhere"])
def test_no_event_is_missing_whatever_a_caller_sends(server, more):
    admin = server.client()
    put(admin, sproc("counter.lua", COUNTER), sproc("n.lua", "return #ARGV"))
    client, chance = caller(server, *more), random.Random(7)
    with DaemonProcess(server.url) as daemon:
        with Writers(server, 2, rate=300) as writers:
            reached = refused = 0
            began_s = time.monotonic()
            while reached < MESSAGES or time.monotonic() - began_s < SECONDS:
                done = shout(client, chance)
                reached, refused = reached + done[0], refused + done[1]
                for _ in range(4):
                    with fault_of_the_caller():
                        call(client, chance)
        ran = settled(admin, writers.count)
        said = daemon.output
    assert reached > max(1000, MESSAGES - 1, refused)
    assert len(writers.ledger) > 100
    assert check(writers.ledger, {key: times for key, times in ran.items() if key != "ev:own"}) == []
    assert gaps(admin) == []
    assert "Traceback" not in said
    assert "connecting again" not in said
    assert "did not come from the engine" in said


def test_what_does_not_come_from_the_engine_is_counted(server):
    admin = server.client()
    put(admin, sproc("counter.lua", COUNTER))
    registry = Registry(admin, KEYS)
    with DaemonProcess(server.url):
        until(lambda: [one.covers for one in read_running(registry).alive if one.covers])
        for channel in (KEYS.markers, KEYS.ticks, KEYS.generations):
            for message in ("", "begin 1 1 - counter.lua", "0000000000000000 end"):
                admin.publish(channel, message)
        admin.publish(KEYS.wakes, "x")
        admin.set("ev:1", "x")
        until(lambda: [one.ignored for one in read_running(registry).alive] == [9])
        time.sleep(1.0)
        assert [one.ignored for one in read_running(registry).alive] == [9]


def test_a_caller_can_not_speak_for_a_job_nor_learn_the_secret(server):
    put(server.client(), sproc("counter.lua", COUNTER))
    client = caller(server)
    for function, *args in (
        ("effect", 1, 1, "-", "counter.lua", "call", 2, "SET", "ev:1", "x"),
        ("call", "counter.lua", "-", 1),
    ):
        with pytest.raises(ResponseError, match="only a worker"):
            client.execute_command("FCALL", KEYS.function(function), 0, *args)
    assert client.execute_command("FCALL_RO", KEYS.function("about"), 0)[-1] == b""
    assert server.client().execute_command("FCALL_RO", KEYS.function("about"), 0)[-1] != b""


WRONG = [
    (name, place, value)
    for name, place in (
        ("tick", 0),
        ("take", 1),
        ("enqueue", 2),
        ("dispatch", 4),
        ("blind", 1),
        ("call", 2),
        ("effect", 0),
    )
    for value in ("1.5", "-1", "", "x", "1e3", "9" * 20)
]


@pytest.mark.parametrize(("name", "place", "value"), WRONG)
def test_numbers_that_are_none_are_refused_by_place(server, name, place, value):
    put(server.client(), sproc("counter.lua", COUNTER))
    args = ["1" for _ in FUNCTIONS[name].takes]
    args[place] = value
    with pytest.raises(ResponseError, match=f"argument {place + 1} is no whole number"):
        server.client().execute_command("FCALL", KEYS.function(name), 0, *args)


@pytest.mark.parametrize(
    "name", [one.name for one in FUNCTIONS.values() if one.takes and one.chunk not in {"core", *CLUSTER_CHUNKS}]
)
def test_missing_arguments_are_told_with_the_usage(server, name):
    put(server.client(), sproc("counter.lua", COUNTER))
    one = FUNCTIONS[name]
    command = ("FCALL_RO" if one.reads else "FCALL", KEYS.function(name), 0)
    with pytest.raises(ResponseError, match="wrong number of arguments: FCALL"):
        server.client().execute_command(*command, *["1"] * (len(one.takes) - 1))


LOOP = "-- event=set\n-- key={}:*\nredis.call('SELECT', {})\nredis.call('SET', '{}:1', 1)\n"


@pytest.mark.parametrize(("namespace", "db"), [("one", 0), ("", 1)])
def test_a_chain_through_two_registries_of_one_server_ends_at_depth_8(server, namespace, db):
    one, other = Keys(namespace), Keys("other")
    admin, there = server.client(), server.client(db=db)
    put(admin, sproc("a.lua", LOOP.format("a", db, "b")), keys=one)
    put(there, sproc("b.lua", LOOP.format("b", 0, "a")), keys=other)
    url = f"redis://127.0.0.1:{server.port}/{{}}"
    with (
        DaemonProcess(url.format(0), before=("--namespace", namespace)) as first,
        DaemonProcess(url.format(db), before=("--namespace", "other")) as second,
    ):
        admin.set("a:0", "x")
        skipped = until(lambda: [*chain(admin, one, "skipped"), *chain(there, other, "skipped")])
        depths = sorted(chain(admin, one, "ok") + chain(there, other, "ok"))
        assert depths == [1, 2, 3, 4, 5, 6, 7, 8]
        assert skipped == [9]
        for daemon in (first, second):
            assert "Traceback" not in daemon.output


def chain(client: Redis, keys: Keys, status: str) -> list[int]:
    found: Any = client.xrange(keys.executions)
    return [int(fields[b"depth"]) for _, fields in found if fields[b"status"] == status.encode()]
