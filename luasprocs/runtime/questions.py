"""What a node of a cluster is asked on its event connection: which slots are its own, and how much has come by migrations."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import hiredis
from redis import exceptions

from luasprocs.runtime.wire import packed
from luasprocs.server.errors import is_busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from luasprocs.runtime.wire import Wire

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
_QUESTION = packed("CLUSTER", "NODES") + packed("INFO", "STATS")
_MOVED = re.compile(rb"^total_net_cluster_slot_(im|ex)port_bytes:(\d+)", re.MULTILINE)


class Questions:
    """`told`: called with each answer: the reply of CLUSTER NODES, and the bytes that have come; `never`: a key that there isn't.

    `asked`: questions without an answer yet.
    """

    def __init__(self, wire: Wire, told: Callable[[bytes, int], None]) -> None:
        self._wire, self._told = wire, told
        self.never = ""
        self.asked, self._ahead, self._rests = 0, 0, True
        self._import_s = self._until_s = 0.0
        self._stirs = asyncio.Event()
        self._nodes: Any = None

    def stir(self) -> None:
        """There are events."""
        self._stirs.set()

    def changed(self) -> None:
        """Slots have come, or gone: the next migration begins with short rests."""
        self._import_s = asyncio.get_running_loop().time()

    def nothing_came_since(self, began_s: float) -> bool:
        """Whether a migration that began then is over."""
        return asyncio.get_running_loop().time() > max(self._until_s, began_s + OVER_S)

    async def watch(self, command: Callable[..., Awaitable[Any]]) -> None:
        """While there are events, asks as soon as slots come or go; a server that doesn't count what it moves has none.

        `command`: sends one on another connection.
        """
        loop, before = asyncio.get_running_loop(), dict[bytes, bytes]()
        heard_s = loop.time()
        while True:
            if self._stirs.is_set():
                self._stirs.clear()
                heard_s = loop.time()
            elif before and loop.time() - max(heard_s, self._until_s) > QUIET_S:
                await self._stirs.wait()
            if not (moved := await moved_bytes(command)):
                return
            if before and moved[b"im"] != before[b"im"]:
                self._import_s = loop.time() if loop.time() > self._until_s else self._import_s
                self._until_s = loop.time() + OVER_S
            if loop.time() < self._until_s:
                self.ask_ahead()
            elif moved != before and not self.asked:
                self.ask()
            before = moved
            await asyncio.sleep(LOOK_EVERY_S)

    def ask_ahead(self) -> None:
        """Asks again and again; a command that waits in vain makes the rests."""
        if self.asked > self._ahead // 2:
            return
        now_s = asyncio.get_running_loop().time()
        taken_s = now_s - self._import_s if now_s < self._until_s else 0
        rest_s = max(REST_SHORTEST_S, min(REST_LONGEST_S, taken_s * REST))
        rest = packed("BLPOP", self.never, f"{rest_s:.3f}")
        self._ahead = int(AHEAD_S / rest_s) if self._rests else 0
        self.ask()
        for _ in range(self._ahead):
            self._wire.send(rest, self._rested)
            self.ask()

    def ask(self) -> None:
        """Asks once."""
        self.asked += 1
        self._wire.send(_QUESTION, self._told_nodes, self._told_stats)

    def _rested(self, reply: Any) -> None:
        if isinstance(reply, hiredis.ReplyError) and not _is_refused(reply):
            self._rests = False

    def _told_nodes(self, reply: Any) -> None:
        self._nodes = reply

    def _told_stats(self, stats: Any) -> None:
        self.asked -= 1
        if _is_refused(self._nodes) or _is_refused(stats):  # what is held waits for the next answer
            return
        if not isinstance(self._nodes, bytes) or not isinstance(stats, bytes):
            if self._wire.open:
                self._wire.close(exceptions.ResponseError(str(self._nodes)))
            return
        self._told(self._nodes, int(dict(_MOVED.findall(stats)).get(b"im", 0)))


async def moved_bytes(command: Callable[..., Awaitable[Any]]) -> dict[bytes, bytes]:
    """How much has come to a node by migrations, `im`, and gone, `ex`; nothing of a server that has none."""
    while True:
        try:
            return dict(_MOVED.findall(await command("INFO", "STATS")))
        except exceptions.ResponseError as error:
            if not is_busy(error):
                raise
        await asyncio.sleep(LOOK_EVERY_S)


def _is_refused(reply: Any) -> bool:
    """Whether the node is busy with a script: it answers with the next tick, if not before."""
    return isinstance(reply, hiredis.ReplyError) and is_busy(reply)
