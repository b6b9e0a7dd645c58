"""Who hears a shard, and when a daemon may stop: against a real server, with heartbeats written by hand."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luasprocs.contract.keys import Keys
from luasprocs.contract.limits import LEASE_MS
from luasprocs.runtime.bindings import Bindings, binding_of
from luasprocs.runtime.late import until_judged
from luasprocs.runtime.link import Address, Link
from luasprocs.runtime.listeners import Listeners, chosen
from luasprocs.runtime.log_once import LogOnce
from luasprocs.runtime.numbering import Numbering
from tests.live import put, sproc

SOURCE = "__keyevent@0__:set"
ME = "me"
BETTER = [name for name in map(str, range(100)) if chosen(Keys().daemons, (ME, name), 1) == {name}][:2]
WORSE = next(name for name in map(str, range(100)) if chosen(Keys().daemons, (ME, name), 1) == {ME})
NAMES = st.integers(0, 1000).map(str)


class Others:
    """What other daemons say on the server; `tick`: where the watermark of the one source is."""

    def __init__(self, client, link):
        self.client = client
        self.numbering = Numbering()
        self.numbering.bind(Bindings("1", {SOURCE.encode(): binding_of(SOURCE.encode(), ())}))
        self.changes = 0
        self.listeners = Listeners(link, self.numbering, 2, self._changed)
        self._ms = 0
        for _ in range(10):
            epoch, self.tick = client.fcall("luasprocs_tick", 0, 1, 1)
        self.epoch = epoch.decode()
        self.reach(self.tick)
        self.beat(ME)

    def _changed(self):
        self.changes += 1

    def reach(self, tick):
        self.client.hset(Keys().events, SOURCE, f"{tick} 0 1")

    def beat(self, *names, late_ms=0, **other):
        """Each heartbeat is later than all before it."""
        seconds, microseconds = self.client.time()
        self._ms = max(self._ms + 1, seconds * 1000 + microseconds // 1000 - late_ms)
        for name in names:
            said = {"epoch": self.epoch, "covers": {SOURCE: self.tick}, **other}
            self.client.hset(Keys().daemons, name, f"{self._ms} {self.tick if not late_ms else 0} {json.dumps(said)}")

    async def hears(self):
        await self.listeners._look()
        return self.listeners.hears


@pytest.fixture
async def others(server):
    client = server.client()
    put(client, sproc("a.lua", "return 1"))
    opened = await Link.open(Address(server.url, Keys(), 0), ME, LogOnce())
    yield Others(client, opened)
    opened.close()
    await asyncio.sleep(0)  # the loop closes the sockets


async def test_it_leaves_once_two_better_ones_have_been_seen_alive_and_comes_back_for_one_that_stopped(others):
    others.beat(*BETTER)
    assert await others.hears(), "they may have died since"
    assert await others.hears()
    others.beat(BETTER[0])
    assert await others.hears(), "one of them may have died since"
    others.beat(*BETTER)
    assert not await others.hears()
    assert others.changes == 1
    others.beat(*BETTER)
    assert not await others.hears()
    others.client.hdel(Keys().daemons, BETTER[0])
    assert await others.hears()
    assert others.changes == 2


async def test_it_comes_back_when_the_lease_of_one_is_over(others):
    for _ in range(2):
        others.beat(*BETTER)
        await others.hears()
    assert not others.listeners.hears
    others.client.hset(Keys().events, "tick", others.tick + 10)
    others._ms = 0
    others.beat(BETTER[0], late_ms=LEASE_MS)
    assert await others.hears()


async def test_worse_ones_take_nobodys_place(others):
    for _ in range(2):
        others.beat(BETTER[0], WORSE)
        assert await others.hears()


@pytest.mark.parametrize(
    "said", [{"covers": {}}, {"covers": {SOURCE: 1_000_000}}, {"epoch": "another"}, {"covers": {"other": 0}}]
)
async def test_it_stays_while_one_does_not_number_what_has_not_run(others, said):
    for _ in range(3):
        others.beat(BETTER[0])
        others.beat(BETTER[1], **said)
        assert await others.hears()


async def test_it_stays_until_what_ran_reaches_where_they_began(others):
    others.reach(others.tick - 1)
    for _ in range(3):
        others.beat(*BETTER)
        assert await others.hears()
    others.reach(others.tick)
    assert not await others.hears()


async def test_it_stays_while_a_new_generation_is_read(others):
    others.numbering.hold()
    for _ in range(3):
        others.beat(*BETTER)
        assert await others.hears()


@given(st.sets(NAMES, min_size=1), NAMES, st.integers(1, 4))
def test_one_that_comes_takes_the_place_of_one_at_most(daemons, newcomer, count):
    before, after = chosen("shard", daemons, count), chosen("shard", daemons | {newcomer}, count)
    assert len(before) == min(count, len(daemons))
    assert after - before <= {newcomer}
    assert len(before - after) <= 1


def test_shards_spread_over_daemons():
    daemons = [f"daemon-{number}" for number in range(10)]
    heard = [name for shard in range(300) for name in chosen(f"shard-{shard}", daemons, 2)]
    assert all(30 <= heard.count(name) <= 90 for name in daemons)


async def test_who_was_late_waits_for_the_watermark_of_one_that_was_not(others):
    async def waits():
        waiting = asyncio.ensure_future(until_judged(others.listeners._link, (SOURCE.encode(),), 3.0))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        return None if done else waiting

    assert await waits() is None, "nobody else hears the shard"
    others.beat(BETTER[0])
    waiting = await waits()
    assert waiting is not None
    others.reach(others.tick + 1)
    await asyncio.wait_for(waiting, 1)
    others.reach(others.tick)
    waiting = await waits()
    assert waiting is not None
    others.client.hdel(Keys().daemons, BETTER[0])
    await asyncio.wait_for(waiting, 1)
