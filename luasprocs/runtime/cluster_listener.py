"""The event connection to a node of a cluster, which tells what clients write from what a migration imports.

A node publishes what an atomic slot migration of Valkey brings as if it were written there, before the slot is its own. So events
of slots that are not its own are held until it has said which are: on this connection, thereby in the order of execution.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import hiredis
from redis import exceptions

from luasprocs.runtime.listener import Listener
from luasprocs.runtime.log import log
from luasprocs.runtime.numbering import OWN
from luasprocs.runtime.wire import packed, raised
from luasprocs.server.errors import is_busy
from luasprocs.server.served_slots import ServedSlots
from luasprocs.server.slots import slot_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from luasprocs.contract.keys import Keys
    from luasprocs.runtime.listener import Control
    from luasprocs.runtime.numbering import Numbering, Tick
    from luasprocs.runtime.source import Source

AHEAD_S = 0.25
"""For how long questions are sent ahead: the node answers at its own pace, however long the daemon waits for its turn."""
REST = 1 / 1000
"""Between two of them, as a part of the time that migrations have gone on: what comes in the last such part can't be told."""
REST_SHORTEST_S, REST_LONGEST_S = 0.001, 0.01
LOOK_EVERY_S = 0.025
"""How often the node is asked how much has come by migrations, and gone: something does before the first key."""
QUIET_S = 1.0
"""Without an event for so long, nothing is asked between ticks: what an import brings begins with an event."""
OVER_S = 1.5
"""A migration is over if nothing has come for so long; the next one begins with short rests."""
LATE_BYTES = 4096
"""Of a migration, between the last answer without a slot and the first one with it: so much has come that the daemon was late."""
_QUESTION = packed("CLUSTER", "NODES") + packed("INFO", "STATS")
_MOVED = re.compile(rb"^total_net_cluster_slot_(im|ex)port_bytes:(\d+)", re.MULTILINE)


class _ForeignError(Exception):
    """An event of a slot that is not this node's, as far as is known."""


class _Between(NamedTuple):
    """What two answers say. `returning`: for each slot whether it may have left and been on its way back."""

    before: ServedSlots
    after: ServedSlots
    returning: bytes


