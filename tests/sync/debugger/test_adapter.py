"""Sprocs under the server's own debugger, on both servers."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.sync.debugger.client import Refused
from tests.until import until


@pytest.mark.wording
def test_it_stops_steps_and_shows_what_stands_there(server, debug):
    client = debug("order.lua", stops={"lib/money.lua": [6]}, redis=server.url, keys=["sum"], args=["3", "4"])
    assert client.stopped() == "breakpoint money.lua:6"
    assert client.where() == ["money.lua:6", "order.lua:5"]
    assert client.variables() == {"total": "0", "amount": "3"}
    outer = client.variables(frame=2)
    assert (outer["total"], outer["price"]) == ("0", "3")
    before = client.ask("scopes", frameId=1)["scopes"][0]["variablesReference"]
    assert client.step("next") == "step money.lua:7"
    with pytest.raises(Refused):
        client.ask("variables", variablesReference=before)
    assert client.variables()["sum"] == "3"
    assert client.step("stepOut") == "step order.lua:4"
    assert client.step("next") == "step order.lua:5"
    assert client.variables() | {"money": ""} == {"money": "", "total": "3", "i": "2", "price": "4"}
    assert client.step("stepIn") == "breakpoint money.lua:6"
    assert client.step("continue") == "exited 0"
    assert "reply: 7" in client.said


def test_expressions_are_evaluated_with_locals(server, debug):
    stops = {"order.lua": [9]}
    client = debug("order.lua", stops=stops, redis=server.url, keys=["sum"], args=["3", "4"])
    assert client.stopped() == "breakpoint order.lua:9"
    assert client.evaluate("total") == "7"
    assert client.evaluate("items.total * 2 + #ARGV") == "16"
    assert client.evaluate("KEYS[1] .. ARGV[2]").strip('"') == "sum4"
    assert client.evaluate("ARGV[1] == '3' and total == 7") == "true"
    with pytest.raises(Refused):
        client.evaluate("nowhere")
    with pytest.raises(Refused):
        client.evaluate("money.add(1, 2) +")
    with pytest.raises(Refused):
        client.evaluate("error({})")  # ends a session of Redis 7.0, if it gets there
    assert client.evaluate("total, #ARGV, nil") == "7, 2, nil"  # what was refused ends nothing


@pytest.mark.wording
def test_only_the_console_sets(server, debug):
    """A condition `sum = 7` set it, at each round."""
    stops = [{"line": 5, "condition": "sum = 7"}, {"line": 7, "logMessage": "now {sum = 7}"}]
    client = debug("loops.lua", stops={"loops.lua": stops}, redis=server.url)
    assert client.stopped() == "breakpoint loops.lua:5"
    assert "'sum = 7' can't be evaluated, so it stops: this is no expression" in client.said
    for context in ("hover", "watch"):
        with pytest.raises(Refused, match="this is no expression"):
            client.evaluate("sum = 7", context)
    client.evaluate("(function() sum = 7 end)()")
    assert client.evaluate("sum") == "0"
    assert client.evaluate("sum = 5", "repl") == "nil"
    assert client.evaluate("if sum == 5 then return 7 end", "repl") == "nil"
    assert "defines" in client.evaluate("local sum = 3", "repl")
    assert client.evaluate("sum") == "5"
    problems = {
        "1 +": "unexpected symbol near '<eof>'",
        "sum = = 1": "unexpected symbol near '='",
        "error({})": "{}",
        "error('\\255\\0.')": "\\xff\\x00.",
    }
    for code, why in problems.items():
        with pytest.raises(Refused) as refused:
            client.evaluate(code, "repl")
        assert str(refused.value) == why
    client.ask("setBreakpoints", source=client.ask("stackTrace")["stackFrames"][0]["source"], breakpoints=stops[1:])
    assert client.step("continue") == "exited 0"
    assert "now <this is no expression>" in client.said


def test_a_breakpoint_that_is_set_while_it_runs_is_verified_when_it_counts(server, debug, tree):
    (tree / "long.lua").write_text("local n = 0\nwhile n < 5e6 do n = n + 1 end\nlocal a = 1\nreturn a\n")
    never = {"line": 3, "condition": "n < 0"}
    client = debug("long.lua", stops={"long.lua": [never]}, redis=server.url)
    source = {"path": str(tree / "long.lua")}
    found = client.ask("setBreakpoints", source=source, breakpoints=[never, {"line": 4}])["breakpoints"]
    assert [(one["verified"], one["reason"], "running" in one["message"]) for one in found] == [
        (False, "pending", True)
    ] * 2
    told = [client.event("breakpoint")["breakpoint"] for _ in found]
    assert [(one["id"], one["verified"], one["line"]) for one in told] == [
        (found[0]["id"], True, 3),
        (found[1]["id"], True, 4),
    ]
    assert client.stopped() == "breakpoint long.lua:4"


def test_in_the_console_a_variable_comes_before_a_command(server, debug, tree):
    (tree / "caps.lua").write_text("local TTL = 60\nreturn TTL\n")
    client = debug("caps.lua", stops={"caps.lua": [2]}, redis=server.url, keys=["k"], args=["a"])
    assert client.stopped() == "breakpoint caps.lua:2"
    assert [client.evaluate(one, "repl") for one in ("TTL", "TTL + 1", "> TTL none")] == ["60", "61", "-2"]
    assert [client.evaluate(one, "repl").replace('"', "") for one in ("KEYS", "ARGV")] == ["{k}", "{a}"]
    assert client.evaluate("KEYS none*", "repl") in {"[]", "{}"}
    assert client.evaluate("GET", "repl").count("\n") == 0, "an error is said once"


def test_a_condition_a_count_and_a_log(server, debug):
    client = debug("loops.lua", redis=server.url, stopOnEntry=True)
    assert client.stopped() == "entry loops.lua:8"
    source = client.ask("stackTrace", threadId=1)["stackFrames"][0]["source"]
    wanted = [
        {"line": 5, "condition": "i == 30"},
        {"line": 5, "hitCondition": "%10", "logMessage": "sum={sum} i={i}", "condition": "i < 25"},
        {"line": 99},
        {"line": 9, "hitCondition": "often"},
    ]
    answered = client.ask("setBreakpoints", source=source, breakpoints=wanted)["breakpoints"]
    assert [one["verified"] for one in answered] == [True, True, False, False]
    assert client.step("continue") == "breakpoint loops.lua:5"
    assert client.variables() == {"rounds": "10000", "sum": "435", "i": "30"}
    assert [one["output"] for one in client.outputs if "sum=" in one["output"]] == ["sum=45 i=10\n", "sum=190 i=20\n"]


def test_an_error_stops_where_it_is_raised(server, debug):
    client = debug("fails.lua", redis=server.url)
    assert client.stopped() == "exception fails.lua:5"
    assert client.where() == ["fails.lua:5", "fails.lua:8"]
    assert client.variables() == {"amount": "5", "none": "nil", "twice": "10"}
    assert "fails.lua:5" in client.ask("exceptionInfo", threadId=1)["description"]
    assert client.step("continue") == "exited 1"
    assert [one.get("line") for one in client.outputs if one["category"] == "stderr"] == [5]


def test_errors_are_passed_by_where_that_is_wanted(server, debug):
    client = debug("fails.lua", redis=server.url, stopOnEntry=True)
    assert client.stopped() == "entry fails.lua:6"
    client.ask("setExceptionBreakpoints", filters=[])
    assert client.step("continue") == "exited 1"


def test_a_loop_is_stepped_over_at_full_speed(server, debug):
    client = debug("loops.lua", redis=server.url, stopOnEntry=True)
    assert client.stopped() == "entry loops.lua:8"
    assert client.step("next") == "step loops.lua:9"
    began = time.perf_counter()
    assert client.step("next") == "step loops.lua:10"
    assert client.step("next") == "step loops.lua:11"
    assert time.perf_counter() - began < 1  # by steps of lines: 6 s


def test_a_called_sproc_is_stepped_into(server, debug):
    client = debug("caller.lua", stops={"order.lua": [7]}, redis=server.url, keys=["sum"])
    assert client.stopped() == "breakpoint order.lua:7"
    assert client.where() == ["order.lua:7", "caller.lua:2"]
    assert client.step("stepOut") == "step caller.lua:3"
    assert client.variables() == {"sum": "9"}


def test_a_work_tree_of_many_sprocs(server, debug, tree):
    for number in range(60):
        (tree / f"other{number}.lua").write_text(f"return {number}\n" + "-- long\n" * 1000)
    client = debug("order.lua", stops={"order.lua": [9]}, redis=server.url, keys=["sum"], args=["1"] * 600)
    assert client.stopped() == "breakpoint order.lua:9"
    assert client.evaluate("total + #ARGV") == "1200"


@pytest.mark.wording
def test_of_a_large_work_tree_what_the_sproc_names_is_there(server, debug, tree):
    for number in range(20):
        (tree / f"other{number}.lua").write_text(f"return {number}\n" + "-- long\n" * 10_000)
    client = debug("caller.lua", stops={"lib/money.lua": [6]}, redis=server.url, keys=["sum"])
    assert client.stopped() == "breakpoint money.lua:6"
    assert client.where() == ["money.lua:6", "order.lua:5", "caller.lua:2"]
    assert "others are left out" in client.said


def test_long_and_empty_words_end_no_session(server, debug):
    seed = [["SET", "long", "é" * 2000], ["SET", "empty", ""]]
    client = debug("order.lua", redis=server.url, keys=["sum"], args=["x" * 3000], seed=seed, stopOnEntry=True)
    assert client.stopped() == "entry order.lua:2"
    assert client.step("next") == "step order.lua:3"
    assert client.evaluate("#ARGV[1] + 1") == "3001"
    assert client.evaluate("> STRLEN long", "repl") == "4000"
    assert client.evaluate("> SET empty ''", "repl").strip('"').endswith("OK")
    assert client.evaluate("> EXISTS empty luasprocs:debugger", "repl") == "1"
    with pytest.raises(Refused):
        client.evaluate("ARGV[1] +")
    with pytest.raises(Refused, match="nowhere"):
        client.evaluate("#ARGV[1] + nowhere")


@pytest.mark.wording
def test_what_is_shown_in_part_is_evaluated_whole(server, debug):
    client = debug("order.lua", redis=server.url, keys=["sum"], args=["x" * 17000, "2"], stopOnEntry=True)
    assert client.stopped() == "entry order.lua:2"
    assert client.variables("Arguments")["ARGV"]["1"].endswith("… (17,000 bytes)")
    assert [client.evaluate(one) for one in ("#ARGV[1]", "ARGV[2] == '2'", "#KEYS")] == ["17000", "true", "1"]


def test_what_it_writes_is_rolled_back(server, debug):
    redis = server.client()
    redis.set("sum", "before")
    client = debug("order.lua", stops={"order.lua": [8]}, redis=server.url, keys=["sum"], args=["3"])
    assert client.stopped() == "breakpoint order.lua:8"
    assert client.evaluate("> GET sum", "repl").strip('"') == "3"
    assert client.evaluate("SET other x", "repl")
    assert client.step("continue") == "exited 0"
    assert (redis.get("sum"), redis.exists("other")) == (b"before", 0)
    assert not redis.keys("*_Sproc_*")  # nor has it a registry now


def test_an_event_gives_what_the_engine_gives(server, debug, tree):
    (tree / "event.lua").write_text("-- description=x\n-- event=hset\n-- key=user:*\nreturn KEYS[1] .. ARGV[1]\n")
    seed = [["HSET", "user:1", "name", "ann"]]
    client = debug("event.lua", redis=server.url, seed=seed, stopOnEntry=True)
    assert client.stopped() == "entry event.lua:4"
    shown = client.variables("Arguments")
    assert shown["KEYS"] == {"1": "user:1"}
    assert (shown["ARGV"]["2"], shown["ARGV"]["3"]) == ("hset", "hash")
    assert "ann" in shown["ARGV"]["1"]


@pytest.mark.wording
def test_a_schedule_gives_its_next_time(server, debug, tree):
    (tree / "tick.lua").write_text("-- description=x\n-- every=10s\nreturn { ARGV[1], ARGV[2] }\n")
    client = debug("tick.lua", redis=server.url)
    assert client.stopped() == "exited 0"
    reply = next(one["output"] for one in client.outputs if one["output"].startswith("reply"))
    assert '"cron"' in reply
    assert int(reply.split('"')[1]) >= time.time() - 1


@pytest.mark.wording
def test_a_loop_without_end_is_paused_if_the_server_can_do_it(own_server, debug):
    server = own_server("--busy-reply-threshold", "100")
    client = debug("endless.lua", redis=server.url, stopOnEntry=True)
    assert client.stopped() == "entry endless.lua:2"
    fork = int(client.evaluate("> INFO server", "repl").split("process_id:")[1].split("\\r")[0])
    client.ask("continue", threadId=1)
    until(lambda: int(Path(f"/proc/{fork}/stat").read_text().rpartition(")")[2].split()[11]) > 20)  # ticks: it loops
    if server.kind.startswith("valkey"):
        with pytest.raises(Refused):
            client.ask("pause", threadId=1)
    else:
        client.ask("pause", threadId=1)
        assert client.stopped().startswith("pause endless.lua:")
    began = time.perf_counter()
    client.ask("terminate")
    assert client.event("exited")["exitCode"] == 1
    assert time.perf_counter() - began < 2
    client.ask("disconnect")
    assert [client.heard.count(name) for name in ("exited", "terminated")] == [1, 1]
    if server.kind.startswith("valkey"):  # which lets it run on
        (said,) = [one["output"] for one in client.outputs if "process" in one["output"]]
        assert str(fork) in said
        os.kill(fork, signal.SIGKILL)


def test_an_expression_without_end_is_said_to_run_on(own_server, debug):
    """A Redis, too, lets it: its fork burnt a core, and nothing told of it."""
    client = debug("order.lua", redis=own_server().url, keys=["sum"], stopOnEntry=True)
    client.stopped()
    fork = int(client.evaluate("> INFO server", "repl").split("process_id:")[1].split("\\r")[0])
    arguments = {"expression": "(function() while true do end end)()", "frameId": 1}
    client.send(json.dumps({"seq": 99, "type": "request", "command": "evaluate", "arguments": arguments}).encode())
    until(lambda: int(Path(f"/proc/{fork}/stat").read_text().rpartition(")")[2].split()[11]) > 20)  # ticks: it loops
    client.ask("terminate")
    assert client.event("exited")["exitCode"] == 1
    client.ask("disconnect")
    (said,) = [one["output"] for one in client.outputs if "process" in one["output"]]
    assert str(fork) in said
    os.kill(fork, signal.SIGKILL)


def test_out_of_a_function_whose_callers_return(server, debug, tree):
    (tree / "nested.lua").write_text(
        "local function inner(a)\n  return a + 1\nend\nlocal function outer(a)\n  return (inner(a))\nend\n"
        "local found = outer(1)\nreturn found\n"
    )
    client = debug("nested.lua", stops={"nested.lua": [2]}, redis=server.url)
    assert client.stopped() == "breakpoint nested.lua:2"
    assert client.step("stepOut") == "step nested.lua:8"


def test_a_client_may_count_from_0(debug, tree):
    client = debug("order.lua", keys=["sum"], args=["3"], stopOnEntry=True)
    assert client.stopped() == "entry order.lua:2"
    client.ask("initialize", linesStartAt1=False, columnsStartAt1=False)
    frame = client.ask("stackTrace", threadId=1)["stackFrames"][0]
    assert (frame["line"], frame["column"]) == (1, 0)
    path = {"path": str(tree / "order.lua")}
    (found,) = client.ask("setBreakpoints", source=path, breakpoints=[{"line": 5}])["breakpoints"]
    assert found["line"] == 6
    assert client.ask("breakpointLocations", source=path, line=5, endLine=6)["breakpoints"] == [{"line": 6}]
    assert client.step("continue") == "breakpoint order.lua:6"
    assert client.step("next") == "step order.lua:7"
    assert [one["line"] for one in client.outputs if "SET sum" in one["output"]] == [6]


def test_a_breakpoint_that_is_removed_takes_no_other_one_with_it(server, debug, tree):
    """The server's debugger loses the last one."""
    client = debug("order.lua", stops={"order.lua": [4, 7, 8, 9]}, redis=server.url, keys=["sum"], args=["3"])
    assert client.stopped() == "breakpoint order.lua:4"
    client.ask("setBreakpoints", source={"path": str(tree / "order.lua")}, breakpoints=[{"line": 8}, {"line": 9}])
    assert [client.step("continue") for _ in range(3)] == [
        "breakpoint order.lua:8",
        "breakpoint order.lua:9",
        "exited 0",
    ]
