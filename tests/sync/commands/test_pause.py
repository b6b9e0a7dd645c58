"""`luasprocs pause` and `resume`: triggers stop, direct calls go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys

if TYPE_CHECKING:
    from tests.conftest import StartDaemon
    from tests.sync.commands.shell import Shell

DREAM = "-- event=set\n-- key=dream*\nreturn redis.call('SET', 'sc2', KEYS[1])\n"


@pytest.fixture
def live(shell: Shell) -> Shell:
    shell.commit(dream=DREAM, other="return 'other'", off="-- enabled=no\nreturn 1")
    shell.ok("sync")
    return shell


def test_it_says_what_changed_and_may_be_said_twice(live: Shell) -> None:
    assert live.ok("pause", "dream.lua").out == "paused dream.lua\n"
    assert live.redis.smembers(Keys().paused) == {b"dream.lua"}
    assert live.ok("pause", "dream.lua").out == "dream.lua was paused already\n"
    both = live.ok("pause", "other.lua", "dream.lua", "other.lua", "--json").json
    assert both == {"paused": ["other.lua"], "unchanged": ["dream.lua"]}
    assert live.ok("resume", "dream.lua").out == "resumed dream.lua\n"
    assert live.ok("resume", "dream.lua").out == "dream.lua was not paused\n"
    assert live.ok("resume", "other.lua", "--json").json == {"resumed": ["other.lua"], "unchanged": []}
    assert not live.redis.exists(Keys().paused)


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_a_name_that_is_not_live_changes_nothing(live: Shell, verb: str) -> None:
    live.ok("pause", "other.lua")
    said = live(verb, "dream.lua", "other.lua", "dreams.lua")
    assert (said.code, said.out) == (2, "")
    assert "no sproc named 'dreams.lua' is live" in said.err
    assert live.redis.smembers(Keys().paused) == {b"other.lua"}


def test_nothing_was_synced(shell: Shell) -> None:
    assert shell("pause", "a.lua").code == 2
    assert shell("pause").code == 2


def test_a_deleted_sproc_can_be_resumed(live: Shell) -> None:
    live.ok("pause", "other.lua")
    live.git("rm", "-q", "sprocs/other.lua")
    live.commit()
    live.ok("sync")
    assert live.redis.smembers(Keys().paused) == {b"other.lua"}
    live.ok("resume", "other.lua")
    assert live("resume", "other.lua").code == 2


def test_list_and_show_say_so(live: Shell) -> None:
    live.ok("pause", "dream.lua", "off.lua")
    states = {row[0]: row[2] for row in live.ok("list").rows}
    assert states == {"dream.lua": "paused", "off.lua": "disabled, paused", "other.lua": "ok"}
    assert {one["name"]: one["paused"] for one in live.ok("list", "--json").lines} == {
        "dream.lua": True, "off.lua": True, "other.lua": False,
    }  # fmt: skip
    assert "state             paused: luasprocs resume dream.lua" in live.ok("show", "dream.lua").out
    assert "paused" not in live.ok("show", "other.lua").out
    assert live.ok("show", "dream.lua", "--json").json["paused"] is True
    assert live.ok("show", "other.lua", "--json").json["paused"] is False


def test_it_is_no_drift_and_survives_a_sync(live: Shell) -> None:
    live.ok("pause", "dream.lua")
    assert {one["code"] for one in live("status", "--json").json["findings"]} == {"no_daemon", "paused"}
    live.commit(dream=DREAM + "-- changed\n")
    live.ok("sync")
    assert live.ok("pause", "dream.lua").out == "dream.lua was paused already\n"


def test_a_key_that_somebody_wrote_over(live: Shell) -> None:
    live.redis.set(Keys().paused, "text")
    said = live("pause", "dream.lua")
    assert said.code == 2
    assert f"{Keys().paused} is not a set" in said.err
    assert live.ok("list").rows[0][2] == "ok"


def test_triggers_stop_and_direct_calls_go_on(live: Shell, start_daemon: StartDaemon) -> None:
    start_daemon(live.server.url)
    live.ok("pause", "dream.lua")
    live.redis.set("dream", "1")
    live.ok("wait")
    assert live.redis.get("sc2") is None
    live.ok("execute", "dream.lua", "--key", "called")
    assert live.redis.get("sc2") == b"called"

    live.ok("resume", "dream.lua")
    live.ok("wait")
    assert live.redis.get("sc2") == b"called", "what came while it was paused is skipped, not kept"
    live.redis.set("dream2", "1")
    live.ok("wait")
    assert live.redis.get("sc2") == b"dream2"