class ClusterListener(Listener):
    """RESP3: a subscribed connection may send commands, and gets their replies in order with the messages."""

    def __init__(self) -> None:
        super().__init__()
        self._served: ServedSlots | None = None
        self._nodes: Any = None
        self._imported = b""
        self._held: list[Any] | None = None
        self._passed: list[int] = []
        self._late: list[Callable[[], None]] = []
        self._asked, self._ahead = 0, 0
        self._rests = True
        self._import_s = self._until_s = 0.0
        self._stirs = asyncio.Event()

    def attach(self, keys: Keys, numbering: Numbering, control: Control) -> None:
        super().attach(keys, numbering, control)
        self._never = keys.canary("never")

    @property
    def holds(self) -> bool:
        return self._held is not None

    async def subscribe_control(self) -> None:
        notice, self.receive = self.receive, self._answer
        try:
            raised(await self.call("HELLO", 3))
            self.receive = self._received
            self._served = ServedSlots.parse(await self.call("CLUSTER", "NODES"))
            self._event = self._sift
        except exceptions.ResponseError as error:
            if is_busy(error):
                raise
            self.receive = notice
            log.warning("what a migration of slots imports can't be told from what is written: %s", error)
        await super().subscribe_control()

    def _received(self, message: Any) -> None:
        if not isinstance(message, hiredis.PushNotification):
            self._replied(message)
        else:
            self._resumed(message)

    def _resumed(self, message: Any) -> None:
        if self._held is not None or self._late:
            self._hold(message)
            return
        try:
            self.notice(message)
        except _ForeignError:
            self._hold(message)

    def _hold(self, message: Any) -> None:
        self._stirs.set()
        self._held = self._held or []
        self._held.append(message)
        self._ask_ahead()

    def _replied(self, message: Any) -> None:
        """Without a question it is the refusal of a subscription."""
        if self._handlers:
            self._answer(message)
        else:
            self.notice(message)

    def _ticked(self, tick: Tick) -> None:
        super()._ticked(tick)
        if self._served is not None and not self._asked:
            self._ask()

    async def watch(self, command: Callable[..., Awaitable[Any]]) -> None:
        """While there are events, asks as soon as slots come or go; a server that doesn't count what it moves has none.

        `command`: sends one on another connection.
        """
        loop, before = asyncio.get_running_loop(), dict[bytes, bytes]()
        heard_s = loop.time()
        while self._served is not None:
            if self._stirs.is_set():
                self._stirs.clear()
                heard_s = loop.time()
            elif before and loop.time() - max(heard_s, self._until_s) > QUIET_S:
                await self._stirs.wait()
            try:
                moved = dict(_MOVED.findall(await command("INFO", "STATS")))
            except exceptions.ResponseError as error:
                if not is_busy(error):
                    raise
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            if not moved:
                return
            if before and moved[b"im"] != before[b"im"]:
                self._import_s = loop.time() if loop.time() > self._until_s else self._import_s
                self._until_s = loop.time() + OVER_S
            if loop.time() < self._until_s:
                self._ask_ahead()
            elif moved != before and not self._asked:
                self._ask()
            before = moved
            await asyncio.sleep(LOOK_EVERY_S)

    def _ask_ahead(self) -> None:
        """Asks again and again; a command that waits in vain makes the rests."""
        if self._asked > self._ahead // 2:
            return
        now_s = asyncio.get_running_loop().time()
        taken_s = now_s - self._import_s if now_s < self._until_s else 0
        rest_s = max(REST_SHORTEST_S, min(REST_LONGEST_S, taken_s * REST))
        rest = packed("BLPOP", self._never, f"{rest_s:.3f}")
        self._ahead = int(AHEAD_S / rest_s) if self._rests else 0
        self._ask()
        for _ in range(self._ahead):
            self.send(rest, self._rested)
            self._ask()

    def _ask(self) -> None:
        self._asked += 1
        self.send(_QUESTION, self._told_nodes, self._told)

    def _rested(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError) and not _is_refused(reply):
            self._rests = False

    def _told_nodes(self, reply: Any) -> None:
        self._nodes = reply

    def _told(self, stats: Any) -> None:
        self._asked -= 1
        if _is_refused(self._nodes) or _is_refused(stats):  # what is held waits for the next answer
            return
        if not isinstance(self._nodes, bytes) or not isinstance(stats, bytes):
            if self.open:
                self.close(exceptions.ResponseError(str(self._nodes)))
            return
        before, after = self._served, ServedSlots.parse(self._nodes)
        came, imported = self._imported, dict(_MOVED.findall(stats)).get(b"im", b"")
        self._served, self._imported = after, imported
        if before is not None and before.here != after.here:
            self._import_s = asyncio.get_running_loop().time()  # the next migration begins with short rests
        held, self._held = self._held or [], None
        passed, self._passed = self._passed, []
        if before is None:
            return
        settle = partial(self._settle, before, after, held, passed if imported != came else None)
        if self._late:
            self._late.append(settle)
        elif before.here != after.here and int(imported or 0) - int(came or 0) > LATE_BYTES:
            self._late.append(settle)
            assert self._control is not None  # noqa: S101  # nothing was subscribed before
            self._control.late(self._settle_late)
        else:
            settle()

    def _settle_late(self) -> None:
        late, self._late = self._late, []
        if self.open:
            for settle in late:
                settle()
            self.flushed()

    def _settle(self, before: ServedSlots, after: ServedSlots, held: list[Any], passed: list[int] | None) -> None:
        """What came between two answers. `passed`: the slots of events that were not held; None if nothing migrated here."""
        between = _Between(before, after, before.returning(after))
        unclear = [slot for slot in passed or () if between.returning[slot]]
        since_ms = self._numbering.now.ms if self._numbering.now else 0
        self._event = partial(self._judge, between, unclear)
        for message in held:
            self.notice(message)
        self._event = self._sift
        if unclear and passed is not None and self._control is not None:
            self._control.unclear(unclear, since_ms)

    def _sift(self, source: Source, key: bytes, event: bytes) -> None:
        assert self._served is not None  # noqa: S101  # nothing was subscribed before
        slot = slot_of(key)
        if not self._served.here[slot] and OWN not in key:
            raise _ForeignError
        if not self._passed:
            self._stirs.set()
        self._passed.append(slot)
        self._numbering.event(source, key, event)

    def _judge(self, between: _Between, unclear: list[int], source: Source, key: bytes, event: bytes) -> None:
        """An event between two answers."""
        slot, (before, after, returning) = slot_of(key), between
        new = not before.here[slot] and OWN not in key
        if new and not after.here[slot] and not before.had_between(slot, after):
            self._numbering.pass_over(source)
            return
        if (new or returning[slot]) and source.binding.match(key, event):
            unclear.append(slot)
        self._numbering.event(source, key, event)


def _is_refused(reply: Any) -> bool:
    """Whether the node is busy with a script: it answers with the next tick, if not before."""
    return isinstance(reply, hiredis.ReplyError) and is_busy(reply)
