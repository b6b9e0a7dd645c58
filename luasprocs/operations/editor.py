"""A file in the user's editor."""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import TYPE_CHECKING

from luasprocs.errors import SettingsError
from luasprocs.language.values import shown

if TYPE_CHECKING:
    from pathlib import Path


def in_editor(path: Path) -> None:
    """Opens a file in $VISUAL, or $EDITOR, or vi, until that ends. Takes the terminal. What was saved stays, however it ends.

    Raises:
        SettingsError: the editor can't be started, or ended with another exit code than 0.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(path)], check=False)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"the editor {shown(editor)} can't be started: {why}") from error
    if done.returncode != 0:
        raise SettingsError(f"the editor {shown(editor)} ended with exit code {done.returncode}: nothing was changed")
