"""The sprocs in sprocs/, each on real servers through FCALL."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
from lupa.lua51 import LuaRuntime

from tests.live import make_live

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Server

SPROCS = Path(__file__).parent.parent / "sprocs"
DAY_MS = 24 * 60 * 60 * 1000


class Examples:
    """The examples, live on one server."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis: Any = client
        make_live(client, SPROCS)

    def __call__(self, name: str, keys: Sequence[str] = (), *arguments: object, ro: bool = False) -> Any:
        function = "luasprocs_execute_ro" if ro else "luasprocs_execute"
        texts = [argument if isinstance(argument, bytes) else str(argument) for argument in arguments]
        return self.redis.execute_command("FCALL_RO" if ro else "FCALL", function, len(keys), *keys, name, *texts)

    def now_ms(self) -> int:
        seconds, microseconds = self.redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000


@pytest.fixture
def call(server: Server) -> Examples:
    return Examples(server.client())


def sleep_ms(milliseconds: int) -> None:
    time.sleep(milliseconds / 1000)


# --- the first system's four


def test_sc1_greets_without_keys_and_in_the_key_it_is_given(call):
    assert call("sc1.lua") == b"hello world"
    assert call("sc1.lua", ["greeting"]) == b"hello world"
    assert call.redis.mget("sc1", "greeting") == [b"hello world", b"hello world"]


def test_sc2_copies_what_was_dreamt(call):
    assert call("sc2.lua", ["dream"], "something", "set", "string") is None
    assert call.redis.get("sc2") == b"dream=something"


def test_sc3_keeps_the_last_hundred_ticks(call):
    for second in range(130):
        call("sc3.lua", [], second, "cron")
    ticks = call.redis.lrange("ttlLst", 0, -1)
    assert ticks == [str(second).encode() for second in range(129, 29, -1)]


def test_sc3_takes_the_servers_time_when_called_by_hand(call):
    before = call.now_ms() // 1000
    assert call("sc3.lua") == 1
    assert before <= int(call.redis.lindex("ttlLst", 0)) <= before + 2


def test_sc4_adds_a_line_to_its_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lua = LuaRuntime(encoding="latin-1")
    source = (SPROCS / "sc4.lua").read_text()
    run = lua.eval("function(source) return assert(loadstring(source, '@sc4.lua')) end")(
        "local KEYS, ARGV, sproc, require = ...; " + source
    )
    assert run(lua.table("file:1"), lua.table("one\x00\xff", "set", "string")) == len("file:1\tone\x00\xff\n")
    run(lua.table("file:2"), lua.table("", "rename_to", "string"))
    assert (tmp_path / "sc4.txt").read_bytes() == b"file:1\tone\x00\xff\nfile:2\t\n"


# --- rate limits


def test_sliding_window_lets_the_limit_through_and_says_when_to_come_back(call):
    hit = lambda: call("ratelimit/sliding_window.lua", ["calls"], 3, 250)  # noqa: E731
    assert [hit()[:2] for _ in range(3)] == [[1, 2], [1, 1], [1, 0]]
    allowed, remaining, retry_after_ms = hit()
    assert (allowed, remaining) == (0, 0)
    assert 0 < retry_after_ms <= 250
    sleep_ms(retry_after_ms + 1)
    assert hit()[0] == 1


def test_sliding_window_slides_and_its_far_edge_is_outside(call):
    now = call.now_ms()
    window_ms = 10_000
    call.redis.zadd("calls", {"gone": now - window_ms, "old": now - window_ms + 2_000, "new": now})
    assert call("ratelimit/sliding_window.lua", ["calls"], 3, window_ms)[:2] == [1, 0]
    assert call.redis.zscore("calls", "gone") is None
    allowed, _, retry_after_ms = call("ratelimit/sliding_window.lua", ["calls"], 3, window_ms)
    assert allowed == 0
    assert 0 < retry_after_ms <= 2_000
    cost_of_two = call("ratelimit/sliding_window.lua", ["calls"], 3, window_ms, 2)
    assert cost_of_two[0] == 0
    assert retry_after_ms < cost_of_two[2] <= window_ms


def test_sliding_window_counts_costs_all_or_nothing(call):
    assert call("ratelimit/sliding_window.lua", ["calls"], 5, 60_000, 3)[:2] == [1, 2]
    assert call("ratelimit/sliding_window.lua", ["calls"], 5, 60_000, 3)[:2] == [0, 2]
    assert call("ratelimit/sliding_window.lua", ["calls"], 5, 60_000, 2)[:2] == [1, 0]
    assert call.redis.zcard("calls") == 5
    assert 0 < call.redis.pttl("calls") <= 60_000


