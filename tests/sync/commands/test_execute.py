"""`luasprocs execute`: runs a live sproc, and answers as redis-cli does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

REPLIES = {
    "number": ("return 42", "42\n", "(integer) 42", 42),
    "text": ("return 'plain \"text\"'", 'plain "text"\n', '"plain \\"text\\""', 'plain "text"'),
    "nothing": ("return nil", "\n", "(nil)", None),
    "status": ("return redis.status_reply('FINE')", "FINE\n", '"FINE"', "FINE"),
    "nested": (
        "return {1, {'a', 'b'}, 'c'}",
        "1\na\nb\nc\n",
        '1) (integer) 1\n2) 1) "a"\n   2) "b"\n3) "c"',
        [1, ["a", "b"], "c"],
    ),
    "empty": ("return {}", "\n", "(empty array)", []),
}


@pytest.fixture
def live(shell: Shell) -> Shell:
    sources = {name: source for name, (source, *_) in REPLIES.items()}
    shell.commit(
        **sources,
        echo="return {KEYS[1] or false, KEYS[2] or false, ARGV[1] or false, ARGV[2] or false}",
        sc1="-- one\n-- two\nerror('not today')",
        call="-- one\nreturn redis.call('HGET', KEYS[1], 'x')",
        off="-- enabled=no\nreturn 1",
        binary="return '\\255\\0\\27[31m'",
    )
    shell.ok("sync")
    return shell


def test_in_a_pipe_the_reply_is_raw(live: Shell) -> None:
    for name, (_, raw, _, _) in REPLIES.items():
        assert live.ok("execute", f"{name}.lua").out == raw, name
    assert live.ok("execute", "binary.lua").out.encode("utf-8", "surrogateescape") == b"\xff\0\x1b[31m\n"


def test_json(live: Shell) -> None:
    for name, (_, _, _, value) in REPLIES.items():
        assert live.ok("execute", f"{name}.lua", "--json").json == value, name


def test_on_a_terminal_it_is_typed_as_by_redis_cli(live: Shell) -> None:
    for name in ("nested", "text", "nothing"):
        assert live.terminal("execute", f"{name}.lua").out == REPLIES[name][2] + "\n", name
    assert live.terminal("execute", "binary.lua").out == '"\\xff\\x00\\x1b[31m"\n'


def test_keys_and_arguments_arrive_in_order(live: Shell) -> None:
    wanted = ["k 1", "k2", "-1", "--rank"]
    for typed in (
        ("--key", "k 1", "--key", "k2", "echo.lua", "-1", "--", "--rank"),
        ("echo.lua", "-1", "--key", "k 1", "--key", "k2", "--", "--rank"),
        ("echo.lua", "--key=k 1", "--key=k2", "--", "-1", "--rank"),
    ):
        assert live.ok("execute", "--json", *typed).json == wanted
    assert live.ok("execute", "echo.lua", "-k", "-h", "--json").json == [None, None, "-k", "-h"]
    assert live.ok("execute", "echo.lua", "--json", "--", "--key", "--json").json[2:] == ["--key", "--json"]
    assert live.ok("execute", "echo.lua", "", "\udcff").out.endswith("\n\n\udcff\n")


def test_a_mistyped_option_is_no_argument(live: Shell) -> None:
    for typed, hint in (("--kye", "did you mean '--key'?"), ("--jsn=1", "did you mean '--json'?"), ("--\x1brank", "")):
        result = live("execute", "echo.lua", typed, "x")
        assert (result.code, result.out) == (2, "")
        assert f"No such option {typed.partition('=')[0]!r}: write -- before arguments" in result.err
        assert hint in result.err
    assert live.ok("execute", "--json", "echo.lua", "--key", "--kye", "-10k", "-rank").json == [
        *("--kye", None),
        *("-10k", "-rank"),
    ]


def test_an_unknown_name_ends_with_2(live: Shell) -> None:
    result = live("execute", "nope.lua")
    assert (result.code, result.out) == (2, "")
    assert "no sproc named 'nope.lua'" in result.err


def test_a_disabled_sproc_ends_with_2(live: Shell) -> None:
    result = live("execute", "off.lua")
    assert result.code == 2
    assert "off.lua" in result.err


def test_a_sprocs_error_ends_with_1_and_names_its_own_line(live: Shell) -> None:
    result = live("execute", "sc1.lua")
    assert (result.code, result.out) == (1, "")
    assert "sc1.lua:3: not today" in result.err
    assert result.err.count("\n") == 1

    live.redis.set("text", "x")
    result = live("execute", "call.lua", "--key", "text")
    assert result.code == 1
    assert "WRONGTYPE" in result.err
    assert "call.lua:2" in result.err


def test_a_reply_nested_too_deep_is_said_so_whoever_could_not_read_it(shell: Shell) -> None:
    shell.commit(
        endless="local t = {}\nt[1] = t\nreturn t", deep="local t = {}\nfor i = 1, ARGV[1] do t = {t} end\nreturn t"
    )
    shell.ok("sync")
    for options in ((), ("--json",)):
        assert shell("execute", *options, "deep.lua", "100").code == 0
        for typed in (("endless.lua",), ("deep.lua", "900"), ("deep.lua", "5000")):
            result = shell("execute", *options, *typed)
            assert (result.code, result.out) == (1, "")
            assert result.err.startswith(f"luasprocs: the reply of {typed[0]} is nested too deep")


def test_before_any_sync_it_says_so(shell: Shell) -> None:
    result = shell("execute", "a.lua")
    assert result.code == 2
    assert "no engine is loaded" in result.err


def test_each_run_is_recorded(live: Shell) -> None:
    live.ok("execute", "number.lua")
    live("execute", "sc1.lua")
    entries: Any = live.redis.xrange("__*_Sproc_Executions_*__")
    assert [(record[b"sproc"], record[b"status"]) for _, record in entries] == [
        (b"number.lua", b"ok"),
        (b"sc1.lua", b"error"),
    ]


def test_any_client_runs_the_same_by_fcall(live: Shell) -> None:
    assert live.redis.execute_command("FCALL", "luasprocs_execute", 0, "number.lua") == 42


def test_an_error_of_another_ones_being_async_is_its_own(live: Shell) -> None:
    live.commit(
        other="-- runasync=yes\nreturn 1",
        calls="return sproc.call('other.lua')",
        says="error('the report says: job 7 is runasync=yes')",
    )
    live.ok("sync")
    assert "'other.lua' is runasync=yes: it runs in a worker" in live("execute", "calls.lua").err
    assert "the report says: job 7" in live("execute", "says.lua").err


def test_a_number_is_recorded_with_all_its_digits(live: Shell) -> None:
    live.commit(large="return 1795741099004123")
    live.ok("sync")
    assert live.ok("execute", "large.lua").out == "1795741099004123\n"
    assert live.ok("logs", "--json").lines[-1]["reply"] == "1795741099004123"
