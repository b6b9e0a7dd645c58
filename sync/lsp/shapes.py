"""What the requests of its own take: each parameter, and whether it may be missing. docs/language_server.md lists the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from luasprocs.contract.encoding import is_text
from sync.lsp.failures import wrong_params

REQUESTS: Mapping[str, Mapping[str, str]] = {
    "luasprocs/state": {},
    "luasprocs/list": {},
    "luasprocs/run": {"name": "text", "keys": "texts?", "args": "texts?", "confirm": "text?"},
    "luasprocs/live": {"name": "text"},
    "luasprocs/publish": {"uri": "text", "message": "text?", "force": "blob?", "confirm": "text?"},
    "luasprocs/history": {"name": "text?", "limit": "number?"},
    "luasprocs/rollback": {
        "name": "text",
        "generation": "number",
        "dry_run": "flag?",
        "why": "text?",
        "confirm": "text?",
    },
    "luasprocs/metadata": {"name": "text"},
    "luasprocs/setMetadata": {"name": "text", "changes": "changes", "blob": "text", "confirm": "text?"},
    "luasprocs/pause": {"name": "text", "paused": "flag", "confirm": "text?"},
    "luasprocs/tail": {"on": "flag"},
}
"""Parameters by request: `blob` is {"blob": text}, `changes` {key: text or null}; one with `?` may be missing or null."""


def read(method: str, given: Any) -> dict[str, Any]:
    """The params of a request, without those that are missing; what nobody asked for is passed over.

    Raises:
        JsonRpcInvalidParams: they are none.
    """
    if not isinstance(given if given is not None else {}, dict):
        raise wrong_params(f"{method}: params must be an object")
    found = {}
    for name, kind in REQUESTS[method].items():
        value = (given or {}).get(name)
        if value is None:
            if not kind.endswith("?"):
                raise wrong_params(f"{method}: {name} is missing")
        elif not _KINDS[kind.rstrip("?")](value):
            raise wrong_params(f"{method}: {name} must be {_WORDS[kind.rstrip('?')]}")
        else:
            found[name] = value
    return found


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    "text": is_text,
    "texts": lambda value: isinstance(value, list) and all(map(is_text, value)),
    "number": lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53,
    "flag": lambda value: isinstance(value, bool),
    "blob": lambda value: isinstance(value, dict) and is_text(value.get("blob")),
    "changes": lambda value: (
        isinstance(value, dict) and all(is_text(key) and (one is None or is_text(one)) for key, one in value.items())
    ),
}
_WORDS = {
    "text": "a text",
    "texts": "a list of texts",
    "number": "a whole number above zero",
    "flag": "true or false",
    "blob": 'an object with "blob"',
    "changes": "an object of texts and nulls",
}
