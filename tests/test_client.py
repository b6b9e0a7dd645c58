"""How applications call sprocs: sync and async, typed, in pipelines, by namespace, on replicas; as the docs show it."""

from __future__ import annotations

import ast
import inspect
import re

import pytest
import redis
from redis import asyncio as async_redis

import luasprocs
from luasprocs.contract.keys import Keys
from luasprocs.errors import NoSprocError, ScriptError, ServerError, SettingsError, SprocDisabledError
from luasprocs.server.connection import errors_named
from tests.live import make_live, put, sproc
from tests.paths import ROOT
from tests.until import until

SPROCS = {
    "echo.lua": "-- readonly=yes\nreturn {KEYS[1] or false, ARGV[1] or false, ARGV[2] or false}",
    "text.lua": "return 'h\u00e9llo'",
    "number.lua": "return 42",
    "nothing.lua": "return nil",
    "set.lua": "return redis.call('SET', KEYS[1], ARGV[1])",
    "get.lua": "-- readonly=yes\nreturn redis.call('GET', KEYS[1])",
    "off.lua": "-- enabled=no\nreturn 1",
    "raises.lua": "local x = 1\nerror('out of beans')",
    "wrongtype.lua": "return redis.call('LPUSH', KEYS[1], 'x')",
    "a b/\U0001f980 'q' \"d\".lua": "return 'strange'",
}


@pytest.fixture
def live(server):
    put(server.client(), *(sproc(name, source) for name, source in SPROCS.items()))
    return server


@pytest.fixture
def sprocs(live):
    with luasprocs.connect(live.url) as connected:
        yield connected


@pytest.fixture
async def async_sprocs(live):
    async with luasprocs.connect_async(live.url) as connected:
        yield connected


def test_keys_and_arguments_arrive_as_they_were_given(sprocs):
    assert sprocs.execute("echo.lua", keys=["k"], args=["a", 7]) == [b"k", b"a", b"7"]
    assert sprocs.execute("echo.lua", args=[b"\x00\xff", 1.5]) == [None, b"\x00\xff", b"1.5"]
    assert sprocs.execute("echo.lua") == [None, None, None]


def test_a_reply_has_the_type_that_was_asked_for(sprocs):
    assert sprocs.execute("text.lua") == "h\u00e9llo".encode()
    assert sprocs.execute("text.lua", reply=str) == "h\u00e9llo"
    assert sprocs.execute("text.lua", reply=bytes) == "h\u00e9llo".encode()
    assert sprocs.execute("number.lua", reply=int) == 42
    assert sprocs.execute("echo.lua", args=["x"], reply=list) == [None, b"x", None]
    assert sprocs.execute("nothing.lua") is None


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("text.lua", int, "text.lua replied bytes, not int"),
        ("number.lua", str, "number.lua replied int, not str: 42"),
        ("nothing.lua", str, "nothing.lua replied NoneType, not str"),
        ("text.lua", list, "not list"),
    ],
)
def test_a_reply_of_another_type_is_an_error_that_names_the_sproc(sprocs, name, wanted, said):
    with pytest.raises(ScriptError, match=said):
        sprocs.execute(name, reply=wanted)


def test_errors_say_what_is_wrong_and_where(sprocs):
    with pytest.raises(NoSprocError, match=r"nope\.lua"):
        sprocs.execute("nope.lua")
    with pytest.raises(SprocDisabledError, match=r"off\.lua"):
        sprocs.execute("off.lua")
    with pytest.raises(ScriptError, match=r"raises\.lua:2: out of beans"):
        sprocs.execute("raises.lua")
    sprocs.client.set("text", "x")
    with pytest.raises(ScriptError, match=r"^WRONGTYPE wrongtype\.lua:1: "):
        sprocs.execute("wrongtype.lua", keys=["text"])


