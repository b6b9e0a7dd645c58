"""Types what a page of the docs shows, as its reader would."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reader:
    """Types the blocks of a page into one shell, each when what the one before shows in comments has been printed.

    `typed`: what is typed in place of words of the page; `programs`: the command behind a name, beside `redis-cli`.
    """

    def __init__(self, folder: Path, typed: Mapping[str, str], programs: Mapping[str, str]) -> None:
        redis_cli = shutil.which("redis-cli") or pytest.skip("redis-cli is not on PATH")
        own_programs = folder / "bin"
        own_programs.mkdir()
        for name, words in {"redis-cli": redis_cli, **programs}.items():
            program = own_programs / name
            program.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
            program.chmod(0o755)
        own = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "LUASPROCS_"))}
        git_config = folder / "gitconfig"
        git_config.write_text("[user]\n\tname = Reader\n\temail = reader@example.invalid\n")
        own |= {"GIT_CONFIG_GLOBAL": str(git_config), "GIT_CONFIG_NOSYSTEM": "1"}
        own["PATH"] = f"{own_programs}:{Path(sys.executable).parent}:{own['PATH']}"
        self._output, self._typed = folder / "output", typed
        with self._output.open("wb") as output:
            self._shell = subprocess.Popen(
                ["bash"], stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=folder, env=own, start_new_session=True
            )  # fmt: skip

    @property
    def printed(self) -> str:
        """All of it."""
        return self._output.read_text(encoding="utf-8")

    def type(self, block: str) -> None:
        """Runs a block. Whatever its comments show must be printed, in that order."""
        assert self._shell.stdin is not None
        place = self._output.stat().st_size
        for shown, used in self._typed.items():
            block = block.replace(shown, used)
        self._shell.stdin.write(block.encode())
        self._shell.stdin.flush()
        wanted = [" ".join(shown.split()) for shown in re.findall(r"  # (.*)", block)]
        deadline = time.monotonic() + PATIENCE_S
        while (missing := self._missing(wanted, place)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not missing, f"{missing}\n{self.printed}"

    def _missing(self, wanted: list[str], place: int) -> str:
        """The first of the wanted texts that has not been printed since `place`; or ""."""
        printed = " ".join(self._output.read_bytes()[place:].decode().split())
        for text in wanted:
            _, found, printed = printed.partition(text)
            if not found:
                return text
        return ""

    def stop(self) -> None:
        """Ends the shell, and what still runs in it."""
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.communicate()


def shell_blocks(page: str) -> list[str]:
    """Those of a page in Markdown."""
    return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
