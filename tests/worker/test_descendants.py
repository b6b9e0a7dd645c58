"""Programs of a job end with it, with its worker and with its daemon, whatever they do to get away."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest

from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.until import until
from tests.worker.harness import EndedError

_SECONDS = itertools.count(100_000 + os.getpid() % 10_000 * 100)
WAYS = {
    "plain": "{} &",
    "setsid": "setsid {} >/dev/null 2>&1 </dev/null &",
    "twice": "setsid sh -c 'setsid sh -c \"setsid {} & {} &\" & exit' >/dev/null 2>&1 </dev/null &",
    "no hangup": "trap '' HUP TERM INT; nohup setsid {} >/dev/null 2>&1 </dev/null &",
    "many": "for i in 1 2 3 4 5 6 7 8 9 10; do setsid sh -c 'setsid {} & {}' >/dev/null 2>&1 </dev/null & done",
}


def alive(words: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if words.encode() in (process / "cmdline").read_bytes().replace(b"\0", b" "):
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.fixture
def sleeper():
    """`sleep` for a time that nobody else sleeps."""
    return f"sleep {next(_SECONDS)}"


@pytest.mark.parametrize("way", WAYS)
def test_none_outlives_its_job(bench, sleeper, way):
    worker = bench.start(allow=["exec"])
    command = WAYS[way].replace("{}", sleeper)
    for _ in range(2):
        done = bench.run("os.execute(ARGV[1]) os.execute('sleep 0.2') return 'ran'", (), (command,))
        assert (done.status, done.reply) == ("ok", "ran")
        assert alive(sleeper) == []
    assert bench.worker is worker


def test_what_popen_has_started_ends_too(bench, sleeper):
    bench.start(allow=["exec"])
    done = bench.run("local p = io.popen(ARGV[1]) return p:read('*l')", (), (f"setsid {sleeper} & echo begun",))
    assert (done.status, done.reply) == ("ok", "begun")
    assert alive(sleeper) == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ["worker killed", "keeper terminated", "worker terminated"])
def test_none_outlives_its_worker(bench, sleeper, way, end):
    worker = bench.start(allow=["exec"])
    command = WAYS[way].replace("{}", sleeper)
    generation = bench.live(s=f"-- runasync=yes\nos.execute([[{command}]]) os.execute('sleep 60')")
    worker.send_job("s.lua", generation=generation)
    until(lambda: alive(sleeper))
    assert worker.facts["pid"] != worker.pid
    if end == "worker killed":
        os.kill(worker.facts["pid"], signal.SIGKILL)
    elif end == "keeper terminated":
        os.kill(worker.pid, signal.SIGTERM)
    else:
        os.kill(worker.facts["pid"], signal.SIGTERM)
    with pytest.raises(EndedError) as ended:
        worker.read()
    assert ended.value.args[0] in {-signal.SIGKILL, -signal.SIGTERM}
    until(lambda: not alive(sleeper))


def test_a_worker_without_programs_has_no_keeper(bench):
    assert bench.worker.facts["pid"] == bench.worker.pid


@pytest.mark.parametrize("end", ["kill", "stop", "timeout"])
def test_none_outlives_its_daemon(server, tmp_path, sleeper, end):
    client = server.client()
    hidden = f"setsid {sleeper} >/dev/null 2>&1 </dev/null &"
    timeout = "1s" if end == "timeout" else "60s"
    put(
        client,
        sproc("s.lua", f"-- runasync=yes\n-- timeout={timeout}\nos.execute([[{hidden}]]) os.execute('sleep 60')"),
    )
    environ = {"LUASPROCS_ALLOW": "exec", "LUASPROCS_FILES": str(tmp_path / "files"), "LUASPROCS_WORKERS": "1"}
    with DaemonProcess(server.url, environ=environ) as daemon:
        client.execute_command("FCALL", "luasprocs_enqueue", 0, "s.lua", "tests", 1)
        until(lambda: alive(sleeper))
        if end == "kill":
            daemon.kill()
        elif end == "stop":
            os.kill(daemon.pid, signal.SIGTERM)
            os.kill(daemon.pid, signal.SIGTERM)
        until(lambda: not alive(sleeper))
