"""A source in the user's editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from luasprocs.errors import SettingsError
from luasprocs.language.values import shown


def in_editor(name: str, source: bytes) -> bytes:
    """What $VISUAL, or $EDITOR, or vi leaves of a source. Takes the terminal.

    Raises:
        SettingsError: the editor can't be started, or ended with another exit code than 0.
    """
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="luasprocs-") as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(source)
        try:
            done = subprocess.run([*shlex.split(editor), str(path)], check=False)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise SettingsError(f"the editor {shown(editor)} can't be started: {why}") from error
        if done.returncode != 0:
            raise SettingsError(
                f"the editor {shown(editor)} ended with exit code {done.returncode}: nothing was changed"
            )
        return path.read_bytes()
