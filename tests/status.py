"""What `luasprocs status --json` says to somebody who has no repository at hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.until import until

if TYPE_CHECKING:
    from tests.servers import Server


def status(server: Server) -> tuple[int, dict[str, Any]]:
    """The exit code, and what is printed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LUASPROCS_", "GIT_"))}
    command = [sys.executable, "-m", "sync.cli", "--redis", server.url, "status", "--json"]
    done = subprocess.run(command, cwd="/", env=environ, capture_output=True, check=False, timeout=60)
    assert not done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def finding(server: Server, code: str) -> dict[str, Any]:
    """Waits until it has a finding, which makes it exit with 1."""

    def found() -> dict[str, Any] | None:
        exit_code, said = status(server)
        one: dict[str, Any] | None = next((one for one in said["findings"] if one["code"] == code), None)
        assert exit_code == 1 or one is None, said
        return one

    return until(found, what=lambda: status(server))  # type: ignore[no-any-return]
