"""What a run was given, as far as its record and the keys of now say. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from luasprocs.contract.codes import Trigger
from luasprocs_tui.values.safe import clean

if TYPE_CHECKING:
    from luasprocs.state.executions import Execution


@dataclass(frozen=True, slots=True)
class Rerun:
    """Keys and arguments, as a shell takes words; `note`: how far they are those of the run."""

    keys: str
    args: str
    note: str


@dataclass(frozen=True, slots=True)
class ValueNow:
    """Of a key. `text`: None if it is no string, or a long one; `kind`: its type, `none` if it is gone."""

    text: str | None
    kind: str


def _typable(text: str) -> bool:
    return clean(text, len(text) + 1) == text


def rerun(record: Execution, value: ValueNow | None = None) -> Rerun:
    """For a run like that of a record. `value`: of the key of an event."""
    if not _typable(record.key):
        return Rerun("", "", "the key has characters that no line can hold: luasprocs execute takes it")
    key = shlex.quote(record.key) if record.key else ""
    if record.trigger == Trigger.CRON:
        return Rerun("", shlex.join((record.origin, "cron")), "ARGV: the scheduled time, as that run had it")
    if record.trigger != Trigger.EVENT or value is None:
        return Rerun(key, "", _of_call(record))
    if value.text is None or not _typable(value.text):
        return Rerun(
            key,
            "",
            f"records keep no value, and that of the key ({value.kind}) can't stand here: ARGV is value, event, type",
        )
    args = shlex.join((value.text, record.event, value.kind))
    return Rerun(key, args, "ARGV: value, event, type; the value is that of now, as records keep none")


def _of_call(record: Execution) -> str:
    known = (
        "its first key is known; other KEYS and ARGV are not" if record.key else "it had no KEYS; its ARGV is not known"
    )
    dead = " (a job that is dead has it: J)" if record.trigger == Trigger.ASYNC else ""
    return f"{known}, as records don't keep them: add what that run had{dead}"