def test_sliding_window_survives_a_lower_limit_and_a_clock_put_back(call):
    for _ in range(4):
        call("ratelimit/sliding_window.lua", ["calls"], 4, 1_000)
    assert call("ratelimit/sliding_window.lua", ["calls"], 2, 1_000)[:2] == [0, 0]
    call.redis.zadd("calls", {"tomorrow": call.now_ms() + DAY_MS})
    assert call("ratelimit/sliding_window.lua", ["calls"], 2, 1_000)[:2] == [1, 1]


def test_token_bucket_bursts_then_refills(call):
    take = lambda cost=1: call("ratelimit/token_bucket.lua", ["bucket"], 3, 10, cost)  # noqa: E731
    assert take(3) == [1, 0, 0]
    allowed, remaining, retry_after_ms = take()
    assert (allowed, remaining) == (0, 0)
    assert 0 < retry_after_ms <= 100
    sleep_ms(retry_after_ms + 1)
    assert take()[0] == 1
    assert 0 < call.redis.pttl("bucket") <= 301


def test_token_bucket_never_holds_more_than_its_capacity(call):
    hours_ago = call.now_ms() - 3 * 60 * 60 * 1000
    call.redis.hset("bucket", mapping={"tokens": "1.5", "at_ms": hours_ago})
    assert call("ratelimit/token_bucket.lua", ["bucket"], 4, 10) == [1, 3, 0]


def test_token_bucket_adds_fractions_up(call):
    call.redis.hset("bucket", mapping={"tokens": "0", "at_ms": call.now_ms()})
    assert call("ratelimit/token_bucket.lua", ["bucket"], 1, "0.5")[0] == 0
    call.redis.hset("bucket", mapping={"tokens": "0.9999999999", "at_ms": call.now_ms()})
    assert call("ratelimit/token_bucket.lua", ["bucket"], 1, "0.001") == [1, 0, 0]


def test_token_bucket_stands_still_while_the_clock_is_back(call):
    call.redis.hset("bucket", mapping={"tokens": "1", "at_ms": call.now_ms() + DAY_MS})
    assert call("ratelimit/token_bucket.lua", ["bucket"], 5, 1)[:2] == [1, 0]
    assert call("ratelimit/token_bucket.lua", ["bucket"], 5, 1)[0] == 0


# --- locks


def test_a_lock_has_one_owner_and_its_tokens_grow(call):
    assert call("lock/acquire.lua", ["lock", "fence"], "ann", 5_000) == [1, 5_000]
    token, wait_ms = call("lock/acquire.lua", ["lock", "fence"], "bob", 5_000)
    assert token == 0
    assert 0 < wait_ms <= 5_000
    assert call("lock/acquire.lua", ["lock", "fence"], "ann", 9_000) == [1, 9_000]
    assert call("lock/release.lua", ["lock"], "ann", 1) == 1
    assert call("lock/acquire.lua", ["lock", "fence"], "bob", 5_000) == [2, 5_000]


def test_a_lock_that_ran_out_is_the_next_ones(call):
    call("lock/acquire.lua", ["lock", "fence"], "ann", 20)
    sleep_ms(30)
    assert call("lock/extend.lua", ["lock"], "ann", 1, 1_000) == 0
    assert call("lock/acquire.lua", ["lock", "fence"], "bob", 5_000) == [2, 5_000]
    assert call("lock/release.lua", ["lock"], "ann", 1) == 0
    assert call("lock/extend.lua", ["lock"], "ann", 1, 1_000) == 0
    assert call.redis.hgetall("lock") == {b"owner": b"bob", b"token": b"2"}


def test_a_lock_knows_an_earlier_hold_of_the_same_owner(call):
    call("lock/acquire.lua", ["lock", "fence"], "ann", 5_000)
    call("lock/release.lua", ["lock"], "ann", 1)
    call("lock/acquire.lua", ["lock", "fence"], "ann", 5_000)
    assert call("lock/release.lua", ["lock"], "ann", 1) == 0
    assert call("lock/extend.lua", ["lock"], "ann", 1, 5_000) == 0
    assert call("lock/release.lua", ["lock"], "ann", 2) == 1


def test_extend_gives_more_time_and_never_less(call):
    call("lock/acquire.lua", ["lock", "fence"], "ann", 1_000)
    assert 59_000 < call("lock/extend.lua", ["lock"], "ann", 1, 60_000) <= 60_000
    assert 59_000 < call("lock/extend.lua", ["lock"], "ann", 1, 5) <= 60_000


# --- idempotency


