"""The colours that can be chosen."""

from __future__ import annotations

from textual.theme import Theme

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
    variables={"block-cursor-background": "#ffff00", "block-cursor-foreground": "#000000", "text-muted": "#ffffff"},
)
NAMES = {"dark": "textual-dark", "light": "textual-light", "contrast": CONTRAST.name}
