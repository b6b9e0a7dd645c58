"""Writes what may have run twice: entries of the kind `repeat` in Gaps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.codes import GapKind
from luasprocs.contract.limits import GAPS_LIMIT
from luasprocs.runtime.log import log
from luasprocs.runtime.wire import packed
from luasprocs.server.slots import ranges_text

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link
    from luasprocs.runtime.repeats import Repeats

REPORT_EVERY_S = 0.25
WHY = "slots migrated to this node: what came along can't be told from the first writes here, and may have run twice"


async def report(link: Link, repeats: Repeats) -> None:
    """Writes what has come, until the session ends."""
    while True:
        await asyncio.sleep(REPORT_EVERY_S)
        if (count := repeats.count) == repeats.reported:
            continue
        came = count - repeats.reported
        log.warning("%d event%s of slots that migrated here may have run twice", came, "" if came == 1 else "s")
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
