"""What can be wrong with sprocs: the code of each kind of problem, and how one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.errors import Problem
from luasprocs.language.places import START

if TYPE_CHECKING:
    from luasprocs.language.places import Range

CODES = {
    "name.invalid": "The file's name can't be a sproc's: control characters, not UTF-8, too long, or without .lua.",
    "name.clash": "Two names are one file on systems that ignore case or Unicode form.",
    "file.too-large": "The file is larger than a sproc may be.",
    "file.not-regular": "The file is a symlink, a submodule, a pipe, or has a merge conflict.",
    "file.ignored": "The file looks like a sproc, but sync ignores it.",
    "encoding.utf-16": "The file is UTF-16.",
    "encoding.not-utf-8": "A byte of the file is not UTF-8.",
    "encoding.bom": "The file starts with a byte order mark.",
    "encoding.nul": "The file holds a NUL byte.",
    "header.unknown-key": "There is no such key.",
    "header.duplicate-key": "The key is in the header twice.",
    "header.bad-value": "The key can't have this value.",
    "header.contradiction": "The key doesn't go with the others, or needs one that is missing.",
    "function.taken": "Another sproc or another library has a function of this name.",
    "header.unwritable": "A new value can't be written in the key's place.",
    "header.lookalike": "A line of prose looks like a key.",
    "header.first-line": "The first line `#!lua` has what a sproc can't have.",
    "header.functions-library": "The file is a Functions library, not a sproc.",
    "lua.syntax": "Lua can't compile the source.",
    "lua.unknown-global": "The server's sandbox has no such global or field.",
    "lua.global-write": "The source writes a global, which the server refuses.",
    "lua.unknown-command": "No Redis or Valkey has this command.",
    "lua.list-shape": "KEYS or ARGV is used as what it is not: its element 0, or the whole table as an argument of a command.",
    "lua.forbidden-command": "The server has this command, but not for scripts.",
    "lua.only-in-sprocs": "The header has evalsha=yes, but the source needs what EVALSHA lacks.",
    "cluster.two-slots": "luasprocs.toml says cluster = true, and the source names keys of two slots.",
    "require.unknown": "There is no library of this name.",
    "require.not-library": "The sproc of this name is not library=yes.",
    "call.unknown": "There is no sproc of the name that is called or enqueued.",
    "require.circle": "Libraries require each other in a circle.",
}
"""Each code, `area.what`, and what it means."""

MISUSE = frozenset(
    {
        "file.ignored",
        "lua.unknown-global",
        "lua.global-write",
        "lua.unknown-command",
        "lua.forbidden-command",
        "lua.list-shape",
        "lua.only-in-sprocs",
    }
)
"""What keeps no sproc from being applied."""
WARNINGS = frozenset({"header.lookalike", "cluster.two-slots", "call.unknown"})
"""What may be right as it is."""


def problem(path: str, code: str, message: str, place: Range = START) -> Problem:
    """A problem of a code of CODES; its kind follows from the code."""
    line, column, end_line, end_column = place
    kind = "misuse" if code in MISUSE else "warning" if code in WARNINGS else "error"
    return Problem(path, line, column, message, kind, code, end_line, end_column)
