"""An app whose keys keep their order, however fast they come."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from textual import events
from textual.app import App

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.dom import DOMNode
    from textual.message_pump import MessagePump

PATIENCE_S = 2.0
"""A key that something takes so long over holds the next ones up no longer."""
HOLD_S = 0.8
"""Nor does something that was asked for and doesn't come."""


class KeysInOrder(App[None]):
    """Gives a key to what has the focus once all keys before it have been dealt with.

    Textual gives each key to the widget that has the focus at the moment when the key is read. Of `/pay` that comes in one
    packet, as over a slow line, the table would get all: `p` would pause a sproc.
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed: deque[events.Key | events.Paste] = deque()
        self._given_at_s: float | None = None
        self._turn = 0
        self._holds: set[object] = set()
        self._dealt_with = False

    def hold_keys(self) -> object:
        """Something that was asked for is on its way: what is typed on is given to what comes. Gives what releases them."""
        hold = object()
        self._holds.add(hold)
        self.set_timer(HOLD_S, partial(self.release_keys, hold))
        return hold

    def release_keys(self, hold: object) -> None:
        """It has come. Does nothing with a hold that was released before."""
        if hold not in self._holds:
            return
        self._holds.remove(hold)
        if not self._holds and self._dealt_with:
            self._dealt_with = False
            self._behind([self.screen, self], partial(self._next, self._turn))

    async def on_event(self, event: events.Event) -> None:
        """Keeps keys until it is their turn; all else goes its way."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self._typed.append(event)
        if self._given_at_s is None or time.monotonic() - self._given_at_s > PATIENCE_S:
            await self._give(self._turn)

    async def _give(self, turn: int) -> None:
        if not self._typed or turn != self._turn:
            return
        self._given_at_s, self._dealt_with = time.monotonic(), False
        self._turn += 1
        event, target = self._typed.popleft(), self.focused or self.screen
        await super().on_event(event)
        # The widget deals with a key, or it goes up from there, to the app in the end. What that leads to (a button is pressed, a
        # text submitted) goes the same way once more, and then a screen may come, or the focus go elsewhere.
        up: list[DOMNode] = [*(node for node in target.ancestors_with_self if node is not self), self]
        then = partial(self._next, self._turn)
        self._behind([*up, *up], lambda: self._behind([self.screen, self], then))

    def _next(self, turn: int) -> None:
        if turn != self._turn:  # patience ended before: another key's turn goes on
            return
        if self._holds:
            self._dealt_with = True
        elif self._typed:
            self.call_later(self._give, turn)
        else:
            self._given_at_s = None

    def _behind(self, pumps: Sequence[MessagePump], then: Callable[[], object]) -> None:
        """Calls `then` once each of these, one after the other, has done what it had to do."""
        if not pumps:
            then()
            return
        first, *others = pumps
        if not first.call_later(self._behind, others, then):  # it is going
            self._behind(others, then)
