"""What a debugging session is, whichever debugger runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from luasprocs.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sync.debugger.backend.program import SprocLine
    from sync.debugger.backend.values import Value

    Say = Callable[[str, str, SprocLine | None], None]
    """Takes what to show: `stdout`, `stderr` or `console`; the text; the place where it was said."""

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

    def evaluate(self, expression: str, frame: int) -> Value:
        """An expression's value."""

    def command(self, words: Sequence[str]) -> str:
        """A Redis command's reply, as text."""

    def pause(self) -> None:
        """Stops it soon, if it can be stopped."""

    def close(self) -> None:
        """Ends it, wherever it is."""
