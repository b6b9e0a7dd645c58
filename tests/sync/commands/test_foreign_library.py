"""A function library of our name that isn't ours: only --adopt replaces it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.daemons import DaemonProcess

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

THEIRS = "#!lua name=luasprocs\nredis.register_function('theirs', function() return 7 end)"


def test_sync_and_daemon_leave_it_alone_until_adopt(shell: Shell) -> None:
    shell.redis.function_load(THEIRS)
    shell.commit(a="return 1")
    refused = shell("sync")
    assert (refused.code, "another function library" in refused.err, "--adopt" in refused.err) == (2, True, True)
    daemon = DaemonProcess(shell.server.url, before=("--repo", str(shell.repo)), command=("daemon",))
    try:
        daemon.spawn().until("another function library")
    finally:
        daemon.kill()
    assert shell.redis.fcall("theirs", 0) == 7
    shell.ok("sync", "--adopt")
    assert shell.ok("execute", "a.lua").out == "1\n"


def test_a_flushed_engine_comes_back_without_a_word(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.execute_command("FUNCTION", "FLUSH")
    shell.commit(a="return 2")
    shell.ok("sync")
    assert shell.ok("execute", "a.lua").out == "2\n"
