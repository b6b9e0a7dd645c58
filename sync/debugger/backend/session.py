"""What a debugging session is, whichever debugger runs it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from luasprocs.errors import ScriptError
from luasprocs.server.readable_errors import readable_error
from sync.debugger.backend.program import SprocLine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sync.debugger.backend.program import Program
    from sync.debugger.backend.values import Value

    Say = Callable[[str, str, SprocLine | None], None]
    """Takes what to show: `stdout`, `stderr` or `console`; the text; the place where it was said."""

_PLACE = re.compile(r"(?:[A-Z]+ )?(.+?\.lua):(\d+): ")
OUTPUT_LIMIT_CHARS = 2000
"""Of one line that is said."""


class EvaluationError(ScriptError):
    """An expression that Lua refuses, or that this debugger can't evaluate."""


class Stop(NamedTuple):
    """It stands. `reason`: entry, breakpoint, step, exception or pause, as DAP has them; `text`: the error."""

    reason: str
    text: str = ""


class Ended(NamedTuple):
    """It is over: `reply` as text, or `error`, with its `place`."""

    reply: str = ""
    error: str = ""
    place: SprocLine | None = None


def ended_by(problem: str, program: Program) -> Ended:
    """The end of a sproc that raised an error, without the server's words around it."""
    text = program.named(readable_error(problem))
    found = _PLACE.match(text)
    if not found or found[1] not in program.sprocs:
        return Ended("", text[:OUTPUT_LIMIT_CHARS])
    return Ended("", text.removeprefix("ERR ")[:OUTPUT_LIMIT_CHARS], SprocLine(found[1], int(found[2])))


def whole(ended: Ended, raised: str) -> Ended:
    """With the text that was raised, of which the server's reply has no bytes that are no UTF-8, and nothing behind a NUL."""
    reply = raised.encode("utf-8", "surrogateescape").decode("utf-8", "replace").partition("\0")[0]
    return ended._replace(error=ended.error.replace(reply, raised, 1)) if reply else ended


class Frame(NamedTuple):
    """A function that runs, and where it stands."""

    name: str
    place: SprocLine


class DebugSession(Protocol):
    """One run of a sproc. All but `pause` and `close` are called by one thread, while it stands."""

    def start(self, *, stop_on_entry: bool) -> Stop | Ended:
        """Runs up to the first stop."""

    def resume(self, how: str) -> Stop | Ended:
        """Goes on: `continue`, `next`, `in` or `out`."""

    def frames(self) -> Sequence[Frame]:
        """The innermost first."""

    def variables(self, frame: int) -> Mapping[str, Value]:
        """A frame's locals."""

    def upvalues(self, frame: int) -> Mapping[str, Value]:
        """The locals of outer functions that it uses, as far as they can be read."""

    def arguments(self, frame: int) -> Mapping[str, Value]:
        """KEYS and ARGV."""

    def evaluate(self, expression: str, frame: int, *, sets: bool = False) -> Value:
        """An expression's value. With `sets` it may be a statement, which sets variables."""

    def command(self, words: Sequence[str]) -> str:
        """A Redis command's reply, as text."""

    def pause(self) -> None:
        """Stops it soon, if it can be stopped."""

    def close(self) -> None:
        """Ends it, wherever it is."""
