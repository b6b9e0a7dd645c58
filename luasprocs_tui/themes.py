"""The colours that can be chosen."""

from __future__ import annotations

import os

from rich.terminal_theme import TerminalTheme
from textual.theme import Theme

LIGHT = Theme(
    name="luasprocs-light",
    primary="#004578",
    secondary="#0178D4",
    warning="#ffa62b",
    error="#ba3c5b",
    success="#4EBF71",
    accent="#ffa62b",
    background="#E0E0E0",
    surface="#D8D8D8",
    panel="#D0D0D0",
    dark=False,
    variables={
        "footer-key-foreground": "#004578",
        "text-warning": "#7d4f00",
        "text-accent": "#7d4f00",
        "boost": "#c8c8c8",
    },
)
"""Textual's own light one, but for colours that are too pale to be read on it."""
CONTRAST = Theme(
    name="luasprocs-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#00ffff",
    warning="#ffff00",
    error="#ff5050",
    success="#00ff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#202020",
    text_alpha=1.0,
    variables={
        "block-cursor-background": "#ffff00",
        "block-cursor-foreground": "#000000",
        "text-muted": "#ffffff",
        "boost": "#303030",
    },
)
NAMES = {"dark": "textual-dark", "light": LIGHT.name, "contrast": CONTRAST.name}
_RED, _GREEN, _YELLOW = (255, 85, 105), (152, 224, 36), (253, 171, 51)
_BLUE, _MAGENTA, _CYAN = (157, 121, 255), (215, 145, 215), (88, 209, 235)
ON_DARK = TerminalTheme(
    (12, 12, 12),
    (217, 217, 217),
    [(26, 26, 26), _RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN, (196, 197, 181)],
    [(140, 136, 118), _RED, _GREEN, (224, 213, 97), _BLUE, _MAGENTA, _CYAN, (246, 246, 239)],
)
"""What the names of the sixteen colours mean on a dark background: what is magenta in a source isn't the red of errors."""
ON_LIGHT = TerminalTheme(
    (216, 216, 216),
    (0, 0, 0),
    [(0, 0, 0), (160, 30, 30), (30, 100, 20), (125, 79, 0), (40, 75, 170), (122, 62, 157), (0, 95, 135), (85, 85, 85)],
    [
        (85, 85, 85),
        (160, 30, 30),
        (30, 100, 20),
        (125, 79, 0),
        (40, 75, 170),
        (122, 62, 157),
        (0, 95, 135),
        (60, 60, 60),
    ],
)
"""Each dark enough to be read: at least 4.5 to 1 against a surface of LIGHT."""


def named_colours(theme: TerminalTheme) -> TerminalTheme:
    """The same; for NO_COLOR without colours: red would be a grey that is hard to read."""
    if "NO_COLOR" not in os.environ:
        return theme
    text, back = theme.foreground_color, theme.background_color
    return TerminalTheme(back, text, [text] * 8)
