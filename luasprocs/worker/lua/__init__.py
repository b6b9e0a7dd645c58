"""The Lua part of a worker, compiled once: it makes a new runtime's globals into those of a job, and runs it."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from lupa import lua51

HOST_FUNCTIONS = (
    *(
        "fence",
        "lift",
        "command",
        "procedure",
        "fetch",
        "locate",
        "temporary",
        "popen",
        "c_library",
        "sha1hex",
        "shortest",
    ),
)
"""What Python serves to it, in the order of its arguments; before them stands the table `core`."""

_FILES = ("sandbox", "files", "redis", "modules")
_FILES_OF_PLAIN = ("sandbox", "plain", "redis")
_WAYS = re.compile(rb"\b(io|os|package|require|module|load|loadstring|loadfile|dofile|_G|getfenv|setfenv|debug)\b")
"""What leads to files and modules, or to the globals by a name that is made up."""
_COMPILE = b"local source = ... return string.dump(assert(loadstring(source, '=luasprocs')))"


def is_plain(source: bytes) -> bool:
    """Whether a source can't reach files and modules, which then need not be set up: a third of a short job's time."""
    return not _WAYS.search(source)


@cache
def compiled(*, plain: bool = False) -> bytes:
    """Bytecode of a chunk that takes `core` and the host's functions, and returns the function of run.lua.

    `plain`: files and modules are left out.
    """
    folder = resources.files(__package__)

    def text(name: str) -> str:
        return folder.joinpath(f"{name}.lua").read_text(encoding="utf-8")

    head = f"local core, {', '.join(HOST_FUNCTIONS)} = ...\n"
    source = head + "".join(f"do\n{text(name)}\nend\n" for name in (_FILES_OF_PLAIN if plain else _FILES)) + text("run")
    runtime = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    code: bytes = runtime.execute(_COMPILE, source.encode())
    return code
