"""`luasprocs logs`: what ran, for eyes, for pipes, and as it comes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from luasprocs.contract.keys import Keys
from tests.sync.commands.test_terminal import HOSTILE, harmful

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import OwnServer
    from tests.sync.commands.shell import Shell

EXECUTIONS = Keys().executions
COLUMNS = 8


@pytest.fixture
def live(shell: Shell) -> Shell:
    shell.commit(hello="return 'hello ' .. (ARGV[1] or 'world')", fail="-- one\nerror('not today')")
    shell.ok("sync")
    return shell


@contextlib.contextmanager
def following(shell: Shell, *args: str, out: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """`luasprocs logs -f` in a process of its own."""
    command = [sys.executable, "-m", "sync.cli", "logs", "-f", *args]
    process = subprocess.Popen(command, cwd=shell.repo, stdout=out, stderr=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def add(shell: Shell, entry_id: str = "*", **fields: str | bytes) -> None:
    given: Any = fields
    shell.redis.xadd(EXECUTIONS, given, id=entry_id)


def test_runs_are_shown_the_newest_last_separated_by_tabs_in_a_pipe(live: Shell) -> None:
    assert live.ok("logs").out == ""
    live.ok("execute", "hello.lua", "you", "--key", "k1")
    assert live("execute", "fail.lua").code == 1
    first, second = live.ok("logs").rows
    assert first[0][10] == "T"
    assert first[1:6] == ["hello.lua", "call", "", "k1", "ok"]
    assert float(first[6]) >= 0
    assert first[7] == "hello you"
    assert [*second[1:3], second[5], second[7]] == ["fail.lua", "call", "error", "ERR fail.lua:2: not today"]


def test_json_is_one_object_a_line_with_every_field(live: Shell) -> None:
    live.ok("execute", "hello.lua")
    (found,) = live.ok("logs", "--json").lines
    assert list(found) == [
        *("id", "time_ms", "sproc", "trigger", "key", "event", "origin", "depth", "status"),
        *("duration_us", "reply", "error", "commit", "daemon", "shard"),
    ]
    assert (found["sproc"], found["depth"], found["reply"]) == ("hello.lua", 1, "hello world")
    assert found["commit"] == live.git("rev-parse", "HEAD")


def test_twenty_are_shown_or_as_many_as_asked_for_or_all_since(live: Shell) -> None:
    for number in range(1, 61):
        add(live, f"{number}-0", sproc=f"{number}")
    assert [row[1] for row in live.ok("logs").rows] == [f"{number}" for number in range(41, 61)]
    assert [row[1] for row in live.ok("logs", "-n", "2").rows] == ["59", "60"]
    assert live.ok("logs", "-n0").rows == []
    assert len(live.ok("logs", "--since", "1970-01-01").rows) == 60
    assert [row[1] for row in live.ok("logs", "--since", "1970-01-01T00:00:00.058").rows] == ["58", "59", "60"]
    assert len(live.ok("logs", "--since", "1970-01-01T02:00:00.058+02:00", "-n", "2").rows) == 2
    assert live.ok("logs", "--since", "1h").rows == []
    add(live, sproc="now")
    assert [row[1] for row in live.ok("logs", "--since", "1m30s").rows] == ["now"]


def test_filters(live: Shell) -> None:
    add(live, sproc="a/x.lua", trigger="event", status="ok")
    add(live, sproc="a/y.lua", trigger="call", status="error")
    add(live, sproc="b.lua", trigger="cron", status="skipped")
    wanted = {
        ("--sproc", "a/x.lua"): ["a/x.lua"],
        ("--sproc", "a/*"): ["a/x.lua", "a/y.lua"],
        ("--sproc", "a/x.lua", "--sproc", "b*"): ["a/x.lua", "b.lua"],
        ("--trigger", "cron"): ["b.lua"],
        ("--status", "error", "--status", "skipped"): ["a/y.lua", "b.lua"],
        ("--sproc", "a/*", "--status", "skipped"): [],
        ("--sproc", "*", "-n", "1"): ["b.lua"],
    }
    for args, names in wanted.items():
        assert [row[1] for row in live.ok("logs", *args).rows] == names, args


@pytest.mark.parametrize(
    "args", [("--since", "yesterday"), ("--since", "5"), ("--trigger", "x"), ("--status", "x"), ("-n", "-1"), ("x",)]
)
def test_what_can_not_be_used_ends_with_2(shell: Shell, args: tuple[str, ...]) -> None:
    said = shell("logs", *args)
    assert (said.code, said.out) == (2, "")
    assert "Traceback" not in said.err


def test_a_key_that_is_no_stream_is_named(shell: Shell) -> None:
    shell.redis.set(EXECUTIONS, "x")
    said = shell("logs")
    assert said.code == 2
    assert f"{EXECUTIONS} is not a stream" in said.err


def test_on_a_terminal_it_is_a_table_cut_to_fit(live: Shell) -> None:
    live.ok("execute", "hello.lua", "x" * 200)
    live("execute", "fail.lua")
    add(live, sproc="s" * 90, key="漢" * 90, trigger="event", event="set", status="gap")
    head, first, second, third = live.terminal("logs", NO_COLOR="1").out.splitlines()
    assert head.split() == ["TIME", "(UTC)", "SPROC", "TRIGGER", "STATUS", "MS", "KEY", "RESULT"]
    assert all(len(line) <= 100 for line in (head, first, second, third))
    assert head.index("STATUS") == first.index("ok ") == second.index("error ") == third.index("gap ")
    assert first.endswith("…")
    assert "\x1b[31merror" in live.terminal("logs").out


def test_hostile_records_stay_text(live: Shell) -> None:
    for field in ("sproc", "trigger", "key", "event", "status", "reply", "error", "origin", "daemon"):
        add(live, **{field: HOSTILE + "\x7f", "depth": HOSTILE, "duration_us": HOSTILE, HOSTILE: HOSTILE})
    add(live, sproc=b"\xff\xfe\x00", reply=b"\x9b31m\xff")
    add(live, "18446744073709551614-0", sproc="a" * 100_000)
    for args in (("logs",), ("logs", "--json")):
        said = live.terminal(*args)
        assert said.code == 0, said.out
        assert harmful(said.out) == [], said.out
    assert all(len(row) == COLUMNS for row in live.ok("logs").rows)
    assert harmful(live.ok("logs").out) == []
    assert live.ok("logs", "--json").lines[-2]["sproc"] == "\\xff\\xfe\0"


def test_a_sproc_without_a_record_is_said_why(live: Shell) -> None:
    live.commit(quiet="-- record=none\nreturn 1", hello="return 1")
    live.ok("sync")
    live.ok("execute", "quiet.lua")
    said = live("logs", "--sproc", "quiet.lua")
    assert (said.out, "has record=none in its header" in said.err) == ("", True)
    assert "did you mean 'hello.lua'" in live("logs", "--sproc", "hello").err
    for words in (("hello.lua",), ("nothing*",), ("quiet.lua", "--status", "error")):
        live.ok("logs", "--sproc", *words)


def test_following_shows_each_at_once_until_it_is_interrupted(live: Shell) -> None:
    live.ok("execute", "hello.lua", "before")
    with following(live, "--json", "--sproc", "hello*") as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["reply"] == "hello before"
        live("execute", "fail.lua")
        for number in range(3):
            live.ok("execute", "hello.lua", f"{number}")
            assert json.loads(process.stdout.readline())["reply"] == f"hello {number}"
        for _ in range(5):  # Python drops one that comes while it frees an object
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
                break
        assert process.returncode == 130
        assert process.stderr.read() == ""


def test_following_in_a_pipe_is_separated_by_tabs(live: Shell) -> None:
    add(live, sproc="before")
    with following(live, "-n", "1") as process:
        assert process.stdout
        assert process.stdout.readline().split("\t")[1] == "before"
        live.ok("execute", "hello.lua")
        assert process.stdout.readline().split("\t")[1] == "hello.lua"


def test_a_reader_who_goes_ends_it_quietly_even_while_nothing_comes(live: Shell) -> None:
    live.ok("execute", "hello.lua")
    reading, writing = os.pipe()
    with following(live, out=writing) as process:
        os.close(writing)
        assert os.read(reading, 1)
        os.close(reading)
        assert process.wait(60) == 0
        assert process.stderr
        assert process.stderr.read() == ""


def test_a_lost_connection_is_said_and_made_again(
    live: Shell, own_server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_server(persistent=True)
    monkeypatch.setenv("LUASPROCS_REDIS", own.url)
    own.client().xadd(EXECUTIONS, {"sproc": "before"})
    with following(live) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().split("\t")[1] == "before"
        own.kill()
        assert "trying again" in process.stderr.readline()
        own.restart()
        own.client().xadd(EXECUTIONS, {"sproc": "after"})
        assert process.stdout.readline().split("\t")[1] == "after"
        assert process.stderr.readline() == "luasprocs: connected again\n"


def test_a_namespace_has_its_own_records(shell: Shell) -> None:
    add(shell, sproc="other")
    assert shell.ok("--namespace", "shop", "logs").out == ""
    shell.redis.xadd(Keys("shop").executions, {"sproc": "mine"})
    assert [row[1] for row in shell.ok("--namespace", "shop", "logs").rows] == ["mine"]
