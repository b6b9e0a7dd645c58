"""The sprocs in sprocs/, each on real servers through FCALL."""

from __future__ import annotations

import re
import shlex
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
from lupa.lua51 import LuaRuntime

from tests.live import make_live
from tests.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Server

SPROCS = ROOT / "sprocs"
DAY_MS = 24 * 60 * 60 * 1000


class Examples:
    def __init__(self, client: redis.Redis) -> None:
        self.redis: Any = client
        make_live(client, SPROCS)

    def __call__(self, name: str, keys: Sequence[str] = (), *arguments: object, ro: bool = False) -> Any:
        function = ("FCALL_RO", "luasprocs_execute_ro") if ro else ("FCALL", "luasprocs_execute")
        texts = [argument if isinstance(argument, bytes) else str(argument) for argument in arguments]
        return self.redis.execute_command(*function, len(keys), *keys, name, *texts)

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
    window_ms = 60_000
    hit = lambda: call("ratelimit/sliding_window.lua", ["calls"], 3, window_ms)  # noqa: E731
    assert [hit()[:2] for _ in range(3)] == [[1, 2], [1, 1], [1, 0]]
    allowed, remaining, retry_after_ms = hit()
    assert (allowed, remaining) == (0, 0)
    assert 0 < retry_after_ms <= window_ms
    for name, score_ms in call.redis.zrange("calls", 0, -1, withscores=True):  # so much later
        call.redis.zadd("calls", {name: score_ms - retry_after_ms})
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
        call("ratelimit/sliding_window.lua", ["calls"], 4, 60_000)
    assert call("ratelimit/sliding_window.lua", ["calls"], 2, 60_000)[:2] == [0, 0]
    call.redis.zadd("calls", {"tomorrow": call.now_ms() + DAY_MS})
    assert call("ratelimit/sliding_window.lua", ["calls"], 2, 60_000)[:2] == [1, 1]


def test_token_bucket_bursts_then_refills(call):
    take = lambda cost=1: call("ratelimit/token_bucket.lua", ["bucket"], 3, 0.01, cost)  # noqa: E731
    assert take(3) == [1, 0, 0]
    allowed, remaining, retry_after_ms = take()
    assert (allowed, remaining) == (0, 0)
    assert 0 < retry_after_ms <= 100_000
    call.redis.hincrby("bucket", "at_ms", -retry_after_ms)  # so much later
    assert take()[0] == 1
    assert 0 < call.redis.pttl("bucket") <= 300_001


def test_token_bucket_never_holds_more_than_its_capacity(call):
    hours_ago = call.now_ms() - 3 * 60 * 60 * 1000
    call.redis.hset("bucket", mapping={"tokens": "1.5", "at_ms": hours_ago})
    assert call("ratelimit/token_bucket.lua", ["bucket"], 4, 10) == [1, 3, 0]


def test_token_bucket_adds_fractions_up(call):
    call.redis.hset("bucket", mapping={"tokens": "0", "at_ms": call.now_ms()})
    assert call("ratelimit/token_bucket.lua", ["bucket"], 1, "0.001")[0] == 0
    call.redis.hset("bucket", mapping={"tokens": "0.9999999999", "at_ms": call.now_ms()})
    assert call("ratelimit/token_bucket.lua", ["bucket"], 1, "0.001") == [1, 0, 0]


def test_token_bucket_stands_still_while_the_clock_is_back(call):
    call.redis.hset("bucket", mapping={"tokens": "1", "at_ms": call.now_ms() + DAY_MS})
    assert call("ratelimit/token_bucket.lua", ["bucket"], 5, 0.001)[:2] == [1, 0]
    assert call("ratelimit/token_bucket.lua", ["bucket"], 5, 0.001)[0] == 0


# --- locks


def test_a_lock_has_one_owner_and_its_tokens_grow(call):
    assert call("lock/acquire.lua", ["lock", "fence"], "ann", 50_000) == [1, 50_000]
    token, wait_ms = call("lock/acquire.lua", ["lock", "fence"], "bob", 50_000)
    assert token == 0
    assert 0 < wait_ms <= 50_000
    assert call("lock/acquire.lua", ["lock", "fence"], "ann", 90_000) == [1, 90_000]
    assert call("lock/release.lua", ["lock"], "bob", 1) == 0
    assert call("lock/release.lua", ["lock"], "ann", 1) == 1
    assert call("lock/acquire.lua", ["lock", "fence"], "bob", 50_000) == [2, 50_000]


