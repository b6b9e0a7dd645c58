"""A daemon as a service: signals, exit codes, sd_notify and its watchdog."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.daemons import DaemonProcess
from tests.live import put, sproc
from tests.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import OwnServer, StartDaemon
    from tests.servers import Server

DREAM = "-- event=set\n-- key=dream*\nredis.call('SET', 'sc2', KEYS[1])\n"
ENDLESS = "-- event=set\n-- key=dream*\n-- timeout=10s\nwhile true do end\n"


class Manager:
    """A service manager's socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self._socket.settimeout(10)
        self.heard: list[str] = []

    def until(self, state: str, times: int = 1) -> None:
        """Waits until it was told something so often."""
        while self.heard.count(state) < times:
            self.heard += self._socket.recv(4096).decode().split("\n")

    def rest(self) -> list[str]:
        """Everything that was said up to now."""
        while select.select([self._socket], [], [], 0)[0]:
            self.heard += self._socket.recv(4096).decode().split("\n")
        return self.heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    one = Manager(str(tmp_path / "notify"))
    yield one
    one.close()


@pytest.fixture
def live(server: Server) -> Server:
    put(server.client(), sproc("dream.lua", DREAM))
    return server


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(live: Server, start_daemon: StartDaemon, number: int) -> None:
    daemon = start_daemon(live.url)
    daemon.process.send_signal(number)
    assert daemon.wait() == 0
    assert "stopping: waiting for running sprocs" in daemon.output
    assert daemon.output.endswith("INFO stopped\n")
    assert live.client().hlen("__*_Sproc_Daemons_*__") == 0, "its lease is given back"


def test_a_signal_while_nothing_answers(start_daemon: StartDaemon, own_server: OwnServer) -> None:
    server = own_server()
    put(server.client(), sproc("dream.lua", DREAM))
    daemon = start_daemon(server.url)
    server.kill()
    daemon.until("trying again")
    assert daemon.stop() == 0


def test_a_signal_before_anything_answers() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        daemon = DaemonProcess(f"redis://127.0.0.1:{nobody.getsockname()[1]}/0").spawn()
        try:
            daemon.until("trying again")
            assert daemon.stop() == 0
        finally:
            daemon.kill()


@pytest.mark.wording
def test_only_a_third_interrupt_or_sigquit_ends_it_at_once(live: Server, start_daemon: StartDaemon) -> None:
    client = live.client()
    put(client, sproc("dream.lua", ENDLESS))
    daemon = start_daemon(live.url)
    client.set("dream", "1")
    until(lambda: live_is_busy(live), what="the sproc never ran")
    daemon.process.terminate()
    daemon.until("stopping")
    assert daemon.running, "what runs ends first"
    for turn in range(1, 4):
        time.sleep(0.3)  # two at once are one wish
        daemon.process.send_signal(signal.SIGTERM if turn == 1 else signal.SIGINT)
        daemon.until("waiting for calls of the server: 1", times=turn)
    time.sleep(0.3)
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.wait() == 130
    assert live_is_busy(live), "it waited for what runs"
    assert "SIGINT: ending at once" in daemon.output


def live_is_busy(server: Server) -> bool:
    """Whether a sproc holds the server: it answers nothing in time."""
    with socket.create_connection(("127.0.0.1", server.port)) as probe:
        probe.sendall(b"PING\r\n")
        ready, _, _ = select.select([probe], [], [], 0.2)
        return not ready or b"BUSY" in probe.recv(100)


def test_a_manager_hears_when_it_listens_and_when_it_stops(
    live: Server, start_daemon: StartDaemon, manager: Manager
) -> None:
    daemon = start_daemon(live.url, environ={"NOTIFY_SOCKET": manager.path})
    manager.until("READY=1")
    assert "STATUS=listening" in manager.rest()
    assert "STOPPING=1" not in manager.heard
    assert "WATCHDOG=1" not in manager.heard, "nobody asked for it"
    assert daemon.stop() == 0
    assert manager.rest()[-1] == "STOPPING=1"
    assert manager.heard.count("READY=1") == 1


def test_it_is_not_ready_before_it_listens(server: Server, manager: Manager) -> None:
    with_manager = {"NOTIFY_SOCKET": manager.path}
    daemon = DaemonProcess(server.url, environ=with_manager).spawn()
    try:
        daemon.until("nothing is synced here yet")
        time.sleep(0.3)
        assert "READY=1" not in manager.rest()
        put(server.client(), sproc("dream.lua", DREAM))
        manager.until("READY=1")
    finally:
        daemon.kill()


def test_an_abstract_socket(live: Server, start_daemon: StartDaemon) -> None:
    manager = Manager(f"@luasprocs-test-{os.getpid()}-{time.monotonic_ns()}")
    try:
        start_daemon(live.url, environ={"NOTIFY_SOCKET": manager.path})
        manager.until("READY=1")
    finally:
        manager.close()


def test_the_watchdog_hears_of_it_in_time(live: Server, start_daemon: StartDaemon, manager: Manager) -> None:
    daemon = start_daemon(live.url, environ={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"})
    manager.until("WATCHDOG=1", 2)
    rounds = []
    for number in range(1, 6):
        started = time.monotonic()
        manager.until("WATCHDOG=1", 2 + 4 * number)
        rounds.append(time.monotonic() - started)
    assert 0.25 < min(rounds) < 0.6, "twice in each 200 ms"  # the machine may be late, not each time
    assert sum(rounds) > 1.2, "and not without a rest"
    assert any(line.startswith("STATUS=listening, lag 0") for line in manager.heard)
    daemon.stop()


def test_a_redis_that_is_away_is_no_reason_to_be_restarted(
    own_server: OwnServer, start_daemon: StartDaemon, manager: Manager
) -> None:
    server = own_server()
    put(server.client(), sproc("dream.lua", DREAM))
    daemon = start_daemon(server.url, environ={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"})
    server.kill()
    daemon.until("trying again")
    before = manager.rest().count("WATCHDOG=1")
    manager.until("WATCHDOG=1", before + 5)
    manager.until("STATUS=waiting for the server")
    assert daemon.running


def test_a_watchdog_of_another_process_is_left_alone(live: Server, start_daemon: StartDaemon, manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    start_daemon(live.url, environ=environ)
    manager.until("READY=1")
    time.sleep(0.5)
    assert "WATCHDOG=1" not in manager.rest()


def test_a_manager_that_is_gone_is_no_problem(live: Server, start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon(live.url, environ={"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "100000"})
    time.sleep(0.3)
    assert daemon.stop() == 0
