"""The engine: a Redis Functions library, rendered from the `.lua` files beside this one.

Each file's functions say in their heads what they take and reply. docs/architecture.md says why it is built so.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from luasprocs.language.compiler import PREFIX

if TYPE_CHECKING:
    from luasprocs.contract.keys import Keys

VERSION = 2
"""Raised with every change that an older luasprocs must not undo."""

FIELDS = ("source", "sha", "blob", "commit", "edit", *METADATA_KEYS)
"""The fields of a sproc's hash, in the order of its digest."""

FUNCTIONS = (
    *("execute", "execute_ro", "flush", "run", "about", "compile", "inspect", "verify"),
    *("tick", "cover", "beat", "leave", "blind", "dispatch", "bound", "catchup"),
    *("cron", "schedules", "enqueue", "take", "finish", "due", "retry", "effect", "call", "job"),
)
_CORE = ("core.lua", "call.lua", "parts.lua")
_PARTS = {
    "compile": ("compile.lua",),
    "about": ("about.lua",),
    "events": (
        "events.lua",
        "values.lua",
        "record.lua",
        "ticks.lua",
        "jobs.lua",
        "retries.lua",
        "dispatch.lua",
        "cron.lua",
    ),
}
"""What is text until it is used, see core.lua."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine of one registry: `text` for FUNCTION LOAD, `id` its SHA1, `library` its name."""

    text: str
    id: str
    library: str
    owner: str
    db: int
    namespace: str


@functools.cache
def _read(*names: str) -> str:
    folder = resources.files(__package__)
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def lua_string(text: str) -> str:
    """A Lua literal of any text: everything but plain ASCII as decimal escapes."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03d}" for byte in text.encode())
    return '"' + "".join(plain) + '"'


def _with(literals: dict[str, str], text: str) -> str:
    """A text under locals of the constants that it uses."""
    used = set(re.findall(r"\b[A-Z_]+\b", text))
    return "".join(f"local {name} = {literal}\n" for name, literal in literals.items() if name in used) + text


def render(keys: Keys, owner: str, db: int) -> Engine:
    """The engine for one registry: keys and function names carry the namespace; owner and db are part of the text."""
    constants = {
        "PREFIX": PREFIX.decode(),
        "OWNER": owner,
        "DB": str(db),
        "NAMESPACE": keys.namespace,
        "NAME": keys.name_prefix,
        "STATS": keys.stats_prefix,
        "LIST": keys.list,
        "REVISION": keys.revision,
        "DIGESTS": keys.digests,
        "TRIGGERS": keys.triggers,
        "EXECUTIONS": keys.executions,
        "EVENTS": keys.events,
        "DAEMONS": keys.daemons,
        "GAPS": keys.gaps,
        "CATCHUPS": keys.catchups,
        "ORIGIN": keys.origin_prefix,
        "PAUSED": keys.paused,
        "SCHEDULED": keys.scheduled,
        "CRON_KEY": keys.cron_prefix,
        "UNRECORDED": keys.unrecorded,
        "JOBS": keys.jobs,
        "DELAYED": keys.delayed,
        "DEAD": keys.dead,
        "RUNNING": keys.running,
        "WAKES": keys.wakes,
        "WAITING": keys.waiting_prefix,
        "MARKERS": keys.markers,
        "TICKS": keys.ticks,
        **{name.upper(): keys.function(name) for name in FUNCTIONS},
    }
    literals = {name: lua_string(value) for name, value in constants.items()}
    literals |= {"VERSION": str(VERSION), "FIELDS": "{ " + ", ".join(map(lua_string, FIELDS)) + " }"}
    parts = {name: _with(literals, _read(*files)) for name, files in _PARTS.items()}
    core = _with(literals, _read(*_CORE))
    body = (
        "local PARTS = {\n" + "".join(f"{name} = [===[\n{part}]===],\n" for name, part in parts.items()) + "}\n" + core
    )
    text_id = hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()
    text = f'#!lua name={keys.library}\nlocal TEXT_ID = "{text_id}"\n{body}'
    return Engine(text, text_id, keys.library, owner, db, keys.namespace)