def test_a_lock_that_ran_out_is_the_next_ones(call):
    call("lock/acquire.lua", ["lock", "fence"], "ann", 20)
    sleep_ms(30)
    assert call("lock/extend.lua", ["lock"], "ann", 1, 1_000) == 0
    assert call("lock/acquire.lua", ["lock", "fence"], "bob", 50_000) == [2, 50_000]
    assert call("lock/release.lua", ["lock"], "ann", 1) == 0
    assert call("lock/extend.lua", ["lock"], "ann", 1, 1_000) == 0
    assert call.redis.hgetall("lock") == {b"owner": b"bob", b"token": b"2"}


def test_a_lock_knows_an_earlier_hold_of_the_same_owner(call):
    call("lock/acquire.lua", ["lock", "fence"], "ann", 50_000)
    call("lock/release.lua", ["lock"], "ann", 1)
    call("lock/acquire.lua", ["lock", "fence"], "ann", 50_000)
    assert call("lock/release.lua", ["lock"], "ann", 1) == 0
    assert call("lock/extend.lua", ["lock"], "ann", 1, 50_000) == 0
    assert call("lock/release.lua", ["lock"], "ann", 2) == 1


def test_extend_gives_more_time_and_never_less(call):
    call("lock/acquire.lua", ["lock", "fence"], "ann", 1_000_000)
    assert 1_900_000 < call("lock/extend.lua", ["lock"], "ann", 1, 2_000_000) <= 2_000_000
    assert 1_900_000 < call("lock/extend.lua", ["lock"], "ann", 1, 5) <= 2_000_000


# --- idempotency


def test_a_request_is_claimed_once_and_answered_from_then_on(call):
    assert call("idempotency/claim.lua", ["pay:7"], "ann", 50_000) == [b"claimed", 50_000]
    status, wait_ms = call("idempotency/claim.lua", ["pay:7"], "bob", 50_000)
    assert status == b"running"
    assert 0 < wait_ms <= 50_000
    assert call("idempotency/claim.lua", ["pay:7"], "ann", 60_000) == [b"claimed", 60_000]
    assert call("idempotency/complete.lua", ["pay:7"], "bob", "stolen", 50_000) == 0
    assert call("idempotency/complete.lua", ["pay:7"], "ann", b"\x00ok\xff", 500_000) == 1
    assert call("idempotency/complete.lua", ["pay:7"], "ann", "other", 5) == 1
    for owner in ("ann", "bob"):
        assert call("idempotency/claim.lua", ["pay:7"], owner, 50_000) == [b"done", b"\x00ok\xff"]
    assert 400_000 < call.redis.pttl("pay:7") <= 500_000


def test_an_empty_result_is_a_result(call):
    call("idempotency/claim.lua", ["pay:7"], "ann", 50_000)
    call("idempotency/complete.lua", ["pay:7"], "ann", "", 50_000)
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 50_000) == [b"done", b""]


def test_a_dead_claimants_request_is_claimed_anew(call):
    call("idempotency/claim.lua", ["pay:7"], "ann", 20)
    sleep_ms(30)
    assert call("idempotency/complete.lua", ["pay:7"], "ann", "late", 50_000) == 0
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 50_000) == [b"claimed", 50_000]
    assert call("idempotency/complete.lua", ["pay:7"], "ann", "late", 50_000) == 0


def test_an_abandoned_request_is_free_but_a_result_stays(call):
    call("idempotency/claim.lua", ["pay:7"], "ann", 50_000)
    assert call("idempotency/abandon.lua", ["pay:7"], "bob") == 0
    assert call("idempotency/abandon.lua", ["pay:7"], "ann") == 1
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 50_000)[0] == b"claimed"
    call("idempotency/complete.lua", ["pay:7"], "bob", "paid", 50_000)
    assert call("idempotency/abandon.lua", ["pay:7"], "bob") == 0
    assert call("idempotency/claim.lua", ["pay:7"], "ann", 50_000) == [b"done", b"paid"]


