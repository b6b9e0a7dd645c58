"""What is run: the sproc, by what, and with which keys and arguments. Made from its header where nothing else is said. Pure."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, NamedTuple

from luasprocs.contract.codes import Trigger
from luasprocs.contract.encoding import raw
from luasprocs.errors import SettingsError
from luasprocs.language.metadata import typed
from luasprocs.language.recurrence import Recurrence
from luasprocs.language.triggers import event as EVENT  # noqa: N812  # a kind, as a table has it
from luasprocs.language.triggers import schedule_of
from luasprocs.language.values import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from luasprocs.language.sproc import Sproc
    from luasprocs.state.executions import Execution

_SET = re.compile(r"\[\^?([^\]])[^\]]*\]")
EXAMPLE = "example"
"""The value of an event's key that there is none of."""


class Run(NamedTuple):
    """One run. `trigger`: call, event or cron; `word`: the event, or the time in unix seconds; `args`: of a call alone.

    `seed`: commands that are done first; `made`: what was made up, for people to read.
    """

    name: str
    trigger: str = Trigger.CALL.value
    keys: Sequence[bytes] = ()
    args: Sequence[bytes] = ()
    word: str = ""
    seed: Sequence[Sequence[str]] = ()
    made: str = ""


def run_of(
    sproc: Sproc, keys: Sequence[str], args: Sequence[str], seed: Sequence[Sequence[str]] = (), event: str = ""
) -> Run:
    """The run that somebody asks for: a call if there are arguments, else what its header says would run it.

    Raises:
        SettingsError: the sproc has no such event, or arguments come with it.
    """
    given = tuple(map(raw, keys))
    if event:
        _check(sproc, event, args)
    if args or not (event or EVENT.KEY in sproc.values or sproc.scheduled):
        return Run(sproc.name, Trigger.CALL.value, given, tuple(map(raw, args)), seed=seed)
    if not event and EVENT.KEY not in sproc.values:
        return _scheduled(sproc)._replace(seed=seed)
    events = typed(sproc.values, EVENT.KEY)
    event = event or next((one for one in events if one != "*"), "set")
    key = keys[0] if keys else example_key(typed(sproc.values, "key")[0])
    made = f"for the event {event} of the key {key!r}"
    if event == "set" and not seed:
        seed, made = [("SET", key, EXAMPLE, "NX")], f"{made}, which gets the value {EXAMPLE!r} if it is missing"
    return Run(sproc.name, Trigger.EVENT.value, (raw(key),), (), event, seed, made)


def _check(sproc: Sproc, event: str, args: Sequence[str]) -> None:
    events = typed(sproc.values, EVENT.KEY) if EVENT.KEY in sproc.values else ()
    if event not in events and "*" not in events:
        has = f"its header has event={','.join(events)}" if events else "its header has no event="
        raise SettingsError(f"{sproc.name} does not run for the event {shown(event)}: {has}")
    if args:
        raise SettingsError("give an event or arguments, not both: an event makes its own")


def run_of_record(
    record: Execution, keys: Sequence[str], args: Sequence[str], seed: Sequence[Sequence[str]] = ()
) -> Run:
    """The run that a record tells of. Of a call it has one key and no arguments: those may be given.

    Raises:
        SettingsError: keys or arguments are given for a run that has its own.
    """
    if (keys or args) and (record.event or record.trigger in {Trigger.EVENT, Trigger.CRON}):
        raise SettingsError(f"the execution {record.id} has its own key and arguments: give none")
    own = (raw(record.key),) if record.key else ()
    if record.trigger == Trigger.EVENT or record.event:
        made = (
            f"again as the execution {record.id}: for the event {record.event} of {record.key!r}, with its value of now"
        )
        return Run(record.sproc, Trigger.EVENT.value, own, (), record.event, seed, made)
    if record.trigger == Trigger.CRON:
        made = f"again as the execution {record.id}: as scheduled, at {record.origin}"
        return Run(record.sproc, Trigger.CRON.value, (), (), record.origin, seed, made)
    made = "" if args else f"again as the execution {record.id}, without its arguments, which no record has: give them"
    own = tuple(dict.fromkeys([*own, *map(raw, keys)]))
    return Run(record.sproc, Trigger.CALL.value, own, tuple(map(raw, args)), "", seed, made)


def _scheduled(sproc: Sproc) -> Run:
    due_ms = Recurrence.parse(*schedule_of(sproc.values)).next_after(time.time() * 1000)
    seconds = f"{(due_ms or time.time() * 1000) / 1000:.0f}"
    return Run(sproc.name, Trigger.CRON.value, word=seconds, made=f"as scheduled, at {seconds}")


def example_key(glob: str) -> str:
    """A key that a glob matches."""
    return _SET.sub(r"\1", glob).replace("*", "1").replace("?", "1").replace("\\", "")
