"""README.md as it stands: its shell blocks run in order, in one shell, against one server."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from tests.paths import ROOT
from tests.reader import Reader, shell_blocks

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.servers import Server

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
URL = "redis://127.0.0.1:6379/0"


def test_the_shell_blocks_run_in_order(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = shell_blocks(PAGE)
    assert len(blocks) == 5
    assert URL in blocks[0]
    reader = Reader(tmp_path, {URL: server.url}, {"redis-cli": f"{shutil.which('redis-cli')} -p {server.port}"})
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
