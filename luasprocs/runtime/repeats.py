"""Events that may have run twice, as nobody can tell what slots' migration has brought them: entries of kind `repeat` in Gaps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.codes import GapKind
from luasprocs.contract.limits import GAPS_LIMIT
from luasprocs.runtime.log import log
from luasprocs.runtime.wire import packed
from luasprocs.server.slots import ranges_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from luasprocs.runtime.link import Link

REPORT_EVERY_S = 0.25
TOGETHER_MS = 60_000
"""What is so close to the last is one entry with it: many slots move after each other, and gaps must not scroll away."""
WHY = "slots migrated to this node: what came along can't be told from the first writes here, and may have run twice"


@dataclass(slots=True)
class Repeats:
    """`count`: since the daemon's start; the rest is of the entry that was written last, or is to be."""

    count: int = 0
    slots: set[int] = field(default_factory=set)
    events: int = 0
    from_ms: int = 0
    to_ms: int = 0
    entry: bytes = b""
    reported: int = 0

    def add(self, slots: Iterable[int], from_ms: int, to_ms: int) -> None:
        """`slots`: of each event; `from_ms`, `to_ms`: between which times of the server's clock they came."""
        if from_ms - self.to_ms > TOGETHER_MS:
            self.slots, self.events, self.from_ms, self.entry = set(), 0, from_ms, b""
        came = list(slots)
        self.slots.update(came)
        self.events += len(came)
        self.count += len(came)
        self.to_ms = to_ms


async def report(link: Link, repeats: Repeats) -> None:
    """Writes what has come, until the session ends."""
    while True:
        await asyncio.sleep(REPORT_EVERY_S)
        if (count := repeats.count) == repeats.reported:
            continue
        log.warning("%d events of slots that migrated here may have run twice", count - repeats.reported)
        try:
            await _write(link, repeats)
        except exceptions.ResponseError as error:
            link.say("repeats", f"events that may have run twice can't be recorded: {error}")
        repeats.reported = count


async def _write(link: Link, repeats: Repeats) -> None:
    gaps = link.keys.gaps
    fields: dict[str, str | int] = {
        "kind": GapKind.REPEAT,
        "slots": ranges_text(repeats.slots),
        "events": repeats.events,
        "from_ms": repeats.from_ms,
        "to_ms": repeats.to_ms,
        "why": WHY,
        "daemon": link.daemon,
    }
    words: list[str | int] = [word for pair in fields.items() for word in pair]
    before = [packed("XDEL", gaps, repeats.entry)] if repeats.entry else []
    *_, repeats.entry = await link.together(*before, packed("XADD", gaps, "MAXLEN", "~", GAPS_LIMIT, "*", *words))
