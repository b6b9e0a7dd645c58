"""Commands whose connection breaks before or after the server has done it: they say which it was, or that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.registry.history import read_history
from luasprocs.server.registry import Registry
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sync.commands.shell import Result, Shell

KEYS = Keys()
EXEC = "EXEC PUBLISH"


@pytest.fixture
def proxy(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Between the shell and a server with two generations and a commit that is not live yet."""
    for number in range(2):
        shell.commit(a=f"return {number}", b="-- event=set\nreturn 1")
        shell.ok("sync")
    shell.commit(a="return 3")
    with Proxy(shell.server.port) as found:
        monkeypatch.setenv("LUASPROCS_REDIS", found.url)
        yield found


def cut(shell: Shell, proxy: Proxy, kind: str, *command: str, after: bool = True) -> Result:
    proxy.cut_command(kind=kind, after=after)
    said = shell(*command)
    assert proxy.command_cut.is_set(), said
    return said


def actions(shell: Shell) -> list[str]:
    """Of the generations, the oldest first."""
    return [one.action for one in reversed(read_history(Registry(shell.redis, KEYS)))]


@pytest.mark.parametrize(
    ("command", "action"),
    [(("sync",), "sync"), (("rollback",), "rollback to 1"), (("edit", "a.lua", "--set", "timeout=2s"), "edit")],
)
def test_what_was_applied_though_its_reply_was_lost_is_done(
    shell: Shell, proxy: Proxy, command: tuple[str, ...], action: str
) -> None:
    said = cut(shell, proxy, EXEC, *command)
    assert (said.code, said.err) == (0, ""), said
    assert "generation 3" in said.out
    assert actions(shell) == ["sync", "sync", action]


def test_what_was_not_applied_is_done_again_or_said_to_be_not(shell: Shell, proxy: Proxy) -> None:
    said = cut(shell, proxy, EXEC, "rollback", after=False)
    assert (said.code, "nothing of it is live" in said.err) == (2, True), said
    assert actions(shell) == ["sync", "sync"]
    assert "generation 3" in cut(shell, proxy, EXEC, "edit", "a.lua", "--set", "timeout=2s", after=False).out
    assert "generation 4" in cut(shell, proxy, EXEC, "sync", "--discard-edits", after=False).out
    assert actions(shell) == ["sync", "sync", "edit", "sync"]


def test_a_pin_that_is_lifted_while_the_connection_breaks(shell: Shell, proxy: Proxy) -> None:
    shell.ok("rollback")
    said = cut(shell, proxy, EXEC, "unpin", after=False)
    assert (said.code, "nothing of it is live" in said.err) == (2, True), said
    assert cut(shell, proxy, EXEC, "unpin").code == 0
    assert actions(shell)[-1] == "unpin"


def test_a_connection_that_breaks_while_the_change_is_read_back(shell: Shell, proxy: Proxy) -> None:
    assert "generation 3" in cut(shell, proxy, KEYS.function("verify"), "sync").out


def test_a_server_that_is_gone_then_leaves_it_open(shell: Shell, proxy: Proxy) -> None:
    proxy.refused_then = "HGETALL"
    said = cut(shell, proxy, EXEC, "sync")
    assert (said.code, said.out) == (2, "")
    assert "it may or may not have been applied: look with luasprocs history" in said.err
    assert actions(shell) == ["sync"] * 3


@pytest.mark.parametrize(
    ("kind", "command", "look"),
    [
        (EXEC, ("pause", "b.lua"), "status"),
        (EXEC, ("resume", "b.lua"), "status"),
        ("EXEC HSET", ("suspend",), "status"),
        ("DEL", ("unsuspend",), "status"),
        (KEYS.function("job"), ("jobs", "retry", "x"), "jobs list"),
        (KEYS.function("job"), ("jobs", "drop", "x"), "jobs list"),
        (KEYS.function("run"), ("execute", "a.lua"), "logs"),
    ],
)
def test_what_may_have_been_done_is_said_to_be_open(
    shell: Shell, proxy: Proxy, kind: str, command: tuple[str, ...], look: str
) -> None:
    for after in (False, True):
        said = cut(shell, proxy, kind, *command, after=after)
        assert (said.code, said.out) == (2, ""), said
        assert f"it may or may not have been done; look with luasprocs {look} before you repeat it" in said.err


def test_where_nothing_answers_nothing_was_done(shell: Shell, proxy: Proxy) -> None:
    proxy.refused = "CLIENT SETNAME"
    for command in (("pause", "b.lua"), ("sync",), ("execute", "a.lua")):
        said = shell(*command)
        assert (said.code, "may or may not" in said.err) == (2, False), said
