"""States of a server that pass, by the texts of its errors; without redis-py, which workers don't load."""

from __future__ import annotations

MISSING_FUNCTION = "unction not found"
"""Redis: "Function", later "function"."""
_PASSING = (b"BUSY ", b"LOADING ", b"MASTERDOWN ")


def passes(text: bytes) -> bool:
    """Whether the command was refused by a state that passes: the engine is missing, or the server is busy or loading.

    Nothing of the command was done, so that it can be sent again.
    """
    return text.startswith(_PASSING) or (text.startswith(b"ERR ") and text.endswith(MISSING_FUNCTION.encode()))
