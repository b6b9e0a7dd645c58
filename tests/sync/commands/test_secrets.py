"""A password is never shown, whatever goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

pytestmark = pytest.mark.parametrize("server_kind", ["valkey"], indirect=True)
"""What is said of a URL is said before a server, or by all in the same words."""

SECRET = "hunter2%40x"
FORMS = ("hunter2", "%40x")
COMMANDS = [
    ("status",),
    ("sync",),
    ("plan",),
    ("list",),
    ("show", "a.lua"),
    ("history",),
    ("rollback",),
    ("execute", "a"),
]


def urls(shell: Shell) -> dict[str, str]:
    port = shell.server.port
    return {
        "wrong password": f"redis://default:{SECRET}@127.0.0.1:{port}",
        "wrong user": f"redis://nobody:{SECRET}@127.0.0.1:{port}",
        "nobody there": f"redis://default:{SECRET}@127.0.0.1:1",
        "no such host": f"redis://:{SECRET}@no-host.invalid:6379",
        "no TLS there": f"rediss://u:{SECRET}@127.0.0.1:{port}?socket_timeout=1",
        "no socket": f"unix://u:{SECRET}@/nowhere/redis.sock",
        "password as query": f"redis://127.0.0.1:1?password={SECRET}",
        "another scheme": f"http://u:{SECRET}@127.0.0.1",
        "bad port": f"redis://u:{SECRET}@127.0.0.1:port",
        "bad db": f"redis://u:{SECRET}@127.0.0.1:{port}/x",
        "bad option": f"redis://u:{SECRET}@127.0.0.1:{port}?socket_timeout=soon",
        "slash in it": f"redis://u:{SECRET}/x@127.0.0.1:{port}",
    }


@pytest.fixture
def guarded(shell: Shell) -> Shell:
    shell.commit(a="return 1")
    shell.redis.execute_command("ACL", "SETUSER", "default", "resetpass", ">right")
    return shell


def test_no_error_shows_it_not_even_a_traceback(guarded: Shell, monkeypatch) -> None:
    for what, url in urls(guarded).items():
        for args in (("--redis", url), ("--debug", "--redis", url)):
            said = guarded(*args, "list")
            assert said.code == 2, (what, said)
            assert not any(form in said.out + said.err for form in FORMS), (what, said)
            assert ("Traceback" in said.err) == ("--debug" in args), what
        monkeypatch.setenv("LUASPROCS_REDIS", url)
        said = guarded("list")
        assert said.code == 2
        assert not any(form in said.out + said.err for form in FORMS), (what, said)
        monkeypatch.delenv("LUASPROCS_REDIS")


def test_no_command_shows_it(guarded: Shell) -> None:
    for command in COMMANDS:
        said = guarded("--redis", urls(guarded)["wrong password"], *command)
        assert said.code == 2
        assert "refuses the user or the password" in said.err
        assert not any(form in said.err for form in FORMS)


def test_the_right_one_is_not_shown_either(guarded: Shell) -> None:
    url = f"redis://default:right@127.0.0.1:{guarded.server.port}"
    for args in (("sync",), ("status",), ("history",), ("execute", "a.lua"), ("sync", "--json")):
        said = guarded("--redis", url, *args)
        assert said.code == 0
        assert "right@" not in said.out + said.err
        assert ":right" not in said.out + said.err
