"""The server goes away, loses its data, refuses writes or hangs, in the middle of pipelined batches."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.engine import new_secret, render
from luasprocs.registry.revision import Revision
from tests.daemons import DaemonProcess
from tests.faults.ledger import COUNTER, Writers, check, fired, gaps, settled
from tests.live import put, sproc
from tests.proxy import Proxy
from tests.until import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]


def _more(client, than):
    return len(fired(client)) > than


def test_a_server_that_is_killed_and_restarted(own_server):
    server = own_server("--appendfsync", "always", persistent=True)
    put(server.client(), sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        with Writers(server, 8, rate=400) as writers:
            took_s = []
            for _ in range(3):
                time.sleep(0.8)
                server.kill()
                server.process._any_port = False
                server.process.start()
                answered = time.monotonic()
                client = server.client()
                before = len(fired(client))
                until(partial(_more, client, before))
                took_s.append(time.monotonic() - answered)
            assert min(took_s) < 2, f"not going on within two seconds: {took_s}\n{daemon.output}"
            time.sleep(0.5)
        client = server.client()
        ran = settled(client, writers.count)
    finally:
        daemon.kill()
    check(writers.ledger, ran, gaps(client))
    assert gaps(client)
    assert "new epoch" in daemon.output


def test_flushall_under_load(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        with Writers(server, 4, rate=300) as writers:
            time.sleep(0.7)
            flushed_ms = round(time.time() * 1000)
            client.flushall()
            time.sleep(0.3)
            put(client, sproc("counter.lua", COUNTER))
            live_ms = round(time.time() * 1000)
            time.sleep(1.5)
        ran = settled(client, writers.count)
    finally:
        daemon.kill()
    assert not {key: times for key, times in ran.items() if times > 1}
    # Between the two there was no trigger; afterwards what is missing lies in a gap.
    later = [entry for entry in writers.ledger if entry.after_ms > live_ms]
    assert later
    everything = [*gaps(client), (flushed_ms - 300, live_ms, "no registry")]
    check(later, {entry.key: 1 for entry in later if entry.key in ran}, everything)
    assert any(entry.key in ran for entry in later)


def test_functions_flushed_under_load(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        with Writers(server, 4, rate=300) as writers:
            for _ in range(3):
                time.sleep(0.5)
                client.execute_command("FUNCTION", "FLUSH")
            time.sleep(0.7)
        ran = settled(client, writers.count)
    finally:
        daemon.kill()
    check(writers.ledger, ran)
    assert gaps(client) == []
    assert "loaded it again" in daemon.output


def test_an_engine_that_somebody_loads_again_with_another_secret_is_learned(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    revision = Revision.parse(client.hgetall(Keys().revision))
    daemon = DaemonProcess(server.url).start()
    try:
        client.set("ev:1", 1)
        until(lambda: fired(client))
        client.function_load(render(Keys(), revision.owner, 0, new_secret()).text, replace=True)
        until(lambda: client.set("ev:2", 1) and _more(client, 1))
        put(
            client,
            sproc("counter.lua", COUNTER),
            sproc("later.lua", "-- event=set\n-- key=later\nredis.call('SET', 'heard', 1)"),
        )
        until(lambda: client.set("later", 1) and client.exists("heard"), what=lambda: daemon.output)
    finally:
        daemon.kill()


def test_out_of_memory_and_back(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        with Writers(server, 4, rate=300) as writers:
            for _ in range(3):
                time.sleep(0.4)
                client.config_set("maxmemory", "1mb")
                time.sleep(0.3)
                client.config_set("maxmemory", "0")
            time.sleep(0.3)
        ran = settled(client, writers.count)
    finally:
        daemon.kill()
    check(writers.ledger, ran)
    assert gaps(client) == []


def test_daemons_of_a_full_server_live_and_what_happens_there_waits(server):
    client = server.client()
    put(client, sproc("counter.lua", "-- event=del\n-- key=full:*\nredis.call('INCR', 'ran')"))
    client.mset({f"full:{n}": n for n in range(50)})
    daemon = DaemonProcess(server.url).start()
    try:
        client.config_set("maxmemory", "1mb")
        until(lambda: "OOM" in daemon.output)
        client.delete(*(f"full:{n}" for n in range(50)))
        before = client.hget(Keys().events, "tick")
        until(lambda: int(client.hget(Keys().events, "tick")) > int(before) + 8)
        (beat,) = client.hvals(Keys().daemons)
        assert int(beat.split()[1]) > int(before)
        assert client.get("ran") is None
        client.config_set("maxmemory", "0")
        until(lambda: client.get("ran") == b"50")
    finally:
        client.config_set("maxmemory", "0")
        daemon.kill()
    assert gaps(client) == []
    assert daemon.output.count("OOM") < 8, daemon.output


def test_busy_scripts_of_others(server):
    client = server.client()
    client.config_set("busy-reply-threshold", "50")
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()

    def busy():
        with server.client(socket_timeout=20) as other:
            other.eval("for i = 1, 30000000 do end return 1", 0)

    try:
        with Writers(server, 4, rate=300) as writers:
            for _ in range(3):
                time.sleep(0.4)
                thread = threading.Thread(target=busy)
                thread.start()
                thread.join()
            time.sleep(0.3)
        ran = settled(client, writers.count)
    finally:
        daemon.kill()
    check(writers.ledger, ran)
    assert gaps(client) == []


def test_connections_cut_in_the_middle(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    pair = [DaemonProcess(server.url).start() for _ in range(2)]
    try:
        with Writers(server, 4, rate=500) as writers:
            for place in range(6):
                time.sleep(0.4)
                mine = [one for one in client.client_list() if "luasprocs-daemon" in str(one["name"])]
                victim = mine[place % len(mine)]
                client.execute_command("CLIENT", "KILL", "ID", victim["id"])
            time.sleep(0.5)
        ran = settled(client, writers.count)
    finally:
        for daemon in pair:
            daemon.kill()
    check(writers.ledger, ran, gaps(client))


def test_all_connections_cut_is_a_gap(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        with Writers(server, 4, rate=500) as writers:
            for turn in range(3):
                time.sleep(0.5)
                client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                daemon.until(" listening", times=turn + 2)
            listening_s, _ = client.time()
            time.sleep(1.5)
        ran = settled(client, writers.count)
    finally:
        daemon.kill()
    check(writers.ledger, ran, gaps(client))
    last = [entry.key for entry in writers.ledger if entry.after_ms > (listening_s + 1) * 1000]
    assert last
    assert ran.keys() >= set(last)
    assert "event connection broke" in daemon.output


def test_all_connections_cut_again_and_again_with_triggers_that_change(server):
    """Those of deadlines break with the session's: nothing of it may stay behind, and hold up the next."""
    client = server.client()
    put(client, sproc("gone.lua", "-- event=expired\n-- key=gone*\nreturn 1\n"), sproc("counter.lua", COUNTER))
    with DaemonProcess(server.url) as daemon:
        for number in range(1, 9):
            put(client, sproc("gone.lua", f"-- event=expired\n-- key=gone{number}*\nreturn 1\n"))
            with client.pipeline(transaction=True) as pipe:
                pipe.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
                pipe.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                pipe.execute()
            daemon.until(" listening", times=number + 1)
        assert daemon.stop(5) == 0


