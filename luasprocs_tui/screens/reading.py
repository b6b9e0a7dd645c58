"""What more than one screen reads in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs_tui import messages
from luasprocs_tui.values.source_lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs_tui.backend.protocol import Backend
    from luasprocs_tui.values.places import Place


def read_source(backend: Backend, name: str, *, dark: bool) -> messages.SourceRead | messages.ReadFailed:
    """In a thread: a sproc's source, for a dark screen or a light one."""
    sproc = backend.sproc(name)
    if sproc is None:
        return messages.ReadFailed("was deleted meanwhile")
    return messages.SourceRead(lines_of(sproc.source, dark=dark), sproc.commit, (name, 0))


def read_place(backend: Backend, places: Sequence[Place], *, dark: bool) -> messages.SourceRead | messages.ReadFailed:
    """In a thread: the source of the first of these that there is."""
    for name, line in places:
        sproc = backend.sproc(name)
        if sproc is not None:
            return messages.SourceRead(lines_of(sproc.source, dark=dark), sproc.commit, (name, line))
    return messages.ReadFailed("was deleted meanwhile")


def read_about(backend: Backend, name: str, generation: int, *, dark: bool) -> messages.AboutRead:
    """In a thread: what the panels show of a sproc."""
    about = backend.about(name, generation)
    return messages.AboutRead(about, lines_of(about.sproc.source, dark=dark) if about.sproc else ())
