"""`luasprocs` itself: help, mistyped commands, completion, exit codes, interruption."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sync.cli import COMMANDS, run

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys) -> None:
    assert run([command, "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith(f"Usage: luasprocs {command} ")
    for line in said.out.split("Options:")[1].splitlines():
        if line.strip().startswith("--"):
            assert len(line.split("  ")) > 2, f"{line!r} explains nothing"


def test_help_lists_every_command_with_what_it_does(capsys) -> None:
    for option in ("--help", "-h"):
        assert run([option]) == 0
        out = capsys.readouterr().out
        for command, does in COMMANDS.items():
            assert f"  {command} " in out
            assert does.split()[0] in out


def test_without_a_command_the_help_is_shown_and_it_ends_with_2(capsys) -> None:
    assert run([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_the_version(capsys) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("luasprocs, version ")


@pytest.mark.parametrize(("typed", "meant"), [("stauts", "status"), ("synch", "sync"), ("exec", "execute")])
def test_a_mistyped_command_is_suggested(typed: str, meant: str, capsys) -> None:
    assert run([typed]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"Did you mean {meant!r}?" in said.err


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["--nope"],
        ["sync", "--nope"],
        ["show"],
        ["acl", "king"],
        ["rollback", "-1"],
        ["history", "-n", "0"],
    ],
)
def test_what_cannot_be_understood_ends_with_2(args: list[str], capsys) -> None:
    assert run(args) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "Error: " in said.err


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell_name: str, capsys) -> None:
    assert run(["completion", shell_name]) == 0
    assert "_LUASPROCS_COMPLETE" in capsys.readouterr().out


def test_bash_completes_commands_and_options(shell: Shell) -> None:
    script = (
        'eval "$(luasprocs completion bash)"\n'
        'COMP_WORDS=(luasprocs "$@"); COMP_CWORD=$#; _luasprocs_completion luasprocs; echo "${COMPREPLY[@]}"'
    )
    # A `luasprocs` on PATH, as an installation makes it.
    program = shell.repo.parent / "bin" / "luasprocs"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m sync.cli "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    for words, wanted in ((("s",), "sync status show suspend"), (("sync", "--ad"), "--adopt")):
        done = subprocess.run(
            ["bash", "-c", script, "bash", *words], env=os.environ | {"PATH": path}, capture_output=True, check=True
        )
        assert done.stderr == b""
        assert sorted(done.stdout.decode().split()) == sorted(wanted.split())


def test_an_interrupt_ends_with_130(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-m", "sync.cli", "--redis", url, "list"], stderr=subprocess.PIPE, cwd=tmp_path
        )
        connection, _ = silent.accept()
        with connection:
            try:
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=2)
            except subprocess.TimeoutExpired:
                # One that comes between Python's look for signals and the system call that waits is seen when that ends: in five
                # seconds, when the server is given up.
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert err.decode().strip() == "luasprocs: interrupted"


def test_a_surprise_is_one_line_and_ends_with_2(shell: Shell) -> None:
    # Somebody else's function of the engine's name, which answers nonsense.
    shell.redis.function_load(
        "#!lua name=other\nredis.register_function{function_name='luasprocs_schedules', flags={'no-writes'}, "
        "callback=function() return 1 end}"
    )
    said = shell("cron")
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert "TypeError" in said.err
    assert "--debug" in said.err


def test_a_traceback_is_shown_only_on_demand(shell: Shell) -> None:
    shell.commit(a="return 1", echo="return ARGV[1]")
    shell.ok("sync")
    assert "Traceback" not in shell("show", "nope.lua").err
    said = shell("--debug", "show", "nope.lua")
    assert said.code == 2
    assert "Traceback" in said.err
    assert shell.ok("execute", "echo.lua", "--", "--debug").out == "--debug\n"
    assert "Traceback" not in shell("execute", "nope.lua", "--", "--debug").err


def test_a_traceback_can_be_asked_for_by_any_setting(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    config = shell.repo.parent / "host.toml"
    config.write_text("debug = true\n")
    assert "Traceback" in shell("--config", str(config), "show", "nope.lua").err

    monkeypatch.setenv("LUASPROCS_DEBUG", "no")
    assert "Traceback" not in shell("--config", str(config), "show", "nope.lua").err
    monkeypatch.setenv("LUASPROCS_DEBUG", "1")
    assert "Traceback" in shell("show", "nope.lua").err
    assert "Traceback" in shell("--redis", "nonsense", "show", "nope.lua").err

    monkeypatch.setenv("LUASPROCS_DEBUG", "perhaps")
    said = shell("show", "nope.lua")
    assert (said.code, said.err) == (2, "luasprocs: LUASPROCS_DEBUG: 'perhaps' is neither yes nor no\n")
    monkeypatch.delenv("LUASPROCS_DEBUG")
    shell.git("config", "luasprocs.debug", "true")
    assert "Traceback" in shell("show", "nope.lua").err


def test_the_program_itself_ends_with_these_codes(shell: Shell) -> None:
    shell.commit(a="return 1", fail="error('x')")
    codes = {
        ("plan",): 1,
        ("sync",): 0,
        ("execute", "a.lua"): 0,
        ("execute", "fail.lua"): 1,
        ("execute", "nope.lua"): 2,
        ("sync", "--nope"): 2,
    }
    for args, code in codes.items():
        said = shell.process(*args)
        assert said.code == code, said
        assert "Traceback" not in said.err
