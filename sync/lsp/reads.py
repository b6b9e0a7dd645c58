"""What the language server reads of a registry when it is asked, for a thread that may wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw
from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from luasprocs.language.editor.completion import values_of_key
from luasprocs.language.editor.words import KEY_DOCS
from luasprocs.language.header import values_of
from luasprocs.language.metadata import expected
from luasprocs.operations.identity import user_at_host
from luasprocs.operations.listing import read_listing
from luasprocs.operations.run import Enqueued, run
from luasprocs.operations.sprocs import live_sproc
from luasprocs.registry.history import read_history
from luasprocs.server.script_errors import script_errors
from luasprocs.state.requests import now_and_generation
from sync.reply import as_json, formatted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sync.lsp.connecting import Connected

HISTORY_COUNT = 100


def listed(connected: Connected) -> list[dict[str, Any]]:
    """Each live sproc, those with trouble first."""
    found = read_listing(connected.registry)
    return [found.as_json(one) | {"trouble": trouble or None} for one, trouble in found.worst_first()]


def live_source(connected: Connected, name: str) -> dict[str, Any]:
    """What is live of a sproc."""
    sproc = live_sproc(connected.registry, name)
    _, generation = now_and_generation(connected.registry)
    source = sproc.source.decode("utf-8", "replace")
    return {"source": source, "blob": sproc.blob, "generation": generation, "commit": sproc.commit}


def history(connected: Connected, name: str, limit: int) -> list[dict[str, Any]]:
    """The generations, of one sproc those that changed it."""
    found = read_history(connected.registry, None if name else limit)
    return [one._asdict() for one in found if not name or name in one.touched][:limit]


def metadata(connected: Connected, name: str) -> dict[str, Any]:
    """The header of a live sproc as a form."""
    sproc = live_sproc(connected.registry, name)
    values = values_of(sproc.source, name)
    keys = [*METADATA_KEYS, *(key for key in values if key not in METADATA_KEYS)]
    return {"blob": sproc.blob, "fields": [_field(key, values) for key in keys]}


def _field(key: str, values: dict[str, str]) -> dict[str, Any]:
    known = METADATA_KEYS.get(key)
    return {
        "key": key,
        "value": values.get(key),
        "default": known.default(values) if known else "",
        "kind": known.kind if known else "text",
        "expected": expected(key),
        "values": list(values_of_key(key)),
        "doc": KEY_DOCS.get(key, ""),
    }


def executed(connected: Connected, name: str, keys: Sequence[str], args: Sequence[str]) -> dict[str, Any]:
    """Runs a sproc, recorded, as a person asked for it."""
    began_s = time.perf_counter()
    with connected.changing("logs"):
        done = run(connected.registry, name, [*map(raw, keys)], [*map(raw, args)], by=user_at_host())
    took_us = round((time.perf_counter() - began_s) * 1e6)
    if isinstance(done, Enqueued):
        said = done.job or f"nothing enqueued: {name} is running, and has overlap=skip"
        return {"reply": None, "text": said, "duration_us": took_us, "job": done.job}
    with script_errors(name):  # it can be too deep to be printed
        told = {"reply": as_json(done.reply), "text": formatted(done.reply)}
    return {**told, "duration_us": took_us, "job": None}
