"""Replies of the engine's functions by name. Each type decodes its own; what a caller leaves to the server has no type here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from luasprocs.contract.encoding import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class About(NamedTuple):
    """What the loaded engine says of itself; `generation` is that of the registry that it compiles from."""

    version: int
    owner: str
    db: str
    namespace: str
    text_id: str
    generation: str
    proof: str = ""
    """What stands before all that the engine publishes: its secret and a blank; "" to who may not know it."""

    @property
    def secret(self) -> str:
        """As an engine takes it."""
        return self.proof.strip()

    @classmethod
    def of(cls, reply: Sequence[Any]) -> About:
        """From the reply of `about`."""
        version, *rest = reply
        return cls(int(version), *(text(part) for part in rest))

    @classmethod
    def parse(cls, reply: object) -> About | None:
        """The same of a reply that may be of somebody else's function; then None."""
        if not isinstance(reply, list) or len(reply) != len(cls._fields) or type(reply[0]) is not int:
            return None
        return cls.of(reply) if all(isinstance(part, bytes | str) for part in reply[1:]) else None


class Inspected(NamedTuple):
    """One sproc as it stands: `intact`: its hash is as it was applied; `edit`: its field of that name, of a live edit."""

    name: str
    blob: str
    intact: bool
    edit: str

    @classmethod
    def each(cls, reply: Sequence[Any]) -> Iterator[Inspected]:
        """From the reply of `inspect` or `verify`."""
        for name, blob, intact in zip(reply[::3], reply[1::3], reply[2::3], strict=True):
            edit = text(intact) if isinstance(intact, bytes | str) else ""
            yield cls(text(name), text(blob), intact == 1 or bool(edit), edit)


class Ticked(NamedTuple):
    """The tick that is now."""

    epoch: str
    tick: int

    @classmethod
    def of(cls, reply: Sequence[Any]) -> Ticked:
        """From the reply of `tick`."""
        epoch, tick = reply
        return cls(text(epoch), int(tick))


class Schedule(NamedTuple):
    """One schedule: `cron` or `every` as written, `timezone` and `misfire` with their defaults.

    `held`: what `Scheduled` holds for it, `ms schedule`, or "".
    """

    name: str
    cron: str
    every: str
    timezone: str
    misfire: str
    paused: bool
    held: str

    @classmethod
    def each(cls, reply: Sequence[Any]) -> Iterator[Schedule]:
        """From the reply of `schedules`, in front of which stand generation and time."""
        width = len(cls._fields)
        for at in range(2, len(reply), width):
            name, cron, every, timezone, misfire, paused, held = map(text, reply[at : at + width])
            yield cls(name, cron, every, timezone, misfire, bool(paused), held)
