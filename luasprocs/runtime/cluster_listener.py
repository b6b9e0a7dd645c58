"""The event connection to a node of a cluster, which tells what clients write from what a migration imports.

A node publishes what an atomic slot migration of Valkey brings as if it were written there, before the slot is its own. So events
of slots that are not its own are held until it has said which are: on this connection, thereby in the order of execution.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import hiredis
from redis import exceptions

from luasprocs.runtime.listener import Listener
from luasprocs.runtime.log import log
from luasprocs.runtime.numbering import OWN
from luasprocs.runtime.questions import Questions
from luasprocs.runtime.source import Published
from luasprocs.runtime.wire import raised
from luasprocs.server.errors import is_busy
from luasprocs.server.served_slots import ServedSlots
from luasprocs.server.slots import slot_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from luasprocs.contract.keys import Keys
    from luasprocs.runtime.brought import Brought
    from luasprocs.runtime.imports import Import
    from luasprocs.runtime.listener import Control
    from luasprocs.runtime.numbering import Numbering, Tick
    from luasprocs.runtime.source import Source

LATE_BYTES = 4096
"""Of a migration, between the last answer without a slot and the first one with it: so much has come that the daemon was late."""


class _ForeignError(Exception):
    """An event of a slot that is not this node's, as far as is known."""

    def __init__(self, slot: int) -> None:
        self.slot = slot


@dataclass(slots=True)
class _Step:
    """What came between two answers. `passed`: the slots of events that were not held; None if nothing migrated here.

    `migration`: under way then; `late`: more has come by it than can be judged. `weighed`: whether what is known of it was
    asked for.
    """

    before: ServedSlots
    after: ServedSlots
    held: list[Any]
    passed: list[int] | None
    migration: Import | None
    late: bool
    weighed: bool = False
    brought: Brought | None = None
    """When its slots have come, and more than that they have is known."""
    returning: bytes = b""
    """For each slot whether it may have left and been on its way back."""
    unclear: list[int] = field(default_factory=list)
    """The slots of what may run twice."""
    left: int = 0
    """Of its first events so many were brought."""

    @property
    def comes(self) -> bool:
        """Whether slots have come."""
        return bool(int.from_bytes(self.after.here) & ~int.from_bytes(self.before.here))

    def is_new(self, slot: int, key: bytes) -> bool:
        """Whether an event was none of the node's own at first."""
        return not self.before.here[slot] and OWN not in key