def test_another_request_under_the_same_name_is_noticed(call):
    assert call("idempotency/claim.lua", ["pay:7"], "ann", 50_000, "sha-of-10-euros")[0] == b"claimed"
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 50_000, "sha-of-99-euros") == [b"mismatch", 0]
    call("idempotency/complete.lua", ["pay:7"], "ann", "paid", 50_000)
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 50_000, "sha-of-99-euros") == [b"mismatch", 0]
    assert call("idempotency/claim.lua", ["pay:7"], "bob", 50_000, "sha-of-10-euros") == [b"done", b"paid"]


# --- leaderboards


def test_submit_ranks_with_ties_as_1_2_2_4(call):
    for member, score in (("ann", 90), ("bob", 80), ("cid", 80), ("dee", 70)):
        call("leaderboard/submit.lua", ["board"], member, score)
    ranks = [call("leaderboard/submit.lua", ["board"], who, 0)[0] for who in ("ann", "bob", "cid", "dee")]
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


# --- inventory

STOCK = ["{shop}:stock", "{shop}:reservations", "{shop}:deadlines"]


@pytest.fixture
def shop(call: Examples) -> Examples:
    call.redis.hset(STOCK[0], mapping={"apple": 5, "pear": 2})
    return call


def in_stock(call: Examples) -> dict[bytes, bytes]:
    stock: dict[bytes, bytes] = call.redis.hgetall(STOCK[0])
    return stock


def test_a_reservation_takes_all_its_items_until_its_deadline(shop):
    before = shop.now_ms()
    status, deadline_ms = shop("inventory/reserve.lua", STOCK, "o1", 50_000, "apple", 3, "pear", 2)
    assert status == b"reserved"
    assert before + 50_000 <= deadline_ms <= shop.now_ms() + 50_000
    assert in_stock(shop) == {b"apple": b"2", b"pear": b"0"}


def test_a_reservation_with_one_item_short_takes_none(shop):
    asked = ("apple", 5, "pear", 3, "plum", 1)
    short = [b"short", [b"pear", 3, 2], [b"plum", 1, 0]]
    assert shop("inventory/reserve.lua", STOCK, "o1", 50_000, *asked) == short
    assert in_stock(shop) == {b"apple": b"5", b"pear": b"2"}
    assert shop.redis.exists(*STOCK[1:]) == 0


def test_the_same_reservation_again_changes_nothing(shop):
    first = shop("inventory/reserve.lua", STOCK, "o1", 50_000, "apple", 3, "pear", 1)
    assert shop("inventory/reserve.lua", STOCK, "o1", 90_000, "pear", 1, "apple", 3) == first
    for others in (("apple", 3), ("apple", 3, "pear", 2), ("apple", 3, "pear", 1, "plum", 1)):
        with pytest.raises(redis.ResponseError, match=r"reserve\.lua: id \(ARGV\[1\]\) must be new"):
            shop("inventory/reserve.lua", STOCK, "o1", 50_000, *others)
    assert in_stock(shop) == {b"apple": b"2", b"pear": b"1"}


def test_a_released_reservation_comes_back_once(shop):
    shop("inventory/reserve.lua", STOCK, "o1", 50_000, "apple", 3, "pear", 1)
    assert shop("inventory/release.lua", STOCK, "o1") == 1
    assert shop("inventory/release.lua", STOCK, "o1") == 0
    assert shop("inventory/confirm.lua", STOCK, "o1") == 0
    assert in_stock(shop) == {b"apple": b"5", b"pear": b"2"}


def test_a_confirmed_reservation_never_comes_back(shop):
    shop("inventory/reserve.lua", STOCK, "o1", 50_000, "apple", 3)
    assert shop("inventory/confirm.lua", STOCK, "o1") == 1
    assert shop("inventory/confirm.lua", STOCK, "o1") == 0
    assert shop.redis.exists(*STOCK[1:]) == 0
    assert shop("inventory/release.lua", STOCK, "o1") == 0
    assert in_stock(shop) == {b"apple": b"2", b"pear": b"2"}


