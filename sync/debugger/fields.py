"""What a request has in its fields, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from luasprocs.contract.encoding import is_text
from luasprocs.errors import LuasprocsError


class RefusedError(LuasprocsError):
    """A request that can't be answered; its text says why."""


def field(given: Mapping[str, Any], name: str) -> Any:
    """The value of `a.b`; None if it is missing. Raises RefusedError: `a` is no object."""
    outer, _, inner = name.partition(".")
    value = given.get(outer)
    if not inner or value is None:
        return value
    if not isinstance(value, Mapping):
        raise RefusedError(f"{outer} is no object")
    return field(value, inner)


def text(given: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = _found(given, name, default)
    if not isinstance(value, str):
        raise RefusedError(f"{name} is no text")
    if not is_text(value):
        raise RefusedError(f"{name} has half of a character (a lone surrogate)")
    return value


def number(given: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = _found(given, name, default)
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise RefusedError(f"{name} is no whole number from 0 on")
    return value


def objects(given: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = _found(given, name, [])
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise RefusedError(f"{name} is no list of objects")
    return value


def _found(given: Mapping[str, Any], name: str, default: Any) -> Any:
    value = field(given, name)
    if value is None:
        value = default
    if value is None:
        raise RefusedError(f"{name} is missing")
    return value
