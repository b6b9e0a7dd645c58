"""The Lua part of a worker, compiled once: it makes globals into those of a job, and runs it."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from lupa import lua51

from luasprocs.contract.lua import LIMITS, chunk

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

_PARTS = ("sandbox", "files", "redis", "modules", "run")
_PARTS_OF_PLAIN = ("sandbox", "files", "redis", "run")
_SHARED = ("problem", "readable")
"""Chunks of the engine that workers use as they are; in front of them stands what they would find in the server."""
_SHARED_HEAD = "local type, rawget, tostring = type, rawget, tostring\n"
_WAYS = re.compile(rb"\b(package|require|module|load|loadstring|loadfile|dofile|_G|getfenv|setfenv|debug)\b")
"""What leads to files and modules, or to the globals by a name that is made up."""
_COMPILE = b"local source = ... return string.dump(assert(loadstring(source, '=luasprocs')))"


def is_plain(source: bytes) -> bool:
    """Whether a source can't reach files and modules, nor what another job of the same Lua could see."""
    return not _WAYS.search(source)


@cache
def job_code(*, plain: bool) -> bytes:
    """Bytecode of a chunk that takes `core` and the host's functions, and returns the function of run.lua.

    `plain`: without modules.
    """
    head = f"local core, {', '.join(HOST_FUNCTIONS)} = ...\n{_SHARED_HEAD}"
    shared = "".join(
        f"core.{name} = (function(...) {chunk(_text(name, 'luasprocs.engine'), LIMITS)}\nend)(core)\n"
        for name in _SHARED
    )
    *parts, last = _PARTS_OF_PLAIN if plain else _PARTS
    return _bytecode(head + shared + "".join(f"do\n{_text(name)}\nend\n" for name in parts) + _text(last))


@cache
def state_code() -> bytes:
    """Bytecode of state.lua."""
    return _bytecode(_text("state"))


def _text(name: str, package: str = __package__) -> str:
    return resources.files(package).joinpath(f"{name}.lua").read_text(encoding="utf-8")


def _bytecode(source: str) -> bytes:
    runtime = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    code: bytes = runtime.execute(_COMPILE, source.encode())
    return code
