"""What a client may ask for when it launches a session."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from luasprocs.contract.encoding import is_text
from luasprocs.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Configuration(NamedTuple):
    """What `launch` takes. `redis` and `environment` (a context's name) "": a throw-away server.

    `execution`: the id of a record, whose key, event and value are taken from there; then it runs on a throw-away server, too.
    """

    program: Path
    keys: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    seed: tuple[tuple[str, ...], ...] = ()
    redis: str = ""
    execution: str = ""
    environment: str = ""
    namespace: str = ""
    event: str = ""
    stop_on_entry: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """From a client's JSON.

        Raises:
            SettingsError: a value can't be used.
        """
        program = _text(given, "program")
        if not program:
            raise SettingsError('launch needs "program": the path of a sproc')
        if _text(given, "execution") and _text(given, "event"):
            raise SettingsError("give execution or event, not both: a record has its own event")
        stop = given.get("stopOnEntry", False)
        if not isinstance(stop, bool):
            raise SettingsError("stopOnEntry: take true or false")
        return cls(
            Path(program).absolute(),  # an async sproc works in another folder
            _texts(given, "keys"),
            _texts(given, "args"),
            read_seed(given.get("seed")),
            stop_on_entry=stop,
            **{name: _text(given, name) for name in ("redis", "execution", "environment", "namespace", "event")},
        )


def _text(given: Mapping[str, Any], name: str) -> str:
    value: str = given.get(name) or ""
    if not is_text(value) or "\0" in value:
        raise SettingsError(f"{name}: take a text")
    return value


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name) or []
    if not isinstance(value, list) or not all(map(is_text, value)):
        raise SettingsError(f"{name}: take a list of texts")
    return tuple(value)


def read_seed(given: Any) -> tuple[tuple[str, ...], ...]:
    """Commands from a file's path, one a line, or from a list of lines, or of lists of words."""
    if given is None or given == "":
        return ()
    if isinstance(given, str):
        try:
            lines: list[Any] = Path(given).read_text("utf-8").split("\n")
        except (OSError, ValueError) as error:
            raise SettingsError(f"seed: {given} can't be read: {error}") from error
    elif isinstance(given, list):
        lines = given
    else:
        raise SettingsError("seed: take a file of commands, or a list of them")
    return tuple(words for line in lines if (words := _words(line)))


def _words(line: Any) -> tuple[str, ...]:
    if isinstance(line, list) and all(map(is_text, line)):
        return tuple(line)
    if not is_text(line):
        raise SettingsError("seed: a command is a text, or a list of words")
    if line.lstrip().startswith("#"):
        return ()
    try:
        return tuple(shlex.split(line))
    except ValueError as error:
        raise SettingsError(f"seed: {line!r}: {error}") from error
