"""A function library of our name that isn't ours: only --adopt replaces it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.daemons import DaemonProcess

if TYPE_CHECKING:
    from tests.sync.commands.hub import Hub
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


def test_an_edit_and_a_rollback_leave_it_alone_too(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.commit(a="return 2")
    shell.ok("sync")
    shell.redis.execute_command("FUNCTION", "FLUSH")
    shell.redis.function_load(THEIRS)
    for words in (["edit", "a.lua", "--set", "tags=x"], ["rollback"]):
        refused = shell(*words)
        assert (refused.code, "another function library" in refused.err) == (2, True), words
    assert shell.redis.fcall("theirs", 0) == 7
    shell.redis.execute_command("FUNCTION", "FLUSH")
    shell.ok("rollback")
    shell.ok("edit", "a.lua", "--set", "tags=x")
    assert shell.ok("execute", "a.lua").out == "1\n"


def test_a_flushed_engine_comes_back_without_a_word(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.execute_command("FUNCTION", "FLUSH")
    shell.commit(a="return 2")
    shell.ok("sync")
    assert shell.ok("execute", "a.lua").out == "2\n"


def test_plan_says_it_before_sync_does(shell: Shell) -> None:
    shell.redis.function_load(THEIRS)
    shell.commit(a="return 1")
    said = shell("plan")
    assert (said.code, "another function library" in said.err, "--adopt" in said.err) == (2, True, True)
    assert "library luasprocs" in shell("plan", "--json").json["refused"]
    assert shell("plan", "--adopt").code == 1
    shell.redis.execute_command("FUNCTION", "DELETE", "luasprocs")
    shell.redis.function_load(THEIRS.replace("name=luasprocs", "name=other").replace("'theirs'", "'luasprocs_call'"))
    for words in (["plan"], ["sync"], ["plan", "--adopt"], ["sync", "--adopt"]):
        assert "another function library" in shell(*words).err, words
    shell.redis.execute_command("FUNCTION", "DELETE", "other")
    shell.ok("sync")


def test_a_function_that_another_library_has_is_told_by_plan_and_by_a_push(shell: Shell, hub: Hub) -> None:
    reserve = "-- function=reserve\nreturn 1"
    shell.redis.function_load("#!lua name=other\nredis.register_function('Reserve', function() return 7 end)")
    shell.commit(a=reserve)
    said, wanted = shell("plan"), "sprocs/a.lua:1:13: function reserve belongs to the library other"
    assert (said.code, wanted in said.err) == (1, True)
    assert wanted in shell("plan", "--json").json["refused"]
    hub.commit(a=reserve)
    code, told = hub.push()
    assert (code, wanted in told, "push refused" in told) == (1, True, True)
    assert hub.revision() == {}
    hub.commit(a=reserve.replace("reserve", "hold"))
    hub.pushed()
    assert shell.redis.fcall("hold", 0) == 1
    hub.commit(b=reserve.replace("reserve", "HOLD"))
    assert "function HOLD is a.lua's already" in hub.push()[1]


def test_a_push_over_a_foreign_library_says_so(shell: Shell, hub: Hub) -> None:
    shell.redis.function_load(THEIRS)
    hub.commit(a="return 1")
    assert "not compared with what is live: another function library" in hub.pushed()
    assert hub.revision() == {}
