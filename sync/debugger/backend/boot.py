"""The script that runs a sproc as the engine does, and what it takes: see boot.lua."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

from luasprocs.contract.encoding import raw
from luasprocs.contract.keys import Keys
from luasprocs.engine import render
from luasprocs.errors import SettingsError
from luasprocs.registry.sproc_hash import fields_of

if TYPE_CHECKING:
    from sync.debugger.backend.program import Program
    from sync.debugger.backend.run import Run

MEAN_BYTES, WORDS_LIMIT = 4000, 430
"""The server's fork loses its arguments if they have a page of memory each on average, or if their list has one."""
ARGUMENTS = "arguments"
"""In place of a trigger: the reply is ARGV as an event has it."""


def script_of(program: Program) -> bytes:
    """A script with as many lines as the sprocs need: the debugger knows no breakpoint beyond."""
    return b"return assert(loadstring(ARGV[1], '@luasprocs:debugger'))()" + b"\n" * program.lines + b"--"


def words_of(program: Program, run: Run) -> list[bytes]:
    """Its ARGV: the text of boot.lua, and all else as one text in parts; its KEYS are the run's.

    Raises:
        SettingsError: it is too much.
    """
    keys = Keys("")
    boot, values, inspect = (
        resources.files(__package__).joinpath(f"{name}.lua").read_bytes() for name in ("boot", "values", "inspect")
    )
    engine = render(keys, "debugger", 0).text.split("\n", 1)[1]
    words: list[Any] = [values, inspect, engine, len(program.sprocs)]
    sites: list[str] = []
    for name, first in program.firsts.items():
        fields, sited = fields_of(program.sprocs[name]), program.sited[name]
        words += [
            name,
            first,
            sited.head,
            sited.text.encode("latin-1"),
            2 * len(fields),
            *(part for pair in fields.items() for part in pair),
        ]
        sites += (f"{number} {' '.join(site.names)}\n" for number, site in sited.sites.items())
    words += ["".join(sites), run.trigger, run.name, keys.name_prefix, run.word, *run.args]
    told = (word if isinstance(word, bytes) else raw(str(word)) for word in words)
    text = b"".join(b"%d:%s" % (len(word), word) for word in told)
    whole = len(text) + len(script_of(program)) + len(boot) + sum(map(len, run.keys))
    count = whole // MEAN_BYTES + 1
    if len(run.keys) >= WORDS_LIMIT:
        raise SettingsError(f"the server's debugger takes fewer than {WORDS_LIMIT} keys: here are {len(run.keys)}")
    if count + len(run.keys) > WORDS_LIMIT:
        most = (WORDS_LIMIT - len(run.keys)) * MEAN_BYTES
        raise SettingsError(f"the server's debugger takes {most:,} bytes: the sprocs and arguments have {whole:,}")
    size = len(text) // count + 1
    return [boot, *(text[at : at + size] for at in range(0, len(text), size))]
