"""The Lua part of a worker, compiled once: it makes a new runtime's globals into those of a job, and runs it."""

from __future__ import annotations

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
_COMPILE = b"local source = ... return string.dump(assert(loadstring(source, '=luasprocs')))"


@cache
def compiled() -> bytes:
    """Bytecode of a chunk that takes `core` and the host's functions, and returns the function of run.lua."""
    folder = resources.files(__package__)

    def text(name: str) -> str:
        return folder.joinpath(f"{name}.lua").read_text(encoding="utf-8")

    head = f"local core, {', '.join(HOST_FUNCTIONS)} = ...\n"
    source = head + "".join(f"do\n{text(name)}\nend\n" for name in _FILES) + text("run")
    runtime = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    code: bytes = runtime.execute(_COMPILE, source.encode())
    return code
