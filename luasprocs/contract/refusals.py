"""Codes by which the engine refuses to run something. A module of its own: an application that calls sprocs imports no more."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """A word, and its meaning for documentation."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Code:
        """A member is its word."""
        code = str.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code


class Refusal(Code):
    """The first word of an error by which the engine refuses to run something."""

    NOSPROC = "NOSPROC", "no sproc of that name is live"
    DISABLED = "DISABLED", "the sproc's header says `enabled=no`"
    LIBRARY = "LIBRARY", "the sproc is `library=yes`: other sprocs require it"
    ASYNC = "ASYNC", "the sproc is `runasync=yes`: enqueue it"
    NOTASYNC = "NOTASYNC", "the sproc is not `runasync=yes`: call it"
    NOTREADONLY = "NOTREADONLY", "the sproc is not `readonly=yes`: call it with FCALL"
    NORECORD = "NORECORD", "the user may not write records"
    OOM = "OOM", "the server is full, and the sproc's header doesn't say `oom=allow`; the server's own code"
    DIRTY = "DIRTY", "a key of the registry was changed by hand: sync again"
