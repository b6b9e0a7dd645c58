"""What a command that is half typed can become. Pure."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def completions(typed: str, names: Iterable[str], words: Mapping[str, Iterable[str]]) -> list[str]:
    """All of them. `names`: of commands; `words`: what may stand behind each that takes something."""
    name, blank, rest = typed.partition(" ")
    if not blank:
        return [one for one in names if one.startswith(name)]
    return [f"{name} {word}" for word in words.get(name, ()) if word.startswith(rest.lstrip())]


def completed(typed: str, found: list[str], words: Mapping[str, Iterable[str]]) -> str:
    """As far as it is sure: what all have in common, and a blank if only one is left and takes something."""
    if not found:
        return typed
    common = os.path.commonprefix(found)  # noqa: RUF071  # of texts, character by character
    return f"{common} " if len(found) == 1 and common in words else common