def test_an_overdue_reservation_is_void_and_back_for_the_next_one(shop):
    shop("inventory/reserve.lua", STOCK, "o1", 50_000, "apple", 5)
    assert shop("inventory/reserve.lua", STOCK, "o2", 50_000, "apple", 1)[0] == b"short"
    shop.redis.zadd(STOCK[2], {"o1": shop.now_ms()})  # its time is over
    assert shop("inventory/confirm.lua", STOCK, "o1") == 0
    assert in_stock(shop)[b"apple"] == b"5"
    assert shop("inventory/reserve.lua", STOCK, "o1", 50_000, "apple", 4)[0] == b"reserved"
    assert in_stock(shop)[b"apple"] == b"1"


def test_more_overdue_reservations_than_one_sweep_takes_are_still_void(shop):
    ids = [f"o{n:04}" for n in range(1_001)]
    shop.redis.hset(STOCK[1], mapping=dict.fromkeys(ids, '{"pear":1}'))
    shop.redis.zadd(STOCK[2], dict.fromkeys(ids, 1))
    assert shop("inventory/reserve.lua", STOCK, ids[-1], 50_000, "pear", 3)[0] == b"reserved"
    assert in_stock(shop)[b"pear"] == b"1000"  # 2, and 1001 back, less 3
    assert shop.redis.hkeys(STOCK[1]) == [ids[-1].encode()]


def test_a_stock_that_is_no_number_is_refused_before_anything_is_taken(shop):
    shop.redis.hset(STOCK[0], "pear", "many")
    with pytest.raises(redis.ResponseError, match=r"inventory/reserve\.lua: the stock .* must be an integer"):
        shop("inventory/reserve.lua", STOCK, "o1", 50_000, "apple", 1, "pear", 1)
    assert in_stock(shop)[b"apple"] == b"5"


def test_items_of_any_bytes_come_back(shop):
    item = b'\x00"\\\xff\n{}'
    shop.redis.hset(STOCK[0], item, 1)
    assert shop("inventory/reserve.lua", STOCK, b"\xfe", 50_000, item, 1)[0] == b"reserved"
    assert shop("inventory/release.lua", STOCK, b"\xfe") == 1
    assert shop.redis.hget(STOCK[0], item) == b"1"


# --- cache

CACHED = ["{page}:value", "{page}:lease"]


def test_one_computes_while_the_others_wait(call):
    assert call("cache/get_or_lease.lua", CACHED, "ann", 50_000) == [b"lease", None, 50_000]
    status, value, wait_ms = call("cache/get_or_lease.lua", CACHED, "bob", 50_000)
    assert (status, value) == (b"wait", None)
    assert 0 < wait_ms <= 50_000
    assert call("cache/get_or_lease.lua", CACHED, "ann", 60_000) == [b"lease", None, 60_000]
    assert call("cache/fill.lua", CACHED, "bob", "stolen", 50_000, 0) == 0
    assert call("cache/fill.lua", CACHED, "ann", b"\x00page\xff", 50_000, 0) == 1
    status, value, fresh_ms = call("cache/get_or_lease.lua", CACHED, "bob", 50_000)
    assert (status, value) == (b"fresh", b"\x00page\xff")
    assert 0 < fresh_ms <= 50_000


def test_one_computes_anew_while_the_others_get_the_stale_value(call):
    call("cache/get_or_lease.lua", CACHED, "ann", 50_000)
    call("cache/fill.lua", CACHED, "ann", "", 60_000, 60_000)
    call.redis.hset(CACHED[0], "fresh_until_ms", call.now_ms())  # so much later
    assert call("cache/get_or_lease.lua", CACHED, "bob", 50_000) == [b"lease", b"", 50_000]
    assert call("cache/get_or_lease.lua", CACHED, "cid", 50_000)[:2] == [b"stale", b""]
    assert call("cache/fill.lua", CACHED, "bob", "new", 50_000, 0) == 1
    assert call("cache/get_or_lease.lua", CACHED, "cid", 50_000)[:2] == [b"fresh", b"new"]


