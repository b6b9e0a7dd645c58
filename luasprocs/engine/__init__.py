"""The engine: a Redis Functions library, rendered from the `.lua` files beside this one and the contract.

Each file is a chunk of its own that names what it needs at its head. docs/architecture.md says why it is built so.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from luasprocs.contract import lua
from luasprocs.contract.functions import FUNCTIONS
from luasprocs.language.compiler import PREFIX

if TYPE_CHECKING:
    from luasprocs.contract.keys import Keys

VERSION = 8
"""Raised with every change of the engine's text, or of what it is made from: an older luasprocs must not undo it."""
TEXTS = {8: "45c8d1156f1e4b323c31083145bd7eb809fd0cb2"}
"""The last VERSIONs, and the ids of their texts for one registry. A VERSION that somebody may run keeps its text."""

LOADED = ("core", "register")
"""Chunks that are compiled when the engine is loaded, in this order."""
HELPERS = (
    *(
        "compile",
        "header",
        "pin",
        "problem",
        "prelude",
        "readable",
        "runs",
        "records",
        "values",
        "batch",
        "jobs",
        "served",
    ),
)
"""Chunks that serve no function; with those that do they are text until they are used, see core.lua."""
CHUNKS = tuple(sorted({*HELPERS, *(one.chunk for one in FUNCTIONS.values())} - set(LOADED)))


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
def source(name: str) -> str:
    """A file of the engine as it stands."""
    return resources.files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")


def render(keys: Keys, owner: str, db: int) -> Engine:
    """The engine for one registry: keys and function names carry the namespace; owner and db are part of the text."""
    literals = lua.constants(
        keys, PREFIX=PREFIX.decode(), OWNER=owner, DB=str(db), NAMESPACE=keys.namespace, VERSION=VERSION
    )
    texts = "".join(f"\n--@ {name}\n{lua.chunk(source(name), literals)}" for name in CHUNKS)
    loaded = "".join(f"(function(...) {lua.chunk(source(name), literals)}end)(core);\n" for name in LOADED)
    body = f"core.chunks = [===[\n{texts}\n--@ \n]===]\n{loaded}"
    text_id = hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()
    text = f'#!lua name={keys.library}\nlocal core = {{ text_id = "{text_id}" }}\n{body}'
    return Engine(text, text_id, keys.library, owner, db, keys.namespace)
