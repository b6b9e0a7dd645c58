"""`catchup=scan`: after a gap a sproc runs for every matching key.

Each key runs at least once: an interrupted scan resumes from its cursor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis import exceptions

from luasprocs.contract.encoding import raw, text
from luasprocs.errors import SettingsError
from luasprocs.language.globs import matcher
from luasprocs.language.metadata import typed
from luasprocs.runtime.log import log
from luasprocs.runtime.numbering import OWN

if TYPE_CHECKING:
    from luasprocs.runtime.link import Link

SCAN_COUNT = 500
RUN_COUNT = 100


async def scan(link: Link, name: str) -> None:
    """Scans for one sproc, from the stored cursor to the end."""
    ran = 0
    try:
        written = text(await link.command("HGET", raw(link.keys.name(name)), "key") or b"")
        globs = tuple(map(raw, typed({"event": "*", "key": written}, "key")))
        state = await link.command("HGET", link.keys.catchups, raw(name))
        while state:
            cursor, found = await _page(link, state.split()[-1], globs)
            batches = [found[start : start + RUN_COUNT] for start in range(0, len(found), RUN_COUNT)] or [[]]
            for place, batch in enumerate(batches, 1):
                # Within a page the cursor stays: what breaks off there is scanned again.
                after = state.split()[-1] if place < len(batches) else b"" if cursor == b"0" else cursor
                done, state = await link.call("catchup", raw(name), link.daemon, state, after, *batch)
                ran += max(done, 0)
                if done < 0 or not after:
                    state = b""
                    break
        log.info("catch-up of %s: ran for %d keys", name, ran)
    except (exceptions.ResponseError, SettingsError) as error:
        log.warning("catch-up of %s stopped early: %s", name, error)


async def _page(link: Link, cursor: bytes, globs: tuple[bytes, ...]) -> tuple[bytes, list[bytes]]:
    match = ("MATCH", globs[0]) if len(globs) == 1 else ()
    after, found = await link.command("SCAN", cursor, *match, "COUNT", SCAN_COUNT)
    matches = [matcher(glob) for glob in globs]
    return after, [key for key in found if OWN not in key and any(match(key) for match in matches)]
