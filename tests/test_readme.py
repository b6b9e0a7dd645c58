"""README.md as it stands: its shell blocks run in order, in one shell, against one server."""

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

from tests.paths import ROOT
from tests.until import PATIENCE_S

if TYPE_CHECKING:
    from tests.servers import Server

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
URL = "redis://127.0.0.1:6379/0"


class Reader:
    """Types the blocks of README into one shell, each when what the one before shows in comments has been printed."""

    def __init__(self, folder: Path, server: Server) -> None:
        redis_cli = shutil.which("redis-cli") or pytest.skip("redis-cli is not on PATH")
        programs = folder / "bin"
        programs.mkdir()
        (programs / "redis-cli").write_text(f'#!/bin/sh\nexec {redis_cli} -p {server.port} "$@"\n')
        (programs / "redis-cli").chmod(0o755)
        own = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "LUASPROCS_"))}
        git_config = folder / "gitconfig"
        git_config.write_text("[user]\n\tname = Reader\n\temail = reader@example.invalid\n")
        own |= {"GIT_CONFIG_GLOBAL": str(git_config), "GIT_CONFIG_NOSYSTEM": "1"}
        own["PATH"] = f"{programs}:{Path(sys.executable).parent}:{own['PATH']}"
        self._output = folder / "output"
        self._url = server.url
        with self._output.open("wb") as output:
            self._shell = subprocess.Popen(
                ["bash"], stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=folder, env=own, start_new_session=True
            )  # fmt: skip

    def type(self, block: str) -> None:
        """Runs a block. Whatever its comments show must be printed, in that order."""
        assert self._shell.stdin is not None
        place = self._output.stat().st_size
        self._shell.stdin.write(block.replace(URL, self._url).encode())
        self._shell.stdin.flush()
        wanted = [" ".join(shown.split()) for shown in re.findall(r"  # (.*)", block)]
        deadline = time.monotonic() + PATIENCE_S
        while (missing := self._missing(wanted, place)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not missing, f"{missing}\n{self._output.read_text()}"

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


def test_the_shell_blocks_run_in_order(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    assert URL in blocks[0]
    reader = Reader(tmp_path, server)
    try:
        for block in blocks:
            reader.type(block)
    finally:
        reader.stop()
    (python,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(python.replace(URL, server.url), "README.md", "exec"), {})
    assert capsys.readouterr().out == "hello you, number 4\n"


def test_each_link_leads_to_a_file_and_a_heading() -> None:
    """Of the README and of docs/, whose headings others link to."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith(("https:", "http:")):
                continue
            name, _, anchor = target.partition("#")
            path = page.parent / name if name else page
            assert path.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in _anchors(path), f"{page.name}: {target}"


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
