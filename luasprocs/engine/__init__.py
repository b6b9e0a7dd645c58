"""The engine: a Redis Functions library, rendered from the `.lua` files beside this one and the contract.

Each file is a chunk of its own that names what it needs at its head. docs/architecture.md says why it is built so.
"""

from __future__ import annotations

import functools
import hashlib
import secrets
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract import lua
from luasprocs.contract.cluster import CLUSTER_CHUNKS
from luasprocs.contract.functions import FUNCTIONS
from luasprocs.contract.keys import Keys
from luasprocs.language.compiler import PREFIX, ROOMY
from luasprocs.language.needs import NOTHING

if TYPE_CHECKING:
    from luasprocs.language.needs import Needs

VERSION = 39
"""Raised with every change of the engine's text, or of what it is made from: an older luasprocs must not undo it."""
TEXTS = {
    36: "9ee5e80101377792e6107f3bd4e13dfbabfc94c4",
    37: "ba3ea617f72ca8bf50f5f53ce548e6d87910a379",
    38: "99127e1bd75f3f478c5a2f76aa03640562946969",
    39: "2a7dd304750b9894d19212628ec184079f4b719d",
}
"""The last VERSIONs, and the ids of their texts for one registry. A VERSION that somebody may run keeps its text."""

LOADED = ("core", "register")
"""Chunks that are compiled when the engine is loaded, in this order."""
HELPERS = (
    *(
        "arguments",
        "clock",
        "compile",
        "eval",
        "header",
        "minutes",
        "pace",
        "pin",
        "problem",
        "prelude",
        "readable",
        "runs",
        "records",
        "values",
        "batch",
        "jobs",
        "arrivals",
        "served",
        "readonly",
        "room",
        "marks",
    ),
)
"""Chunks that serve no function; with those that do they are text until they are used, see core.lua."""
_FILES = resources.files(__package__)
CHUNKS = tuple(sorted({*HELPERS, *(one.chunk for one in FUNCTIONS.values())} - set(LOADED)))


class Engine(NamedTuple):
    """The engine of one registry: `text` for FUNCTION LOAD, `library` its name, `id` the SHA1 of all but the secret.

    `secret`: stands before all that it publishes for daemons, who alone can read it.
    """

    text: str
    id: str
    library: str
    owner: str
    db: int
    namespace: str
    secret: str = ""


def new_secret() -> str:
    """A secret for a registry that has none."""
    return secrets.token_hex(8)


@functools.cache
def source(name: str) -> str:
    """A file of the engine as it stands."""
    return _FILES.joinpath(f"{name}.lua").read_text(encoding="utf-8")


def render(keys: Keys, owner: str, db: int, secret: str = "", needs: Needs = NOTHING) -> Engine:
    """The engine for one registry: keys and function names carry the namespace; owner, db and needs are part of the text."""
    body, text_id = _body(keys, owner, db, needs)
    text = f'#!lua name={keys.library}\nlocal core = {{ text_id = "{text_id}", proof = "{secret} " }}\n{body}'
    return Engine(text, text_id, keys.library, owner, db, keys.namespace, secret)


@functools.lru_cache(maxsize=8)
def _body(keys: Keys, owner: str, db: int, needs: Needs) -> tuple[str, str]:
    """All but the head, and its id. Kept, as each look at the registry needs it: it takes 2 ms, and is 100 KB."""
    literals = lua.constants(
        keys,
        full=bool(needs.allowed),
        PREFIX=PREFIX.decode(),
        ROOMY=ROOMY.decode(),
        OWNER=owner,
        DB=str(db),
        NAMESPACE=keys.namespace,
        TAG=keys.tag,
        MARK=Keys(keys.namespace).mark_prefix,
        VERSION=VERSION,
        OWN=[part for one in needs.functions for part in (one.function, one.sproc, (*one.flags, *lua.across(keys)))],
    )
    at_load = (*LOADED, "own") if needs.functions else LOADED
    left = {*(() if needs.allowed else ("room",)), *(() if keys.tag else CLUSTER_CHUNKS)}
    later = (name for name in CHUNKS if name not in left)
    texts = "".join(f"\n--@ {name}\n{lua.chunk(source(name), literals)}" for name in later)
    loaded = "".join(f"(function(...) {lua.chunk(source(name), literals)}end)(core);\n" for name in at_load)
    body = f"core.chunks = [===[\n{texts}\n--@ \n]===]\n{loaded}"
    return body, hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()
