"""Makes the table of commands that editors have without a server: COMMAND DOCS of the embedded Valkey over redis-server's."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from luasprocs.language.editor.command_docs import FILE, flat
from luasprocs.server.connection import connect
from luasprocs.server.embedded import EmbeddedServer
from sync.console import Console


def told_by(binary: str | None) -> dict[str, Any]:
    """The table of one server; None: the embedded one."""
    with (
        tempfile.TemporaryDirectory(prefix="luasprocs-docs-") as folder,
        EmbeddedServer(Path(folder), persistent=False, binary=Path(binary) if binary else None) as server,
        connect(server.url) as client,
    ):
        return flat(client.execute_command("COMMAND DOCS"))


def main() -> int:
    """Writes the table."""
    binary = shutil.which("redis-server")
    found = (told_by(binary) if binary else {}) | told_by(None)
    text = json.dumps(dict(sorted(found.items())), separators=(",", ":"), ensure_ascii=False)
    FILE.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    Console.of_process().line(f"{len(found)} commands in {FILE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
