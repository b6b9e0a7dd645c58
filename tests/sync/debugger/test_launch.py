"""What is launched: seeds, contexts, recorded executions, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from luasprocs.contract.encoding import text
from luasprocs.contract.keys import Keys
from luasprocs.testing import Sandbox
from tests.sync.debugger.client import Client, Refused


def test_a_file_of_commands_seeds_the_server(debug, tmp_path):
    (tmp_path / "seed").write_text("# what it needs\nSET sum 'one two'\n\nHSET h a 1\n")
    client = debug("order.lua", seed=str(tmp_path / "seed"), keys=["sum"], args=["1"], stopOnEntry=True)
    client.stopped()
    assert client.evaluate("> GET sum", "repl").strip('"') == "one two"


@pytest.mark.parametrize(
    "launch",
    [
        {"keys": "sum"},
        {"args": [["a"]]},
        {"args": ["\ud800"]},
        {"args": [True]},
        {"seed": 3},
        {"seed": ["SET 'a"]},
        {"seed": "/nowhere"},
        {"stopOnEntry": "yes"},
        {"redis": "http://x"},
        {"redis": "redis://127.0.0.1:1"},
        {"environment": "nowhere"},
        {"event": "set"},
        {"execution": "abc"},
        {"program": "/nowhere.lua"},
        {"program": ""},
    ],
)
def test_what_can_not_be_launched_is_refused(launched, tree, launch):
    """By one adapter, which a failed launch leaves as it was."""
    with pytest.raises(Refused, match=r"^(?!launch: one session)"):
        launched.ask("launch", **{"program": str(tree / "order.lua"), **launch})


def test_a_path_and_keys_beyond_what_is_taken_are_refused_in_words(launched, debug):
    with pytest.raises(Refused, match=r"^File name too long: .*…$"):
        launched.ask("launch", program="/" + "a" * 5000)
    client = debug("order.lua", keys=["k"] * 500)
    assert client.stopped() == "exited 1"
    assert "fewer than 430 keys: here are 500" in client.said


def test_nothing_is_launched_behind_the_end(tree):
    with Client(tree) as client:
        client.ask("terminate")
        with pytest.raises(Refused, match="the session has ended"):
            client.ask("launch", program=str(tree / "order.lua"))


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    with Client(tmp_path_factory.mktemp("folder")) as client:
        client.ask("initialize", adapterID="luasprocs")
        yield client


def test_a_library_that_does_not_compile_is_named(debug, tree):
    (tree / "lib" / "broken.lua").write_text("-- library=yes\nreturn {\n")
    client = debug("order.lua", keys=["sum"], args=["1"])
    assert client.stopped() == "exited 0"
    assert any("left out" in one["output"] and "lib/broken.lua:" in one["output"] for one in client.outputs)


def test_a_seed_that_fails_is_refused_and_answered(debug, tree):
    """Of an async sproc: the thread of the session ended with it, and nobody was answered any more."""
    (tree / "later.lua").write_text("-- runasync=yes\nreturn 1\n")
    with pytest.raises(Refused, match="HSET a"):
        debug("later.lua", seed=["HSET a"])


@pytest.mark.wording
def test_production_is_left_alone(debug, tmp_path, monkeypatch, server):
    lines = [
        f'[contexts.shop]\nredis = "{server.url}"\nproduction = true\n',
        f'[contexts.test]\nredis = "{server.url}"\n',
    ]
    settings = tmp_path / "screen.toml"
    monkeypatch.setenv("LUASPROCS_SCREEN", str(settings))
    settings.write_text("".join(lines))
    same = {"redis": f"redis://localhost:{server.port}/5"}
    for launch in ({"environment": "shop"}, {"redis": server.url}, {"environment": "test"}, same):
        with pytest.raises(Refused, match="shop is production"):
            debug("order.lua", **launch)
    settings.write_text(lines[1])
    client = debug("order.lua", environment="test", keys=["sum"], args=["1"])
    assert client.stopped() == "exited 0"


def test_a_recorded_execution_is_run_with_its_key(debug, tree):
    source = "-- description=x\n-- event=hset\n-- key=user:*\nreturn KEYS[1] .. ARGV[1] .. ARGV[2]\n"
    (tree / "event.lua").write_text(source)
    with Sandbox() as sandbox:
        sandbox.put("event.lua", source)
        (record,) = sandbox.fire("HSET", "user:7", "name", "ann")
        client = debug("event.lua", redis=sandbox.url, execution=record.id, stopOnEntry=True)
        assert client.stopped() == "entry event.lua:4"
        found = client.variables("Arguments")
        assert found["KEYS"] == {"1": "user:7"}
        assert "ann" in found["ARGV"]["1"]
        assert client.evaluate("> HSET user:7 name ben", "repl")
        assert client.step("continue") == "exited 0"
        assert sandbox.client.hget("user:7", "name") == b"ann"
        with pytest.raises(Refused):
            debug("order.lua", redis=sandbox.url, execution=record.id)
        for more in ({"args": ["1"]}, {"keys": ["user:8"]}, {"event": "hset"}):
            with pytest.raises(Refused):
                debug("event.lua", redis=sandbox.url, execution=record.id, **more)
        fields: Any = {"sproc": "event.lua", "trigger": "event", "event": "hset", "key": "user:8", "status": "ok"}
        other = text(sandbox.client.xadd(Keys("st").executions, fields))
        with pytest.raises(Refused):
            debug("event.lua", redis=sandbox.url, execution=other)
        client = debug("event.lua", redis=sandbox.url, execution=other, namespace="st", stopOnEntry=True)
        assert client.stopped() == "entry event.lua:4"
        assert client.variables("Arguments")["KEYS"] == {"1": "user:8"}
