"""What goes wrong: nonsense, floods, a server that dies, a client that goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sync.debugger.client import Client, Refused
from tests.until import until


def test_nonsense_is_passed_over_and_said_once(tree):
    with Client(tree) as client:
        client.raw(b"hello\n\nContent-Length: -5\r\n\r\n")
        for body in (b"{", b"[1]", b"7", b'{"type": "request"}', b"\xff\xfe", b"[" * 100_000):
            client.send(body)
        messages: tuple[dict[str, object], ...] = (
            {"seq": 1000, "type": "request", "command": "variables", "arguments": {"variablesReference": "x"}},
            {"seq": 1000, "type": "request", "command": "setBreakpoints", "arguments": {"source": 5}},
            {"seq": 1000, "type": "request", "command": "setBreakpoints", "arguments": [1]},
            {"seq": {}, "type": "request", "command": "next", "arguments": None},
            {"seq": 1000, "type": "request", "command": "toString"},
        )
        for message in messages:
            client.send(json.dumps(message).encode())
        client.raw(b"Content-Length: 99999999\r\n\r\n" + b" " * 99_999_999)
        assert client.ask("initialize")["supportsConfigurationDoneRequest"]
        with pytest.raises(Refused):
            client.ask("stackTrace", threadId=1)
        client.hang_up()
        assert client.process.wait(10) == 0
        assert client.process.stderr
        assert client.process.stderr.read().count(b"\n") == 1


def test_a_server_that_dies_ends_the_session_with_one_message(own_server, debug):
    server = own_server()
    client = debug("order.lua", redis=server.url, keys=["sum"], args=["1"], stopOnEntry=True)
    assert client.stopped() == "entry order.lua:2"
    fork = int(client.evaluate("> INFO server", "repl").split("process_id:")[1].split("\\r")[0])
    server.kill()
    os.kill(fork, signal.SIGKILL)
    client.ask("next", threadId=1)
    assert client.event("exited")["exitCode"] == 1
    client.event("terminated")
    assert len([one for one in client.outputs if one["category"] == "stderr"]) == 1
    with pytest.raises(Refused):
        client.ask("next", threadId=1)


def test_a_client_that_goes_leaves_nothing(debug):
    client = debug("endless.lua")
    children = until(lambda: _below(client.process.pid))
    client.process.stdin.close()
    assert client.process.wait(10) == 0
    until(lambda: not any(_alive(one) for one in children), what=lambda: f"left: {children}")


def test_a_killed_adapter_leaves_no_server(debug):
    client = debug("order.lua", keys=["sum"], args=["1"], stopOnEntry=True)
    client.stopped()
    children = _below(client.process.pid)
    assert children
    client.process.kill()
    until(lambda: not any(_alive(one) for one in children), what=lambda: f"left: {children}")


@pytest.mark.wording
@pytest.mark.parametrize("standing", [True, False])
def test_a_throw_away_server_that_is_killed_takes_its_session_with_it(debug, standing):
    """The OOM killer may do that; a loop went on for ever."""
    client = debug("endless.lua", stopOnEntry=standing)
    if standing:
        client.stopped()
    server, fork = until(lambda: len(found := _servers(client.process.pid)) == 2 and found)
    os.kill(server, signal.SIGKILL)
    assert client.event("exited")["exitCode"] == 1
    client.event("terminated")
    assert [one["output"] for one in client.outputs if one["category"] == "stderr"] == [
        "the throw-away server has ended, and the session with it\n"
    ]
    until(lambda: not _alive(fork))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order_and_what_a_killed_one_left_is_removed(debug, tree, tmp_path, monkeypatch, number):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    killed = debug("endless.lua")
    until(lambda: len(_servers(killed.process.pid)) == 2)
    left = _servers(killed.process.pid)
    killed.process.kill()
    killed.process.wait()
    until(lambda: not any(map(_alive, left)))
    (old,) = tmp_path.glob("luasprocs-debug-*")
    client = debug("endless.lua")
    command = [sys.executable, "-m", "sync.cli", "debug", str(tree / "order.lua")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as prompt:
        assert prompt.stdout
        prompt.stdout.readline()
        assert len({*tmp_path.glob("luasprocs-debug-*")} - {old}) == 2
        assert not old.exists()
        for one in (client.process, prompt):
            one.send_signal(number)
            assert one.wait(10) == 128 + number
    assert not [*tmp_path.glob("luasprocs-debug-*")]


def test_a_condition_that_is_evaluated_while_the_client_goes_says_nothing(debug):
    forever = "(function() while true do end end)()"
    client = debug("order.lua", keys=["sum"], args=["1"], stops={"order.lua": [{"line": 5, "condition": forever}]})
    until(lambda: len(_servers(client.process.pid)) == 2 and _ticks(_servers(client.process.pid)[1]) > 20)
    client.ask("disconnect")
    assert client.outputs == []


def _servers(pid: int) -> list[int]:
    """The server that a process started, and its forks."""
    return [one for one in _below(pid) if Path(f"/proc/{one}/comm").read_text() == "valkey-server\n"]


def _ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def _below(pid: int) -> list[int]:
    """The processes that a process started, and those that these did."""
    found: list[int] = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        try:
            with open(f"/proc/{name}/stat") as file:  # noqa: PTH123
                fields = file.read().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if name.isdigit() and int(fields[1]) == pid:
            found += [int(name), *_below(int(name))]
    return found


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_table_that_takes_long_to_write_out_is_said_and_can_be_stopped(debug, tree):
    (tree / "wide.lua").write_text(
        "local t = {}\nfor i = 1, 100000 do t[i] = i end\nlocal function size(w) return #w end\nreturn size(t)\n"
    )
    client = debug("wide.lua", stops={"wide.lua": [4]})
    assert client.stopped() == "breakpoint wide.lua:4"
    assert client.evaluate("t[99999]") == "99999"
    assert client.step("stepIn") == "step wide.lua:3"  # of what a line is still to define the debugger writes out all
    client.send(b'{"seq": 1000, "type": "request", "command": "scopes", "arguments": {"frameId": 1}}')
    until(lambda: client.ask("threads") and "a table is large" in client.said)
    client.ask("terminate")
    assert client.event("exited")["exitCode"] == 1


def test_floods_are_cut(server, debug, tree):
    (tree / "flood.lua").write_text(
        "local sum, long = 0, string.rep('x', 5000000)\nfor i = 1, 3000 do\n  sum = sum + 1\nend\nreturn long\n"
    )
    stops = {"flood.lua": [{"line": 3, "logMessage": "again"}]}
    client = debug("flood.lua", stops=stops, redis=server.url, args=["a"], stopOnEntry=True)
    assert client.stopped() == "entry flood.lua:1"
    assert client.variables("Arguments") == {"KEYS": "{}", "ARGV": {"1": "a"}}  # and not those of the engine's script
    assert client.step("next") == "step flood.lua:2"
    assert len(client.variables()["long"]) < 20_000
    assert client.step("continue") == "exited 0"
    assert len(client.outputs) < 1010
    assert len(client.said) < 50_000
