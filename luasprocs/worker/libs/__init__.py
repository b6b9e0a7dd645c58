"""`cjson`, `cmsgpack`, `bit` and `struct` for Lua in a worker, with the results and errors that they have in Redis 7.0.

Redis and Valkey link C libraries, which lupa can't load; these are the same in Lua 5.1, each in the `.lua` file of its name.
Nothing of Python can be reached from them. Where they differ, and can't do otherwise:

- The error of a tail call (`return cjson.encode(x)`) has no line, since Lua forgets the caller of a Lua function.
- `cjson.null` is a full userdata with a metatable, not a light one. It is the same object in all of a runtime.
- The libraries can be written to, and `pairs` finds them empty until one of their functions was looked up.
- A table's string keys (in `pairs`, JSON objects, packed maps) have the order of Redis if they are shorter than 32 bytes; longer
  ones, and all of Valkey 9, have another, since these servers hash strings in ways of their own.
- Of a NaN read from bytes only the sign is kept.

`cjson.decode_array_with_array_mt` is not there: Redis has it from 8.4 on, Valkey hasn't.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from lupa import lua51

if TYPE_CHECKING:
    from lupa.lua51 import LuaRuntime

PARTS = ("checks", "floats", "bit", "struct", "cmsgpack", "cjson_encode", "cjson_decode", "cjson")
_COMPILE = b"local source, name = ... return string.dump(assert(loadstring(source, name)))"


def installer(runtime: LuaRuntime) -> Any:
    """A Lua function that puts the four libraries into a table of globals, and into its `package.loaded` where it has one.

    The runtime must have `encoding=None`, and `debug`, `loadstring`, `newproxy` and `setfenv`; later nothing needs them.
    """
    code, parts = _compiled()
    return runtime.execute(code, *parts)


def install(runtime: LuaRuntime) -> None:
    installer(runtime)(runtime.globals())


@cache
def _compiled() -> tuple[bytes, tuple[bytes, ...]]:
    """The bytecode of install.lua, and its arguments: names and bytecodes."""
    runtime = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    folder = resources.files(__package__)

    def bytecode(name: str) -> bytes:
        code: bytes = runtime.execute(_COMPILE, folder.joinpath(f"{name}.lua").read_bytes(), f"={name}".encode())
        return code

    parts = [(name.encode(), bytecode(name)) for name in PARTS]
    return bytecode("install"), tuple(text for pair in parts for text in pair)
