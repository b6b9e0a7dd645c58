"""The script that runs a sproc as the engine does, and what it takes: see boot.lua."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.engine import render
from luasprocs.registry.sproc_hash import fields_of

if TYPE_CHECKING:
    from sync.debugger.backend.program import Program
    from sync.debugger.backend.run import Run

ARGUMENTS = "arguments"
"""In place of a trigger: the reply is ARGV as an event has it."""


def script_of(program: Program) -> bytes:
    """A script with as many lines as the sprocs need: the debugger knows no breakpoint beyond."""
    return b"return assert(loadstring(ARGV[1], '@luasprocs:debugger'))()" + b"\n" * program.lines + b"--"


def words_of(program: Program, run: Run) -> list[bytes]:
    """Its ARGV; its KEYS are the run's."""
    keys = Keys("")
    boot = resources.files(__package__).joinpath("boot.lua").read_bytes()
    engine = render(keys, "debugger", 0).text.split("\n", 1)[1]
    words: list[Any] = [boot, engine, len(program.sprocs)]
    for name, first in program.firsts.items():
        fields = fields_of(program.sprocs[name])
        words += [name, first, 2 * len(fields), *(part for pair in fields.items() for part in pair)]
    words += [run.trigger, run.name, keys.name_prefix, run.word, *run.args]
    return [word if isinstance(word, bytes) else raw(str(word)) for word in words]