class ClusterListener(Listener):
    """RESP3: a subscribed connection may send commands, and gets their replies in order with the messages."""

    def __init__(self) -> None:
        super().__init__()
        self._import: Import | None = None
        self._served: ServedSlots | None = None
        self._imported_bytes = 0
        self._held: list[Any] | None = None
        self._passed: list[int] = []
        self._steps = deque[_Step]()
        self._questions = Questions(self, self._told)

    def attach(self, keys: Keys, numbering: Numbering, control: Control) -> None:
        super().attach(keys, numbering, control)
        self._questions.never = keys.canary("never")

    @property
    def holds(self) -> bool:
        return self._held is not None or bool(self._steps)

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
        if self._held is not None or self._steps:
            self._begin_next(message)
            self._hold(message)
            return
        try:
            self.notice(message)
        except _ForeignError as error:
            self._begin_import(error.slot)
            self._hold(message)

    def _hold(self, message: Any) -> None:
        self._questions.stir()
        self._held = self._held or []
        self._held.append(message)
        self._questions.ask_ahead()

    def _begin_next(self, message: Any) -> None:
        """One migration may begin before what another brought is known."""
        if self._import is None and self._served and (told := self.event_in(message)):
            slot = slot_of(told.key)
            if not self._served.here[slot] and OWN not in told.key:
                self._begin_import(slot)

    def _begin_import(self, slot: int) -> None:
        """With the first event that a migration brings."""
        owner = self._served.owner(slot) if self._served else None
        if self._import is None and self._control and owner:
            places = (*self._patterns.values(), *self._channels.values())
            heard = [place.source.binding for place in places if place.source.subscribed]
            self._import = self._control.importing(slot, owner.id, heard)

    def _end_import(self) -> None:
        if self._import:
            self._import.end()
            self._import = None

    def unsubscribe(self, sources: Iterable[Source]) -> None:
        """What isn't heard can't be compared with what another node publishes."""
        if self._import:
            self._import.forget()
        super().unsubscribe(sources)

    def _replied(self, message: Any) -> None:
        """Without a question it is the refusal of a subscription."""
        if self._handlers:
            self._answer(message)
        else:
            self.notice(message)

    def _ticked(self, tick: Tick) -> None:
        super()._ticked(tick)
        if self._import and self._questions.nothing_came_since(self._import.began_s):
            self._end_import()
        if self._served is not None and not self._questions.asked:
            self._questions.ask()

    async def watch(self, command: Callable[..., Awaitable[Any]]) -> None:
        """Asks as soon as slots come or go. `command`: sends one on another connection."""
        if self._served is not None:
            await self._questions.watch(command)

    def _told(self, nodes: bytes, imported_bytes: int) -> None:
        before, after = self._served, ServedSlots.parse(nodes)
        came_bytes, self._imported_bytes = imported_bytes - self._imported_bytes, imported_bytes
        self._served = after
        if before is not None and before.here != after.here:
            self._questions.changed()
        held, self._held = self._held or [], None
        passed, self._passed = self._passed, []
        if before is None:
            return
        late = before.here != after.here and came_bytes > LATE_BYTES
        step = _Step(before, after, held, passed if came_bytes else None, self._import, late)
        if self._import:
            self._import.passed(before, after)
            if step.comes or self._import.full:
                self._end_import()
        self._steps.append(step)
        if len(self._steps) == 1:
            self._go_on()

    def _go_on(self) -> None:
        while self._steps:
            step = self._steps[0]
            if (step.late or (step.migration and step.comes)) and not step.weighed:
                step.weighed = True
                if self._control and self._control.spawn(self._weigh(step)):
                    return
            self._settle(step)
            self._steps.popleft()

    async def _weigh(self, step: _Step) -> None:
        """Waits for what can be known; meanwhile all waits that comes. If the link ends, events may go on without it."""
        try:
            step.brought = await step.migration.brought() if step.migration else None
            if (
                step.brought is None
                and self._control is not None
                and (step.late or self._new_in(step, step.after.here))
            ):
                await self._control.unknown(late=step.late)
        finally:
            if self.open:
                self._go_on()
                self.flushed()

    def _settle(self, step: _Step) -> None:
        step.returning = step.before.returning(step.after)
        step.unclear = [slot for slot in step.passed or () if step.returning[slot]]
        since_ms = self._numbering.now.ms if self._numbering.now else 0
        if step.brought:
            step.left = step.brought.among(self._new_in(step, step.brought.slots))
        self._event = partial(self._judge, step)
        for message in step.held:
            self.notice(message)
        self._event = self._sift
        if step.unclear and step.passed is not None and self._control is not None:
            self._control.unclear(step.unclear, since_ms)

    def _new_in(self, step: _Step, slots: bytes) -> list[Published]:
        """The events of slots, 1 for each, that came when these did."""
        told = (self.event_in(message) for message in step.held)
        return [one for one in told if one and slots[slot_of(one.key)] and step.is_new(slot_of(one.key), one.key)]

    def _sift(self, source: Source, key: bytes, event: bytes) -> None:
        assert self._served is not None  # noqa: S101  # nothing was subscribed before
        slot = slot_of(key)
        if not self._served.here[slot] and OWN not in key:
            raise _ForeignError(slot)
        if not self._passed:
            self._questions.stir()
        self._passed.append(slot)
        self._numbering.event(source, key, event)

    def _judge(self, step: _Step, source: Source, key: bytes, event: bytes) -> None:
        """An event between two answers."""
        slot, before, after = slot_of(key), step.before, step.after
        new = step.is_new(slot, key)
        if new and not after.here[slot] and not before.had_between(slot, after):
            if step.migration:
                step.migration.add(Published(source.name, key, event))
            self._numbering.pass_over(source)
            return
        if new and step.left and step.brought and step.brought.slots[slot]:
            step.left -= 1
            self._numbering.pass_over(source)
            return
        if (new or step.returning[slot]) and source.binding.match(key, event):
            step.unclear.append(slot)
        self._numbering.event(source, key, event)
