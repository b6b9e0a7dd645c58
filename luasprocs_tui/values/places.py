"""Where an error happened: the file and line that its text names. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from luasprocs.server.readable_errors import readable_error
from luasprocs_tui.values.error_lines import line_of_error

if TYPE_CHECKING:
    from luasprocs.state.executions import Execution

_CODE = re.compile(r"[A-Z][A-Z0-9]+ ")
_PLACE = re.compile(r"(.{1,1000}?\.lua):(\d{1,7}): ")
PLACES = 8
"""An error that was caught and raised again names one more, each time."""

Place = tuple[str, int]
"""A sproc and a line, from 1."""


def places_of(one: Execution) -> tuple[Place, ...]:
    """What a failed run's error names, where it was raised first; then the run's own sproc."""
    if not one.failed:
        return ()
    text, found = readable_error(one.error), list[Place]()
    code = _CODE.match(text)
    at = code.end() if code else 0
    while len(found) < PLACES and (place := _PLACE.match(text, at)):
        found.insert(0, (place[1], int(place[2])))
        at = place.end()
    own = line_of_error(one.sproc, one.error)
    return tuple(dict.fromkeys([*found, *([(one.sproc, own)] if own else [])]))
