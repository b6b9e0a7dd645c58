"""Changes to a header that somebody has typed and not applied, with the source that they were typed on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luasprocs.contract.encoding import parsed_json, raw, text
from luasprocs.operations.drafts import Drafts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luasprocs.language.sproc import Sproc


@dataclass(frozen=True, slots=True)
class HeaderDraft:
    """`base`: the blob that the changes were typed on, which alone they may replace; `source`: its text; None removes a key."""

    base: str
    source: bytes
    changes: Mapping[str, str | None]


class HeaderDrafts:
    """The drafts of one registry's headers. A file that somebody has broken is none."""

    def __init__(self, drafts: Drafts) -> None:
        self._drafts = drafts

    def of(self, name: str) -> HeaderDraft | None:
        """The draft of a sproc's header, if there is one."""
        found = self._drafts.of(_place(name))
        if found is None:
            return None
        try:
            stored = parsed_json(found.source)
            if not isinstance(stored["source"], str):
                return None
            changes = {str(key): None if value is None else str(value) for key, value in stored["changes"].items()}
            return HeaderDraft(found.base, raw(stored["source"]), changes) if changes else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def keep(self, opened: Sproc, changes: Mapping[str, str | None]) -> None:
        """Keeps changes, in place of what was kept before; none drops it.

        Raises:
            SettingsError: it can't be written.
        """
        if not changes:
            self.drop(opened.name)
            return
        stored = json.dumps({"source": text(opened.source), "changes": dict(changes)})
        self._drafts.begin(_place(opened.name), opened.blob, stored.encode())

    def drop(self, name: str) -> None:
        """Forgets the draft of a header."""
        self._drafts.drop(_place(name))


def _place(name: str) -> str:
    return f"{name}\0header"  # no sproc has this name