def test_a_request_is_claimed_once_and_answered_from_then_on(call):
    assert call("idempotency/claim.lua", ["pay:7"], "ann", 5_000) == [b"claimed", 5_000]
    status, wait_ms = call("idempotency/claim.lua", ["pay:7"], "bob", 5_000)
    assert status == b"running"
    assert 0 < wait_ms <= 5_000
    assert call("idempotency/claim.lua", ["pay:7"], "ann", 6_000) == [b"claimed", 6_000]
    assert call("idempotency/complete.lua", ["pay:7"], "bob", "stolen", 5_000) == 0
    assert call("idempotency/complete.lua", ["pay:7"], "ann", b"\x00ok\xff", 50_000) == 1
    assert call("idempotency/complete.lua", ["pay:7"], "ann", "other", 5) == 1
    for owner in ("ann", "bob"):
        assert call("idempotency/claim.lua", ["pay:7"], owner, 5_000) == [b"done", b"\x00ok\xff"]
    assert 49_000 < call.redis.pttl("pay:7") <= 50_000


def test_an_empty_result_is_a_result(call):
    call("idempotency/claim.lua", ["pay:7"], "ann", 5_000)
    call("idempotency/complete.lua", ["pay:7"], "ann", "", 5_000)
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 5_000) == [b"done", b""]


def test_a_dead_claimants_request_is_claimed_anew(call):
    call("idempotency/claim.lua", ["pay:7"], "ann", 20)
    sleep_ms(30)
    assert call("idempotency/complete.lua", ["pay:7"], "ann", "late", 5_000) == 0
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 5_000) == [b"claimed", 5_000]
    assert call("idempotency/complete.lua", ["pay:7"], "ann", "late", 5_000) == 0


def test_an_abandoned_request_is_free_but_a_result_stays(call):
    call("idempotency/claim.lua", ["pay:7"], "ann", 5_000)
    assert call("idempotency/abandon.lua", ["pay:7"], "bob") == 0
    assert call("idempotency/abandon.lua", ["pay:7"], "ann") == 1
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 5_000)[0] == b"claimed"
    call("idempotency/complete.lua", ["pay:7"], "bob", "paid", 5_000)
    assert call("idempotency/abandon.lua", ["pay:7"], "bob") == 0
    assert call("idempotency/claim.lua", ["pay:7"], "ann", 5_000) == [b"done", b"paid"]


def test_another_request_under_the_same_name_is_noticed(call):
    assert call("idempotency/claim.lua", ["pay:7"], "ann", 5_000, "sha-of-10-euros")[0] == b"claimed"
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 5_000, "sha-of-99-euros") == [b"mismatch", 0]
    call("idempotency/complete.lua", ["pay:7"], "ann", "paid", 5_000)
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 5_000, "sha-of-99-euros") == [b"mismatch", 0]
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 5_000, "sha-of-10-euros") == [b"done", b"paid"]


# --- leaderboards


def test_submit_ranks_with_ties_as_1_2_2_4(call):
    for member, score in (("ann", 90), ("bob", 80), ("cid", 80), ("dee", 70)):
        call("leaderboard/submit.lua", ["board"], member, score)
    ranks = [call("leaderboard/submit.lua", ["board"], member, 0)[0] for member in ("ann", "bob", "cid", "dee")]
    assert ranks == [1, 2, 2, 4]


def test_submit_keeps_the_best_the_last_or_the_sum(call):
    submit = lambda *arguments: call("leaderboard/submit.lua", ["board"], "ann", *arguments)  # noqa: E731
    assert submit(10) == [1, b"10", 1]
    assert submit(5) == [1, b"10", 0]
    assert submit(10, "last") == [1, b"10", 0]
    assert submit("-2.5", "last") == [1, b"-2.5", 1]
    assert submit("1e1", "add") == [1, b"7.5", 1]
    assert submit("7.25", "best") == [1, b"7.5", 0]
    assert submit(8, "best") == [1, b"8", 1]


def test_pages_share_ranks_across_their_edges_and_miss_nobody(call):
    scores = {"a": 50, "b": 40, "c": 40, "d": 40, "e": 30, "f": 30, "g": 10}
    call.redis.zadd("board", scores)
    for size in range(1, 9):
        rows = []
        for page in range(1, 9):
            total, found = call("leaderboard/page.lua", ["board"], page, size, ro=True)
            assert total == 7
            rows += found
        assert [row[0] for row in rows] == [1, 2, 2, 2, 5, 5, 7]
        assert [row[1] for row in rows] == [b"a", b"d", b"c", b"b", b"f", b"e", b"g"]
        assert [int(row[2]) for row in rows] == sorted(scores.values(), reverse=True)


def test_a_page_of_nothing_is_empty(call):
    assert call("leaderboard/page.lua", ["board"]) == [0, []]
    call.redis.zadd("board", {"ann": 1.5})
    assert call("leaderboard/page.lua", ["board"]) == [1, [[1, b"ann", b"1.5"]]]
    assert call("leaderboard/page.lua", ["board"], 2) == [1, []]
