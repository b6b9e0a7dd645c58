"""docs/keys.md as it stands: its sprocs become live, and what it types answers what it says."""

from __future__ import annotations

import re
import shlex
import time
from typing import Any

import pytest
from redis.exceptions import ResponseError

from luasprocs.contract.metadata import KEYS as METADATA_KEYS
from sync.reply import formatted
from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.paths import ROOT
from tests.until import PATIENCE_S

PAGE = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`sprocs/(\S+)`\n```lua\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def typed() -> list[tuple[str, str]]:
    """Each command with the answer that the page shows; "" where it shows none."""
    found = []
    for block in re.findall(r"^```redis\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        for command, answer in re.findall(r"^> (.*)\n((?:(?!> ).*\n)*)", block, re.MULTILINE):
            found.append((command, answer.strip()))
    return found


def test_every_key_has_an_example() -> None:
    assert {key for key in METADATA_KEYS if not any(f"-- {key}=" in source for source in FILES.values())} == set()
    assert len(typed()) > 30


@pytest.mark.timeout(180)
def test_the_page_runs(server, tmp_path):
    client = server.client()
    put(client, *(sproc(name, source) for name, source in FILES.items()))
    connection = client.connection_pool.get_connection()

    def answer(command: str) -> str:
        connection.send_command(*shlex.split(command))
        try:
            reply: Any = connection.read_response()
        except ResponseError as error:
            reply = error
        return formatted(reply)

    try:
        with DaemonProcess(server.url, cwd=tmp_path):
            for command, wanted in typed():
                deadline = time.monotonic() + PATIENCE_S
                while (found := answer(command)) != wanted and wanted:
                    again = command.split()[0] in {"GET", "HGET", "EXISTS", "SMEMBERS"}
                    assert again, (command, found, wanted)
                    assert time.monotonic() < deadline, (command, found, wanted)
                    time.sleep(0.05)
    finally:
        client.connection_pool.release(connection)
    assert (tmp_path / ".luasprocs" / "files" / "export.txt").read_text() == "export:1\tdata\n"
