"""A source as lines that a terminal can show, coloured as Lua. Pure."""

from __future__ import annotations

from functools import lru_cache

from rich.style import Style
from rich.syntax import ANSI_DARK, ANSI_LIGHT, ANSISyntaxTheme, Syntax
from rich.text import Text

from luasprocs_tui.values.safe import clean

LINE_CHARACTERS = 2000
"""Of one line shown; the rest is cut with `…`."""

HIGHLIGHT_CHARACTERS = 500_000
"""A longer source is shown without colours: pygments needs a second for each 500 kB."""

_ON_DARK, _ON_LIGHT = (
    ANSISyntaxTheme({token: Style() if "red" in str(style) else style for token, style in theme.items()})
    for theme in (ANSI_DARK, ANSI_LIGHT)
)
"""Rich's own, but for the red of errors, which variables have there."""


@lru_cache(8)  # the one beside the list is read again and again
def lines_of(source: bytes, *, dark: bool = True) -> tuple[Text, ...]:
    """A source as safe lines, coloured as Lua. Bytes that are not UTF-8 show as U+FFFD."""
    plain = source.decode("utf-8", "replace").replace("\r\n", "\n").removesuffix("\n").split("\n")
    safe = [clean(line.expandtabs(4), LINE_CHARACTERS) for line in plain]
    text = "\n".join(safe)
    if len(text) > HIGHLIGHT_CHARACTERS:
        return tuple(Text(line, end="") for line in safe)
    theme = _ON_DARK if dark else _ON_LIGHT
    coloured = list(Syntax("", "lua", theme=theme).highlight(text).split("\n", allow_blank=True))
    # pygments must never add or lose a line: numbers would lie.
    whole = [line.plain for line in coloured[: len(safe)]] == safe
    return tuple(coloured[: len(safe)] if whole else map(Text, safe))