def test_a_reply_nested_without_end_is_an_error_and_the_next_call_works(live):
    put(live.client(), sproc("endless.lua", "local t = {}\nt[1] = t\nreturn t"), sproc("number.lua", "return 42"))
    with luasprocs.connect(live.url) as sprocs:
        with pytest.raises(ScriptError, match=r"endless\.lua is nested too deep"):
            sprocs.execute("endless.lua")
        assert sprocs.execute("number.lua") == 42
        with pytest.raises(ServerError, match="nested too deep"), errors_named(live.url):
            sprocs.client.eval("local t = {} t[1] = t return t", 0)


def test_a_mistyped_keyword_is_no_call(sprocs):
    with pytest.raises(TypeError, match="kyes"):
        sprocs.execute("echo.lua", kyes=["k"])


def test_a_name_with_anything_in_it_is_called_by_it(sprocs):
    assert sprocs.execute("a b/\U0001f980 'q' \"d\".lua", reply=str) == "strange"


def test_in_a_pipeline_calls_wait_and_come_back_in_order(sprocs):
    with sprocs.client.pipeline() as pipe:
        queued = sprocs.on(pipe)
        assert queued.execute("set.lua", keys=["k"], args=["v"]) is pipe
        queued.execute("get.lua", keys=["k"], readonly=True, reply=str)
        pipe.get("k")
        assert not sprocs.client.exists("k")
        assert pipe.execute() == [b"OK", b"v", b"v"]


def test_in_a_pipeline_an_error_is_redis_own(sprocs):
    with sprocs.client.pipeline(transaction=False) as pipe:
        sprocs.on(pipe).execute("nope.lua")
        sprocs.on(pipe).execute("number.lua")
        missing, number = pipe.execute(raise_on_error=False)
    assert isinstance(missing, redis.ResponseError)
    assert str(missing).startswith("NOSPROC")
    assert number == 42


def test_a_pipeline_that_watches_answers_at_once(sprocs):
    with sprocs.client.pipeline() as pipe:
        pipe.watch("k")
        assert sprocs.on(pipe).execute("number.lua", reply=int) == 42
        with pytest.raises(NoSprocError):
            sprocs.on(pipe).execute("nope.lua")


@pytest.mark.parametrize("options", [{"decode_responses": True}, {"protocol": 3}, {"protocol": 3, "db": 0}])
def test_an_applications_own_client_serves(live, options):
    sprocs = luasprocs.connect(live.client(**options))
    assert sprocs.execute("text.lua", reply=str) == "h\u00e9llo"
    assert sprocs.execute("number.lua", reply=int) == 42


def test_a_namespace_has_its_own_sprocs(live):
    put(live.client(), sproc("text.lua", "return 'shop'"), keys=Keys("{shop}"))
    assert luasprocs.connect(live.client(), "{shop}").execute("text.lua", reply=str) == "shop"
    assert luasprocs.connect(live.client()).execute("text.lua", reply=str) == "h\u00e9llo"
    with pytest.raises(NoSprocError):
        luasprocs.connect(live.client(), "{shop}").execute("number.lua")
    with live.client().pipeline() as pipe:
        luasprocs.connect(live.client(), "{shop}").on(pipe).execute("text.lua")
        assert pipe.execute() == [b"shop"]


def test_what_can_not_be_used_is_refused_before_anything_is_sent():
    with pytest.raises(SettingsError, match="namespace"):
        luasprocs.connect("redis://127.0.0.1:1", "sh op")
    for connect in (luasprocs.connect, luasprocs.connect_async):
        with pytest.raises(SettingsError) as refused:
            connect("http://:hidden@127.0.0.1")
        assert "hidden" not in str(refused.value)


def test_readonly_refuses_what_writes(sprocs):
    assert sprocs.execute("echo.lua", keys=["k"], readonly=True) == [b"k", None, None]
    with pytest.raises(ScriptError):
        sprocs.execute("set.lua", keys=["k"], args=["v"], readonly=True)
    assert not sprocs.client.exists("k")


