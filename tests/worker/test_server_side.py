"""A worker and its server: what a job's commands cause, other sprocs, and connections that break."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess

import pytest

from luasprocs.contract.keys import Keys
from tests.evaluated import locals_of
from tests.live import put, sproc
from tests.proxy import Proxy
from tests.until import until
from tests.worker.harness import EndedError

ECHO = "return redis.call('ECHO', 'fine')"


def markers(bench, act) -> list[str]:
    """What is published between markers while `act` runs."""
    with bench.server.client(socket_timeout=10).pubsub() as pubsub:
        pubsub.subscribe(Keys().markers)
        pubsub.get_message(timeout=30)
        act()
        bench.client.publish(Keys().markers, "over")
        found = []
        while (message := pubsub.get_message(timeout=30)) and message["data"] != b"over":
            found.append(message["data"].decode().partition(" ")[2])  # behind the engine's secret
        return found


def test_each_command_stands_between_markers_that_say_what_caused_it(bench):
    generation = bench.live(
        s="--runasync=yes\nredis.call('SET', 'k', 1) redis.pcall('NOPE')", t="-- event=set\n-- key=x\nreturn 1"
    )
    options = {"depth": 3, "origin": "1-2", "generation": generation}
    found = markers(bench, lambda: bench.worker.run("s.lua", **options))
    assert found == ["begin 3 1 1-2 s.lua", "end"] * 2
    generation = bench.live(s="--runasync=yes\nredis.call('SET', 'k', 1)")
    assert markers(bench, lambda: bench.worker.run("s.lua", generation=generation)) == [], "nobody has a trigger"


def test_other_sprocs_are_called_and_enqueued(bench):
    generation = bench.live(
        s="--runasync=yes\nlocal id = sproc.enqueue('later.lua', { 'k2' }, { 'x', 1.5 })\n"
        "return { sproc.call('callee.lua', { 'k' }, { 'a', 5 }), type(id) }",
        callee="redis.call('SET', KEYS[1], ARGV[2]) return { ARGV[1], #ARGV }",
        later="--runasync=yes\nreturn 1",
    )
    done = bench.worker.run("s.lua", depth=2, origin="o", generation=generation)
    assert (done.status, done.reply, done.error) == ("ok", '[["a",2],"string"]', "")
    assert bench.client.get("k") == b"5"
    ((_, fields),) = bench.client.xrange(Keys().jobs)
    job = json.loads(fields[b"job"])
    assert {name: job[name] for name in ("sproc", "keys", "args", "origin", "depth")} == {
        "sproc": "later.lua", "keys": ["k2"], "args": ["x", "1.5"], "origin": "o", "depth": 2,
    }  # fmt: skip
    assert bench.run("sproc.enqueue('s.lua', {}, { {} })").status == "error"
    done = bench.run("sproc.enqueue('none.lua')")
    assert done.error.startswith("NOSPROC no sproc named 'none.lua'")


def test_an_overlap_that_skips_gives_nil(bench):
    generation = bench.live(
        s="--runasync=yes\nreturn { type(sproc.enqueue('later.lua')), type(sproc.enqueue('later.lua')) }",
        later="--runasync=yes\n--overlap=skip\nreturn 1",
    )
    assert bench.worker.run("s.lua", generation=generation).reply == '["string","nil"]'


def test_many_words_and_long_replies(bench):
    done = bench.run("local t = {} for i = 1, 9000 do t[i] = 'x' end return redis.call('DEL', unpack(t))")
    assert done.status == "error"
    assert (
        bench.run("local t = {} for i = 1, 5000 do t[i] = 'x' .. i end redis.call('DEL', unpack(t)) return #t").reply
        == "5000"
    )
    bench.client.rpush("l", *range(20_000))
    assert bench.run("return #redis.call('LRANGE', 'l', 0, -1)").reply == "20000"


def test_bytes_pass_unchanged(bench):
    every = bytes(range(256)) * 300
    bench.client.set("bytes", every)
    generation = bench.live(
        s="--runasync=yes\nredis.call('SET', 'copy', redis.call('GET', KEYS[1]) .. ARGV[1]) return #ARGV[1]"
    )
    done = bench.worker.run("s.lua", (b"bytes",), (every,), generation=generation)
    assert done.reply == str(len(every))
    assert bench.client.get("copy") == every * 2


def test_a_namespace_and_a_db(server, start_worker):
    keys, client = Keys("{shop}"), server.client(db=3)
    put(
        client,
        sproc("s.lua", "--runasync=yes\nredis.call('SET', 'x', 1) return sproc.call('t.lua')"),
        sproc("t.lua", "return 'called'"),
        keys=keys,
    )
    worker = start_worker(url=f"redis://127.0.0.1:{server.port}/3", namespace="{shop}", db=3)
    done = worker.run("s.lua")
    assert (done.status, done.reply) == ("ok", "called"), done
    assert (client.get("x"), server.client().get("x")) == (b"1", None)
    select = "--runasync=yes\nreturn redis.call('SELECT', 0)"
    put(client, sproc("s.lua", select), keys=keys)
    assert worker.run("s.lua", generation="2").error.startswith("ERR SELECT is not there in an async sproc")


def test_the_user_of_the_url_is_the_one_that_acts(bench, server, start_worker):
    rules = ["on", ">secret word", "~*", "&*", "+@all", "-del"]
    bench.client.execute_command("ACL", "SETUSER", "worker", *rules)
    bench.live(
        s="--runasync=yes\nreturn redis.call('ACL', 'WHOAMI')", t="--runasync=yes\nreturn redis.call('DEL', 'x')"
    )
    worker = start_worker(url=f"redis://worker:secret%20word@127.0.0.1:{server.port}")
    assert worker.run("t.lua").status == "error"
    wrong = start_worker(url=f"redis://worker:wrong@127.0.0.1:{server.port}")
    assert wrong.said[0] == b"failed"
    assert b"WRONGPASS" in wrong.said[1]
    assert b"wrong@" not in wrong.said[1]


def test_nobody_answers(start_worker):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    worker = start_worker(url=f"redis://:secret@127.0.0.1:{port}")
    assert worker.said[0] == b"failed"
    assert worker.said[1].startswith(f"can't connect to redis://:***@127.0.0.1:{port}: ".encode())
    assert b"secret" not in worker.said[1]


def test_a_unix_socket(bench, server, start_worker):
    bench.live(s=f"--runasync=yes\n{ECHO}")
    worker = start_worker(url=f"unix://{server.socket_path}")
    assert worker.run("s.lua").reply == "fine"
    bench.client.client_kill_filter(_type="normal", skipme=True)
    assert worker.run("s.lua").reply == "fine", "it connects again, confined"


def test_a_connection_lost_between_two_jobs_costs_nothing(bench):
    for _ in range(3):
        assert bench.run(ECHO).reply == "fine"
        bench.client.client_kill_filter(_type="normal", skipme=True)


def test_a_connection_lost_inside_a_job_is_an_error_and_the_next_command_has_another(bench):
    with Proxy(bench.server.port) as proxy:
        bench.start(url=proxy.url)
        assert bench.run(ECHO).reply == "fine"
        proxy.cut_at = proxy.total + 700  # inside the job
        cut = bench.run("for i = 1, 100 do redis.call('ECHO', ('x'):rep(100)) end")
        assert cut.status == "error"
        assert cut.error.startswith(
            (
                "ERR the connection was lost: it is unknown whether the server ran the command",
                "ERR the server can't be reached",
            )
        )
        assert proxy.cut.is_set()
        proxy.cut_at = None
        proxy.cut.clear()
        assert bench.run(ECHO).reply == "fine"


def test_a_server_that_restarts(bench, own_server):
    own = own_server(persistent=True)
    put(own.client(), sproc("s.lua", f"--runasync=yes\n{ECHO}"))
    worker = bench.start(url=own.url)
    assert worker.run("s.lua").reply == "fine"
    own.kill()
    done = worker.run("s.lua", generation="2")
    assert (done.status, done.error[:31]) == ("unbegun", "ERR the server can't be reached")
    own.restart()
    put(own.client(), sproc("s.lua", f"--runasync=yes\n{ECHO}"))
    assert worker.run("s.lua", generation="3").reply == "fine"


def test_a_name_that_leads_nowhere_any_more_ends_the_worker_so_that_another_looks_it_up(bench, own_server):
    own = own_server()
    put(own.client(), sproc("s.lua", f"--runasync=yes\n{ECHO}"))
    worker = bench.start(url=f"redis://localhost:{own.port}")
    assert worker.run("s.lua").reply == "fine"
    own.kill()
    with pytest.raises(EndedError) as ended:
        worker.run("s.lua")
    assert ended.value.args == (3, "worker: the server can't be reached any more; a new worker looks up its name\n")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl makes a certificate")
def test_tls_connects_again_though_its_files_are_out_of_reach(bench, own_server, server_kind, tmp_path):
    if server_kind == "valkey":
        pytest.skip("the embedded Valkey is built without TLS")
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.crt", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", *key, *names], cwd=tmp_path, check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    files = ["--tls-cert-file", f"{tmp_path}/server.crt", "--tls-key-file", f"{tmp_path}/server.key"]
    own = own_server(
        "--tls-port", str(port), *files, "--tls-ca-cert-file", f"{tmp_path}/server.crt", "--tls-auth-clients", "no"
    )
    put(own.client(), sproc("s.lua", f"--runasync=yes\n{ECHO}"))
    worker = bench.start(url=f"rediss://localhost:{port}?ssl_ca_certs={tmp_path}/server.crt")
    for _ in range(3):
        assert worker.run("s.lua").reply == "fine"
        own.client().client_kill_filter(_type="normal", skipme=True)
    refused = bench.start(url=f"rediss://localhost:{port}")
    assert refused.said[0] == b"failed"
    assert b"certificate verify failed" in refused.said[1]


def test_kill_9_while_a_command_is_under_way(bench):
    bench.live(s="--runasync=yes\nfor i = 1, 1e9 do redis.call('INCR', 'n') end")
    bench.worker.send_job("s.lua")
    until(lambda: int(bench.client.get("n") or 0) >= 100)
    os.kill(bench.worker.pid, signal.SIGKILL)
    with pytest.raises(EndedError) as ended:
        bench.worker.read()
    assert ended.value.args[0] == -signal.SIGKILL
    bench.start()
    assert bench.run(ECHO).reply == "fine"


def test_a_worker_ends_when_its_daemon_hangs_up(bench):
    assert bench.worker.process.stdin is not None
    bench.worker.process.stdin.close()
    assert bench.worker.process.wait(60) == 0
    assert bench.worker.stderr() == ""


def test_a_job_of_nothing_costs_little(bench):
    generation = bench.live(
        s="--runasync=yes\nreturn 1", t="--runasync=yes\nreturn cjson.encode({ redis.call('ECHO', 'x') })"
    )
    took_us = [bench.worker.run("s.lua", generation=generation).duration_us for _ in range(100)]
    assert sorted(took_us)[10] < 600, took_us
    took_us = [bench.worker.run("t.lua", generation=generation).duration_us for _ in range(100)]
    assert sorted(took_us)[10] < 2500, took_us


@pytest.mark.parametrize("count", [7994, 7995, 7999])
def test_a_command_may_have_as_many_words_as_under_eval(bench, count):
    """unpack gives 7,999 values at most, here as on the server."""
    body = f"local t = {{ 'RPUSH', 'list' }} for i = 3, {count} do t[i] = i end return redis.call(unpack(t))"
    generation = bench.live(s=f"--runasync=yes\n{body}", t="-- event=set\n-- key=x\nreturn 1")
    done = bench.worker.run("s.lua", generation=generation)
    assert (done.status, done.reply, done.error) == ("ok", str(count - 2), "")


def test_what_unpack_refuses_names_a_line(bench):
    body = "local t = {} for i = 1, 8000 do t[i] = i end\nlocal n = select('#', unpack(t)) return n"
    done = bench.worker.run("s.lua", generation=bench.live(s=f"--runasync=yes\n{body}"))
    assert (done.status, done.error) == ("error", "ERR s.lua:3: too many results to unpack")
    done = bench.worker.run("s.lua", generation=bench.live(s="--runasync=yes\n" + locals_of(200).decode()))
    assert (done.status, done.reply) == ("ok", "199")
