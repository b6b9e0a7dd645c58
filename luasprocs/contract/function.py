"""What there is to say of a function of the engine: who calls it, its arguments and reply by name."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

_KINDS = {
    **dict.fromkeys(
        (
            *("interval_ms", "first_tick", "first_ms", "from_ms", "tick", "tick_ms", "prev_tick", "prev_count"),
            *("start_tick", "ms", "limit", "stale", "forced", "depth", "roots", "resp", "duration_us"),
        ),
        "n",
    ),
    **dict.fromkeys(("start_ms", "left_ms"), "o"),
    **dict.fromkeys(("origin", "daemon", "epoch", "entry"), "w"),
}
"""Arguments that the engine checks: whole numbers, those that may be empty, and words without blanks."""
Caller: TypeAlias = Literal["applications", "syncs", "daemons", "workers"]


class Function(NamedTuple):
    """One function. `name`: behind the library's, as `Keys.function` takes it; `chunk`: the file of the engine that serves it.

    `takes`: its arguments, of which every call has all. `each`: those that follow, as often as wanted, always together.
    `full`: in a full server it serves sprocs with `oom=allow`, if one is live. `always`: it runs there in any case: what it
    writes doesn't grow, and without it daemons would look dead and events be missed.
    `keys`: whether it takes KEYS. `reads`: it writes nothing, so FCALL_RO serves it, on replicas too.
    """

    name: str
    caller: Caller
    chunk: str
    does: str
    replies: str
    takes: tuple[str, ...] = ()
    each: tuple[str, ...] = ()
    keys: bool = False
    reads: bool = False
    full: bool = False
    always: bool = False

    @property
    def rule(self) -> str:
        """What the engine checks its arguments by, see arguments.lua."""
        usage = self.usage
        return "|".join((usage, *("".join(_KINDS.get(name, ".") for name in some) for some in (self.takes, self.each))))

    @property
    def usage(self) -> str:
        """How it is called: `FCALL luasprocs_tick 0 interval_ms forced`."""
        more = [f"[{' '.join(self.each)} ...]"] if self.each else []
        command = "FCALL_RO" if self.reads else "FCALL"
        counted = "numkeys [key ...]" if self.keys else "0"
        return " ".join([command, f"luasprocs_{self.name}", counted, *self.takes, *more])

    def checked(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        """Arguments of a call.

        Raises:
            TypeError: there are too few or too many.
        """
        more = len(arguments) - len(self.takes)
        if more < 0 or (more % len(self.each) if self.each else more):
            raise TypeError(f"{self.usage}: {len(arguments)} arguments were given")
        return arguments