def test_a_dead_ones_lease_goes_to_the_next_and_its_late_value_nowhere(call):
    call("cache/get_or_lease.lua", CACHED, "ann", 20)
    sleep_ms(30)
    assert call("cache/get_or_lease.lua", CACHED, "bob", 50_000)[0] == b"lease"
    assert call("cache/fill.lua", CACHED, "ann", "late", 50_000, 0) == 0
    assert call("cache/fill.lua", CACHED, "bob", "right", 50_000, 0) == 1


def test_a_value_computed_before_an_invalidation_is_not_stored(call):
    call("cache/get_or_lease.lua", CACHED, "ann", 50_000)
    call.redis.delete(*CACHED)
    assert call("cache/fill.lua", CACHED, "ann", "old", 50_000, 0) == 0
    assert call.redis.exists(*CACHED) == 0


def test_a_value_is_gone_after_its_stale_time(call):
    call("cache/get_or_lease.lua", CACHED, "ann", 50_000)
    call("cache/fill.lua", CACHED, "ann", "page", 10, 10)
    sleep_ms(30)
    assert call("cache/get_or_lease.lua", CACHED, "bob", 50_000) == [b"lease", None, 50_000]


# --- what bad calls get

LONG = "9" * 60
BAD_CALLS: list[tuple[str, list[str], tuple[object, ...], str]] = [
    ("ratelimit/sliding_window.lua", [], (3, 1000), "calls (KEYS[1]) is missing"),
    ("ratelimit/sliding_window.lua", [""], (3, 1000), "calls (KEYS[1]) must not be empty"),
    ("ratelimit/sliding_window.lua", ["k"], (0, 1000), "an integer from 1 to 100000, not '0'"),
    ("ratelimit/sliding_window.lua", ["k"], (3,), "window_ms (ARGV[2]) must be an integer"),
    ("ratelimit/sliding_window.lua", ["k"], (3, 9, 4), "cost (ARGV[3]) must be an integer from 1 to 3"),
    ("ratelimit/sliding_window.lua", ["k", "l"], (3, 9), "takes no KEYS[2], but it got 2 keys"),
    ("ratelimit/sliding_window.lua", ["k"], (3, 9, 1, 1), "takes no ARGV[4], but it got 4 arguments"),
    ("ratelimit/token_bucket.lua", ["k"], ("0x10", 1), "capacity (ARGV[1]) must be an integer"),
    ("ratelimit/token_bucket.lua", ["k"], (1, "nan"), "(ARGV[2]) must be a number from 0.001 to 1000000"),
    ("ratelimit/token_bucket.lua", ["k"], (1, "inf"), "refill_per_s (ARGV[2])"),
    ("ratelimit/token_bucket.lua", ["k"], (1, "1e999"), "refill_per_s (ARGV[2])"),
    ("ratelimit/token_bucket.lua", ["k"], (1, 1, 2), "cost (ARGV[3]) must be an integer from 1 to 1"),
    ("lock/acquire.lua", ["k"], ("ann", 5), "fence (KEYS[2]) is missing"),
    ("lock/acquire.lua", ["k", "k"], ("ann", 5), "fence (KEYS[2]) must differ from KEYS[1]"),
    ("lock/acquire.lua", ["k", "f"], ("", 5), "owner (ARGV[1]) must be a text that is not empty, not ''"),
    ("lock/acquire.lua", ["k", "f"], ("ann", "a\r\nb\x1b\xff"), "ttl_ms (ARGV[2]) must be an integer"),
    (
        "lock/acquire.lua",
        ["k", "f"],
        ("ann", "1.5"),
        "ttl_ms (ARGV[2]) must be an integer from 1 to 86400000, not '1.5'",
    ),
    ("lock/acquire.lua", ["k", "f"], ("ann", LONG), "not '9999999999999999999999999999999999999999'..."),
    ("lock/extend.lua", ["k"], ("ann", 0, 5), "token (ARGV[2]) must be an integer from 1"),
    ("lock/release.lua", ["k"], ("ann",), "token (ARGV[2])"),
    ("idempotency/claim.lua", ["k"], ("ann", -1), "lease_ms (ARGV[2])"),
    ("idempotency/complete.lua", ["k"], ("ann",), "result (ARGV[2]) must be a value and is missing"),
    ("idempotency/abandon.lua", ["k"], (), "owner (ARGV[1])"),
    ("leaderboard/submit.lua", ["k"], ("ann", "ten"), "score (ARGV[2]) must be a number"),
    ("leaderboard/submit.lua", ["k"], ("ann", 1, "worst"), "mode (ARGV[3]) must be one of best, last, add"),
    ("leaderboard/page.lua", ["k"], (0,), "page (ARGV[1])"),
    ("leaderboard/page.lua", ["k"], (1, 1001), "size (ARGV[2]) must be an integer from 1 to 1000"),
    ("inventory/reserve.lua", STOCK[:2], ("o1", 5, "apple", 1), "deadlines (KEYS[3]) is missing"),
    ("inventory/reserve.lua", STOCK, ("o1", 5), "item (ARGV[3])"),
    ("inventory/reserve.lua", STOCK, ("o1", 5, "apple"), "quantity (ARGV[4]) must be an integer"),
    ("inventory/reserve.lua", STOCK, ("o1", 5, "apple", 0), "quantity (ARGV[4])"),
    ("inventory/reserve.lua", STOCK, ("o1", 5, "pear", 1, "pear", 1), "item (ARGV[5]) must be another"),
    ("inventory/release.lua", STOCK, ("",), "id (ARGV[1])"),
    ("inventory/confirm.lua", STOCK, (), "id (ARGV[1])"),
    ("cache/get_or_lease.lua", ["v"], ("ann", 5), "lease (KEYS[2]) is missing"),
    ("cache/fill.lua", CACHED, ("ann", "x", 5), "stale_ms (ARGV[4]) must be an integer from 0"),
]