def test_a_server_that_hangs_and_comes_back(own_server):
    server = own_server()
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        with Writers(server, 2, rate=300) as writers:
            time.sleep(0.5)
            os.kill(server.pid, signal.SIGSTOP)
            time.sleep(7)
            os.kill(server.pid, signal.SIGCONT)
            time.sleep(1)
        ran = settled(client, writers.count)
    finally:
        daemon.kill()
    check(writers.ledger, ran, gaps(client))
    assert gaps(client) == [], daemon.output


def test_a_server_that_pauses_writes_has_no_dead_connection(own_server):
    server = own_server()
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        client.execute_command("CLIENT", "PAUSE", 8000, "WRITE")
        with Writers(server, 2, rate=300) as writers:  # each waits with its first write
            time.sleep(9)
        ran = settled(client, writers.count)
    finally:
        daemon.kill()
    check(writers.ledger, ran)
    assert gaps(client) == [], daemon.output
    assert "connecting again" not in daemon.output


def test_a_changed_password_is_said_and_the_right_one_goes_on(server):
    client = server.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        client.execute_command("ACL", "SETUSER", "default", "nopass", "-fcall")
        client.set("ev:a", "1")
        time.sleep(0.6)
        client.execute_command("ACL", "SETUSER", "default", "+fcall")
        ran = settled(client, 1)
    finally:
        daemon.kill()
    assert ran == {"ev:a": 1}, daemon.output


def test_a_master_that_is_demoted_and_promoted_again(own_server):
    """Its replication id is another then: a new epoch, although it is the same process."""
    server, other = own_server(), own_server()
    client, replica = server.client(), other.client()
    put(client, sproc("counter.lua", COUNTER))
    daemon = DaemonProcess(server.url).start()
    try:
        client.set("ev:first", "x")
        assert settled(client, 1) == {"ev:first": 1}
        replica.execute_command("REPLICAOF", "127.0.0.1", server.port)
        until(lambda: replica.info("replication")["master_link_status"] == "up")
        replica.execute_command("REPLICAOF", "NO", "ONE")
        time.sleep(1)
        client.execute_command("REPLICAOF", "127.0.0.1", other.port)
        until(lambda: client.info("replication").get("master_link_status") == "up")
        client.execute_command("REPLICAOF", "NO", "ONE")
        until(lambda: "new epoch" in daemon.output)
        time.sleep(1.5)
        client.set("ev:last", "x")
        ran = settled(client, 2)
    finally:
        daemon.kill()
    assert ran == {"ev:first": 1, "ev:last": 1}, daemon.output
    assert gaps(client)


def test_a_failover_behind_a_proxy_under_load(own_server):
    """The master dies, its replica takes over at the same address: what it had not yet got lies in the gap."""
    master, replica = own_server(), own_server()
    put(master.client(), sproc("counter.lua", COUNTER))
    client = replica.client()
    client.execute_command("REPLICAOF", "127.0.0.1", master.port)
    until(lambda: client.info("replication")["master_link_status"] == "up")
    with Proxy(master.port) as proxy:
        pair = [DaemonProcess(proxy.url).start() for _ in range(2)]
        try:
            with Writers(proxy, 2, rate=500) as writers:
                time.sleep(1)
                master.kill()
                time.sleep(0.5)
                client.execute_command("REPLICAOF", "NO", "ONE")
                proxy.turn_to(replica.port)
                before = writers.count
                until(lambda: writers.count > before + 500)
                client.set("ev:after", "x")
                until(lambda: client.hexists("fired", "ev:after"))
                time.sleep(1)
            ran = settled(client, 1 << 60)
        finally:
            for daemon in pair:
                daemon.kill()
    ran.pop("ev:after")
    check(writers.ledger, ran, gaps(client))
    assert len(ran) > 1000