def test_readonly_runs_on_a_replica(live, own_server):
    copy = own_server("--replicaof", f"127.0.0.1 {live.port}")
    live.client().set("k", "copied")
    client = copy.client()
    until(lambda: client.info("replication")["master_link_status"] == "up" and client.get("k") == b"copied")
    with luasprocs.connect(copy.url) as sprocs:
        assert sprocs.execute("get.lua", keys=["k"], readonly=True, reply=str) == "copied"
        with pytest.raises(ScriptError):
            sprocs.execute("set.lua", keys=["k"], args=["v"])


async def test_asyncio_has_the_same_types_and_errors(async_sprocs):
    assert await async_sprocs.execute("echo.lua", keys=["k"], args=["a", 7], reply=list) == [b"k", b"a", b"7"]
    assert await async_sprocs.execute("text.lua", reply=str) == "h\u00e9llo"
    assert await async_sprocs.execute("number.lua", reply=int, readonly=False) == 42
    assert await async_sprocs.execute("echo.lua", readonly=True) == [None, None, None]
    with pytest.raises(ScriptError, match="replied int, not str"):
        await async_sprocs.execute("number.lua", reply=str)
    with pytest.raises(NoSprocError):
        await async_sprocs.execute("nope.lua")
    with pytest.raises(SprocDisabledError):
        await async_sprocs.execute("off.lua")
    with pytest.raises(ScriptError, match=r"raises\.lua:2: out of beans"):
        await async_sprocs.execute("raises.lua")


async def test_in_an_asyncio_pipeline_calls_wait_and_come_back_in_order(async_sprocs):
    async with async_sprocs.client.pipeline() as pipe:
        async_sprocs.queue(pipe, "set.lua", keys=["k"], args=["v"])
        async_sprocs.queue(pipe, "get.lua", keys=["k"], readonly=True)
        pipe.get("k")
        assert await pipe.execute() == [b"OK", b"v", b"v"]


async def test_asyncio_takes_an_applications_client_and_a_namespace(live):
    put(live.client(), sproc("text.lua", "return 'shop'"), keys=Keys("shop"))
    async with luasprocs.connect_async(async_redis.Redis.from_url(live.url), "shop") as sprocs:
        assert await sprocs.execute("text.lua", reply=str) == "shop"
        async with sprocs.client.pipeline() as pipe:
            sprocs.queue(pipe, "text.lua")
            assert await pipe.execute() == [b"shop"]


def code_blocks():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "clients.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 2
    return blocks


async def test_the_python_code_of_the_docs_runs_as_it_stands(server, capsys):
    make_live(server.client(), ROOT / "sprocs")
    for block in code_blocks():
        assert "redis://127.0.0.1:6379/0" in block
        server.client().delete("greeting")
        text = block.replace("redis://127.0.0.1:6379/0", server.url)
        code = compile(text, "docs/clients.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        running = eval(code, {})
        if inspect.isawaitable(running):
            await running
        assert server.client().get("greeting") == b"hello world"
    assert capsys.readouterr().out == "[b'hello world', b'hello world']\n"


def test_the_redis_cli_lines_of_the_docs_run_as_they_stand(server):
    make_live(server.client(), ROOT / "sprocs")
    block = (ROOT / "docs" / "clients.md").read_text("utf-8").split("```")[1]
    lines = [line.split() for line in block.strip().splitlines()]
    assert len(lines) == 3
    for words in lines:
        server.client().execute_command(*words)


def test_the_values_that_the_docs_show_are_the_ones_replied(server):
    make_live(server.client(), ROOT / "sprocs")
    shown = re.findall(r"^ *sprocs\.(execute\(.*\))  # (.+)$", "".join(code_blocks()), re.MULTILINE)
    assert shown
    with luasprocs.connect(server.url) as sprocs:
        for call, value in shown:
            assert eval(f"sprocs.{call}", {"sprocs": sprocs}) == ast.literal_eval(value)
