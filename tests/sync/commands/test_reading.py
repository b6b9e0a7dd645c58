"""`luasprocs list` and `show`: the registry, for eyes and for pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.operations.edit import edit
from luasprocs.operations.sprocs import live_sproc
from luasprocs.server.registry import Registry

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

SOURCE = """\
-- Copies.
-- description=what was dreamt
-- owner=Ada
-- event=set,rename_to
-- key=dream*
return redis.call('GET', KEYS[1])
"""


@pytest.fixture
def live(shell: Shell) -> Shell:
    shell.commit(dream=SOURCE, lib="-- library=yes\nreturn {}", plain="return 1", off="-- enabled=no\nreturn 1")
    shell.ok("sync")
    return shell


def test_a_list_in_a_pipe_is_separated_by_tabs(live: Shell) -> None:
    assert live.ok("list").rows == [
        ["dream.lua", "set,rename_to dream*", "ok", "what was dreamt"],
        ["lib.lua", "library", "ok", ""],
        ["off.lua", "call", "disabled", ""],
        ["plain.lua", "call", "ok", ""],
    ]


def test_list_json_is_one_object_a_line(live: Shell) -> None:
    found = {one["name"]: one for one in live.ok("list", "--json").lines}
    assert list(found) == ["dream.lua", "lib.lua", "off.lua", "plain.lua"]
    assert found["dream.lua"]["event"] == "set,rename_to"
    assert found["dream.lua"]["blob"] == live.git("rev-parse", "HEAD:sprocs/dream.lua")
    assert found["dream.lua"]["commit"] == live.git("rev-parse", "HEAD")


def test_a_drifted_sproc_is_listed_as_such(live: Shell) -> None:
    live.redis.hset(Keys().name("plain.lua"), "source", "return 2")
    assert live.ok("list").rows[3][:3] == ["plain.lua", "call", "drift"]
    live.redis.delete(Keys().name("plain.lua"))
    assert live.ok("list").rows[3][:3] == ["plain.lua", "?", "drift"]


def test_a_sproc_whose_last_run_failed_and_one_that_was_edited_are_listed_as_such(live: Shell) -> None:
    live.redis.hset(Keys().stats("plain.lua"), mapping={"last_status": "error", "failed_in_a_row": 2})
    registry = Registry(live.redis, Keys())
    edit(
        registry,
        "dream.lua",
        SOURCE.encode() + b"-- more\n",
        base=live_sproc(registry, "dream.lua").blob,
        by="ann@host",
    )
    states = {row[0]: row[2] for row in live.ok("list").rows}
    assert (states["plain.lua"], states["dream.lua"]) == ("failing", "edited")
    found = {one["name"]: one for one in live.ok("list", "--json").lines}
    assert (found["plain.lua"]["failing"], found["dream.lua"]["failing"]) == (True, False)
    assert (found["plain.lua"]["edited"], found["dream.lua"]["edited"]) == (False, True)


def test_a_list_that_nobody_reads_on_ends_quietly(live: Shell) -> None:
    for number in range(300):
        live.write(f"many/{number}.lua", f"-- description={'x' * 300}\nreturn {number}")
    live.commit()
    live.ok("sync")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "sync.cli", "list"], stdout=writing, stderr=subprocess.PIPE, cwd=live.repo
    )
    os.close(writing)
    assert os.read(reading, 1)
    os.close(reading)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0


def test_show_has_metadata_and_source(live: Shell) -> None:
    live.ok("execute", "dream.lua", "--key", "dream1")
    said = live.ok("show", "dream.lua")
    facts = dict(line.split(None, 1) for line in said.out.split("\n\n")[0].splitlines())
    assert facts["name"] == "dream.lua"
    assert facts["description"] == "what was dreamt"
    assert facts["runs"] == "1"
    assert "   6  return redis.call('GET', KEYS[1])" in said.out


def test_show_json_and_source(live: Shell) -> None:
    found = live.ok("show", "dream.lua", "--json").json
    assert (found["name"], found["owner"], found["source"]) == ("dream.lua", "Ada", SOURCE)
    assert live.ok("show", "dream.lua", "--source").out == SOURCE


def test_show_of_an_unknown_name_ends_with_2(live: Shell) -> None:
    result = live("show", "nope.lua")
    assert (result.code, result.out) == (2, "")
    assert "'nope.lua'" in result.err


def test_an_empty_registry_lists_nothing(shell: Shell) -> None:
    assert shell.ok("list").out == ""
    assert shell.ok("list", "--json").out == ""


@pytest.mark.parametrize(
    ("key", "command"),
    [
        (Keys().history, ("history",)),
        (Keys().history, ("rollback",)),
        (Keys().blobs, ("rollback",)),
        (Keys().name("plain.lua"), ("show", "plain.lua")),
    ],
)
def test_a_key_that_was_written_over_is_named_with_what_to_do(live: Shell, key: str, command: tuple[str, ...]) -> None:
    live.commit(plain="return 2")
    live.ok("sync")
    live.redis.delete(key)
    live.redis.set(key, "mine")

    result = live(*command)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"luasprocs: {key} is not a ")
    assert "luasprocs sync repairs it" in result.err
    live.ok("sync")
    live.ok("history")
    live.ok("show", "plain.lua")


def test_counters_that_were_written_over_are_left_out_and_started_anew(live: Shell) -> None:
    key = Keys().stats("plain.lua")
    live.redis.set(key, "mine")

    result = live("show", "plain.lua")

    assert result.code == 0
    assert "return 1" in result.out
    assert f"{key} is not a hash" in result.err
    live.ok("execute", "plain.lua")
    assert live.ok("show", "plain.lua", "--json").json["stats"]["runs"] == "1"
