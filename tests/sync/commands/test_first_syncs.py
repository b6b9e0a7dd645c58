"""Two first syncs at once, by two processes: both end well, and one engine is there."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from luasprocs.contract.keys import Keys
from tests.until import until

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

PAUSE_MS = 60_000


def loading(shell: Shell) -> int:
    """How many clients' FUNCTION LOAD waits for the server."""
    return sum(one["cmd"] == "function|load" for one in shell.redis.client_list())


def begun(shell: Shell, *args: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "sync.cli", *args],
        cwd=shell.repo,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_the_second_of_two_first_syncs_plans_again(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.redis.execute_command("CLIENT", "PAUSE", PAUSE_MS, "WRITE")
    both = [begun(shell, "sync"), begun(shell, "sync")]
    try:
        until(lambda: loading(shell) == 2)  # both have seen an empty server
        shell.redis.execute_command("CLIENT", "UNPAUSE")
        said = [one.communicate(timeout=60) for one in both]
    finally:
        shell.redis.execute_command("CLIENT", "UNPAUSE")
        for one in both:
            one.kill()
            one.wait()
    assert [one.returncode for one in both] == [0, 0], said
    assert [err for _, err in said] == [b"", b""]
    assert shell.redis.hget(Keys().revision, "generation") == b"1"
    assert len(shell.redis.execute_command("FUNCTION", "LIST")) == 1
    assert shell.ok("execute", "a.lua").out == "1\n"