def test_bad_calls_name_the_sproc_and_the_argument_and_change_nothing(call):
    before = call.redis.dbsize()
    for name, keys, arguments, expected in BAD_CALLS:
        with pytest.raises(redis.ResponseError) as raised:
            call(name, keys, *arguments)
        assert f"{name}: " in str(raised.value)
        assert expected in str(raised.value), (name, keys, arguments)
        assert str(raised.value).isprintable()
    assert call.redis.dbsize() == before


@pytest.mark.parametrize(
    ("name", "keys", "arguments"),
    [
        ("lock/acquire.lua", ["text", "fence"], ("ann", 5_000)),
        ("lock/acquire.lua", ["lock", "list"], ("ann", 5_000)),
        ("idempotency/claim.lua", ["text"], ("ann", 5_000)),
        ("ratelimit/sliding_window.lua", ["text"], (3, 1_000)),
        ("ratelimit/token_bucket.lua", ["text"], (3, 1)),
        ("leaderboard/submit.lua", ["text"], ("ann", 1)),
        ("inventory/reserve.lua", ["text", "reservations", "deadlines"], ("o1", 5, "apple", 1)),
        ("cache/get_or_lease.lua", ["text", "lease"], ("ann", 5_000)),
    ],
)
def test_a_key_of_another_type_is_refused_and_left_alone(call, name, keys, arguments):
    call.redis.set("text", "mine")
    call.redis.rpush("list", "mine")
    before = call.redis.dbsize()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        call(name, keys, *arguments)
    assert call.redis.get("text") == b"mine"
    assert call.redis.dbsize() == before


# --- docs/examples.md

PAGE = (ROOT / "docs" / "examples.md").read_text(encoding="utf-8")


def test_the_page_has_every_example():
    names = {path.relative_to(SPROCS).as_posix() for path in SPROCS.rglob("*.lua")}
    assert {name for name in names if f"`{name}`" not in PAGE} == set()


def shown() -> list[tuple[str, str]]:
    """Each `$ redis-cli …` of the page, and the pattern of its answer: `...` stands for what differs from run to run."""
    found = re.findall(r"^\$ redis-cli (.+)\n((?:(?!\$ |```).+\n)*)", PAGE, re.MULTILINE)
    assert len(found) > 30
    return [(command, re.escape(answer.strip()).replace(r"\.\.\.", ".+")) for command, answer in found]


def test_the_page_shows_what_redis_cli_answers(server):
    make_live(server.client(), SPROCS)
    for command, pattern in shown():
        got = server.cli("--no-raw", *shlex.split(command)).strip()
        assert re.fullmatch(pattern, got), f"redis-cli {command}\n{got}"
