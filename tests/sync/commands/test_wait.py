"""`luasprocs wait`: the barrier behind every event up to now."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.errors import WaitError
from luasprocs.server.registry import Registry
from luasprocs.state.barrier import wait_for_events

if TYPE_CHECKING:
    from tests.conftest import StartDaemon
    from tests.sync.commands.shell import Shell

COUNTER = "-- event=set\n-- key=ev:*\nredis.call('HINCRBY', 'fired', KEYS[1], 1)\n"
HASHES = "-- event=hset\n-- key=h:*\nredis.call('HINCRBY', 'hashes', KEYS[1], 1)\n"
SLOW = "-- event=set\n-- key=ev:*\nfor i = 1, 200000 do end\nredis.call('HINCRBY', 'fired', KEYS[1], 1)\n"


def _synced(shell: Shell, **sources: str) -> None:
    shell.commit(**sources)
    shell.ok("sync")


def _set(shell: Shell, start: int, count: int) -> None:
    pipe = shell.redis.pipeline(transaction=False)
    for number in range(start, start + count):
        pipe.set(f"ev:{number}", "x")
    pipe.execute()


def test_all_that_was_written_before_has_run(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=COUNTER, hashes=HASHES)
    start_daemon(shell.server.url)
    for turn in range(20):
        _set(shell, turn * 50, 50)
        wait_for_events(Registry(shell.redis, Keys()), 20)
        assert shell.redis.hlen("fired") == (turn + 1) * 50
    assert "every event up to now has run" in shell.ok("wait").out
    said = shell.ok("wait", "--json").json
    assert list(said) == ["epoch", "tick", "sources", "waited_ms", "missed"]
    assert said["sources"] == 2
    assert said["epoch"] == shell.redis.hget(Keys().events, "epoch").decode()  # type: ignore[union-attr]


def test_an_idle_registry_is_quick(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=COUNTER, hashes=HASHES)
    start_daemon(shell.server.url)
    wait_for_events(Registry(shell.redis, Keys()), 20)
    took_s = []
    for _ in range(20):
        started = time.monotonic()
        wait_for_events(Registry(shell.redis, Keys()), 20)
        took_s.append(time.monotonic() - started)
    assert min(took_s) < 0.1


def test_a_backlog_is_waited_for(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=SLOW)
    daemon = start_daemon(shell.server.url)
    os.kill(daemon.pid, signal.SIGSTOP)
    _set(shell, 0, 500)
    assert shell.redis.hlen("fired") < 500, "there was no backlog"
    os.kill(daemon.pid, signal.SIGCONT)  # at once: a daemon that is stopped for two seconds is dead
    shell.ok("wait")
    assert shell.redis.hlen("fired") == 500


def test_two_daemons_of_which_one_is_killed(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=SLOW)
    first, _ = start_daemon(shell.server.url), start_daemon(shell.server.url)
    _set(shell, 0, 500)
    first.kill()
    shell.ok("wait")
    assert shell.redis.hlen("fired") == 500


def test_without_triggers_it_returns_at_once(shell: Shell) -> None:
    assert shell.ok("wait").out == "no sproc waits for events\n"
    _synced(shell, plain="return 1")
    assert shell.ok("wait", "--json").json["sources"] == 0


def test_without_a_daemon_it_says_so_at_once(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=COUNTER)
    started = time.monotonic()
    said = shell("wait")
    assert said.code == 2
    assert "no daemon is alive" in said.err
    daemon = start_daemon(shell.server.url)
    shell.ok("wait")
    daemon.stop()
    assert "no daemon is alive" in shell("wait").err
    assert time.monotonic() - started < 25


def test_a_daemon_that_dies_without_a_word(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=COUNTER)
    start_daemon(shell.server.url).kill()
    started = time.monotonic()
    assert "no daemon is alive" in shell("wait").err
    assert time.monotonic() - started < 25


def test_behind_a_gap_it_goes_on(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=COUNTER)
    daemon = start_daemon(shell.server.url)
    shell.ok("wait")
    daemon.stop()
    shell.redis.set("ev:lost", "x")
    daemon.start()
    assert shell("wait", "--timeout", "60s").code in {0, 1}  # 1 if the gap is recorded meanwhile
    assert shell.redis.xlen(Keys().gaps) == 1


def test_a_timeout_says_which_sources_lag(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=SLOW, hashes=HASHES)
    start_daemon(shell.server.url)
    _set(shell, 0, 2000)
    said = shell("wait", "--timeout", "1s")
    assert said.code == 2
    assert "not all events have run within 1 s: __keyspace@0__:ev:* is at tick " in said.err
    assert "h:*" not in said.err
    shell.ok("wait")


@pytest.mark.parametrize("timeout", ["soon", "0s", "60", "-1s", ""])
def test_a_timeout_that_is_none(shell: Shell, timeout: str) -> None:
    said = shell("wait", "--timeout", timeout)
    assert said.code == 2
    assert "is not a duration, like 60s or 5m" in said.err


def test_a_new_epoch_starts_it_again(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=COUNTER)
    start_daemon(shell.server.url)
    wait_for_events(Registry(shell.redis, Keys()), 20)
    shell.redis.delete(Keys().events)
    passed = wait_for_events(Registry(shell.redis, Keys()), 20)
    assert passed.epoch == shell.redis.hget(Keys().events, "epoch").decode()  # type: ignore[union-attr]
    _set(shell, 0, 10)
    wait_for_events(Registry(shell.redis, Keys()), 20)
    assert shell.redis.hlen("fired") == 10


def test_an_epoch_that_ends_while_it_waits(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=SLOW)
    start_daemon(shell.server.url)
    _set(shell, 0, 1500)
    caught: list[str] = []

    def wait() -> None:
        caught.append(wait_for_events(Registry(shell.server.client(), Keys()), 30).epoch)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.1)
    old = shell.redis.hget(Keys().events, "epoch").decode()  # type: ignore[union-attr]
    shell.redis.delete(Keys().events)
    waiting.join(40)
    assert caught
    assert caught[0] != old


def test_a_trigger_that_goes_while_it_is_waited_for(shell: Shell) -> None:
    _synced(shell, counter=COUNTER)
    keys = Keys()
    shell.redis.hset(keys.daemons, "d", f"{shell.redis.time()[0] * 1000} 1 {{}}")
    timer = threading.Timer(0.3, lambda: shell.server.client().delete(keys.triggers))
    timer.start()
    wait_for_events(Registry(shell.redis, keys), 10)
    timer.join()


def test_strange_heartbeats_and_watermarks_are_nobody(shell: Shell) -> None:
    _synced(shell, counter=COUNTER)
    keys = Keys()
    shell.redis.hset(keys.daemons, mapping={"a": "nonsense", "b": "1 2 [", "c": "99999999999999 1 {}", "d": ""})
    shell.redis.hset(keys.events, "__keyspace@0__:ev:*", "far away")
    with pytest.raises(WaitError, match="no daemon is alive"):
        wait_for_events(Registry(shell.redis, keys), 5)


def test_keys_that_somebody_wrote_over_are_named(shell: Shell) -> None:
    _synced(shell, counter=COUNTER)
    shell.redis.delete(Keys().daemons)
    shell.redis.set(Keys().daemons, "text")
    said = shell("wait")
    assert said.code == 2
    assert f"{Keys().daemons} is not a hash" in said.err


def test_an_engine_that_is_gone(shell: Shell) -> None:
    _synced(shell, counter=COUNTER)
    shell.redis.function_flush()
    said = shell("wait")
    assert said.code == 2
    assert "the engine is not loaded" in said.err


def test_events_that_are_missed_meanwhile_have_not_run(shell: Shell, start_daemon: StartDaemon) -> None:
    _synced(shell, counter=COUNTER)
    daemon = start_daemon(shell.server.url)
    shell.ok("wait")
    os.kill(daemon.pid, signal.SIGSTOP)
    shell.redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    _set(shell, 0, 10)
    threading.Timer(0.5, os.kill, (daemon.pid, signal.SIGCONT)).start()
    said = shell("wait", "--json")
    assert (said.code, said.json["missed"]) == (1, ["__keyspace@0__:ev:*"]), said
    assert shell.redis.hlen("fired") == 0
    shell.ok("wait")
