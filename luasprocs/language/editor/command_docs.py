"""What the server says of its commands, in COMMAND DOCS: how each is written, what it does. Pure, but for the table.

The table is a server's own answer, kept for editors without one; `python -m sync.lsp.command_table` makes it anew.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = Path(__file__).with_name("commands.json.gz")
KEPT_OF = "Valkey 9.1 and Redis 7.0, as of November 2026"
"""The servers whose answers the table has."""


class CommandDoc(NamedTuple):
    """`name`: in upper case; `parts`: its arguments as people write them; `group`: "string", "list", …"""

    name: str
    parts: tuple[str, ...]
    summary: str
    since: str
    complexity: str
    group: str

    @property
    def syntax(self) -> str:
        """The whole command on a line."""
        return " ".join((self.name, *self.parts))

    @property
    def markdown(self) -> str:
        """What an editor shows of it."""
        told = " · ".join(one for one in (f"Since {self.since}" if self.since else "", self.complexity) if one)
        return f"```\n{self.syntax}\n```\n{self.summary}\n\n{told}".rstrip()


@cache
def kept() -> Mapping[str, CommandDoc]:
    """Those of the table, by names in lower case; subcommands as `client|list`."""
    return {name: _doc(name, told) for name, told in json.loads(gzip.decompress(FILE.read_bytes())).items()}


def docs_of(answer: Any) -> dict[str, CommandDoc]:
    """Those in a server's answer, whatever of them it has. What can't be read is left out."""
    found: dict[str, CommandDoc] = {}
    for name, told in flat(answer).items():
        try:
            found[name] = _doc(name, told)
        except (AttributeError, KeyError, TypeError):
            continue
    return found


def flat(answer: Any) -> dict[str, Any]:
    """A server's answer as maps, with subcommands beside their commands, and of each only what is shown."""
    found: dict[str, Any] = {}
    for name, told in _map(answer).items():
        doc = _map(told)
        found[name] = {key: _text(doc[key]) for key in ("summary", "since", "complexity", "group") if key in doc}
        found[name]["arguments"] = [_argument(one) for one in doc.get("arguments", [])]
        found |= flat(doc.get("subcommands", {}))
    return found


def _map(value: Any) -> dict[str, Any]:
    """A map of RESP3, or RESP2's list of keys and values."""
    if isinstance(value, dict):
        return {_text(key): one for key, one in value.items()}
    return {_text(key): one for key, one in zip(value[::2], value[1::2], strict=True)}


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _argument(value: Any) -> dict[str, Any]:
    told = _map(value)
    kept_of: dict[str, Any] = {
        key: _text(told[key]) for key in ("name", "type", "token", "display_text") if key in told
    }
    kept_of["flags"] = sorted(_text(flag) for flag in told.get("flags", ()))
    if "arguments" in told:
        kept_of["arguments"] = [_argument(one) for one in told["arguments"]]
    return kept_of


def _doc(name: str, told: Mapping[str, Any]) -> CommandDoc:
    text = {key: str(_text(told.get(key, ""))) for key in ("summary", "since", "complexity", "group")}
    parts = tuple(_syntax(one) for one in told["arguments"])
    return CommandDoc(name.replace("|", " ").upper(), parts, **text)


def _syntax(argument: Mapping[str, Any]) -> str:
    """An argument as the manuals write it."""
    token, kind, flags = argument.get("token", ""), argument["type"], argument["flags"]
    if kind == "pure-token":
        text = token
    elif kind in {"oneof", "block"}:
        text = (" | " if kind == "oneof" else " ").join(map(_syntax, argument["arguments"]))
        if kind == "oneof" and "optional" not in flags:
            text = f"<{text}>"
    else:
        text = argument.get("display_text") or argument["name"]
    if kind != "pure-token" and token:
        text = f"{token} {text}"
    if "multiple" in flags:
        text = f"{text} [{text} …]"
    return f"[{text}]" if "optional" in flags else text
