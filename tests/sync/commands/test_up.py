"""`luasprocs up`: an embedded Valkey and a daemon in the repository."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from typing import TYPE_CHECKING, Self

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import luasprocs
from luasprocs.operations.local_server import SERVER_FILE
from tests.gitrepo import GitRepo
from tests.sync.commands.shell import Shell
from tests.until import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

DREAM = "-- event=set\n-- key=dream*\nredis.call('SET', 'sc2', KEYS[1] .. '=' .. ARGV[1])\n"


class Up:
    """`luasprocs up` as a process in a folder; what it says goes to files."""

    def __init__(self, folder: Path, *before: str) -> None:
        self.folder = folder
        self._command = [sys.executable, "-m", "sync.cli", *before, "up"]
        self._said = folder.parent / "up.txt"

    def start(self) -> Self:
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                self._command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        return self

    @property
    def said(self) -> str:
        return self._said.read_text()

    def until(self, words: str, times: int = 1) -> Self:
        deadline = time.monotonic() + PATIENCE_S
        while self.said.count(words) < times:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.01)
        return self

    @property
    def url(self) -> str:
        found: str = tomllib.loads((self.folder / SERVER_FILE).read_text())["redis"]
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def alone(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A user who has set no server."""
    monkeypatch.delenv("LUASPROCS_REDIS")
    return shell


@pytest.fixture
def up(alone: Shell) -> Iterator[Up]:
    one = Up(alone.repo)
    yield one
    if hasattr(one, "process"):
        one.process.kill()
        one.process.wait()


# The server that `up` starts is its own: one of the two kinds of the shell's server is enough.
@pytest.fixture
def server_kind() -> str:
    return "valkey"


def test_from_a_commit_to_a_sproc_that_runs_by_itself(alone: Shell, up: Up) -> None:
    alone.commit(sc2=DREAM)
    up.start().until(" listening")
    assert f"Valkey at {up.url}" in up.said
    assert "as generation 1: 1 created" in up.said
    client = redis.Redis.from_url(up.url)
    client.set("dream", "something")
    alone.ok("wait")
    assert client.get("sc2") == b"dream=something"
    assert alone.ok("status", "--json").json["daemons"][0]["pid"] == up.process.pid
    (alone.repo / "sprocs" / "deep").mkdir()
    assert alone.ok("--repo", str(alone.repo / "sprocs" / "deep"), "list").rows[0][0] == "sc2.lua"
    client.close()

    assert up.stop() == 0
    assert not (alone.repo / SERVER_FILE).exists()
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(re.findall(r"redis://\S+/0", up.said)[0]).ping()


def test_git_sees_nothing_of_it(alone: Shell, up: Up) -> None:
    alone.commit(sc2=DREAM)
    up.start().until(" listening")
    assert alone.git("status", "--porcelain") == ""
    up.stop()
    assert alone.git("status", "--porcelain") == ""


def test_ctrl_c_ends_it_in_order(alone: Shell, up: Up) -> None:
    alone.commit(sc2=DREAM)
    up.start().until(" listening")
    assert up.stop(signal.SIGINT) == 0
    assert not (alone.repo / SERVER_FILE).exists()


def test_the_next_time_has_the_same_data_and_port(alone: Shell, up: Up) -> None:
    alone.commit(sc2=DREAM)
    up.start().until(" listening")
    url = up.url
    with redis.Redis.from_url(url) as client:
        client.set("kept", "1")
    up.stop()
    up.start().until(" listening")
    assert up.url == url
    assert "in sync with" in up.said
    with redis.Redis.from_url(url) as client:
        assert client.get("kept") == b"1"
        client.set("dream", "again")
        alone.ok("wait")
        assert client.get("sc2") == b"dream=again"


def test_a_port_that_somebody_took_is_left_to_them(alone: Shell, up: Up) -> None:
    alone.commit(sc2=DREAM)
    folder = alone.repo / SERVER_FILE.parent
    folder.mkdir()
    (folder / "port").write_text(str(alone.server.port))
    up.start().until(" listening")
    assert up.url != alone.server.url


@pytest.mark.parametrize("port", ["", "none", "99999999", "-1", "\ufffd"])
def test_a_port_that_is_none(alone: Shell, up: Up, port: str) -> None:
    folder = alone.repo / SERVER_FILE.parent
    folder.mkdir()
    (folder / "port").write_text(port)
    up.start().until("Valkey at")


def test_a_second_one_in_the_same_repository_is_refused(alone: Shell, up: Up) -> None:
    alone.commit(sc2=DREAM)
    up.start().until(" listening")
    url = up.url
    said = alone("up")
    assert said.code == 2
    assert f"another embedded server already runs in {alone.repo / '.luasprocs'}" in said.err
    assert f"started by process {up.process.pid}" in said.err
    assert up.url == url
    alone.ok("list")


def test_without_a_commit_it_waits_for_one(alone: Shell, up: Up) -> None:
    up.start().until("nothing is synced here yet")
    assert "has no commit yet" in up.said
    alone.commit(sc2=DREAM)
    alone.ok("sync")
    up.until(" listening")
    with redis.Redis.from_url(up.url) as client:
        client.set("dream", "later")
        alone.ok("wait")
        assert client.get("sc2") == b"dream=later"
    assert up.stop() == 0


def test_a_broken_commit_is_said_and_what_was_live_stays(alone: Shell, up: Up) -> None:
    alone.commit(sc2=DREAM)
    up.start().until(" listening")
    up.stop()
    alone.commit(broken="-- key=lost*\nreturn redis.call('GET' 'x')\n")
    up.start().until(" listening")
    assert "sprocs/broken.lua:" in up.said
    assert "HEAD is not live" in up.said
    assert [row[0] for row in alone.ok("list").rows] == ["sc2.lua"]


def test_a_file_that_a_killed_one_left_is_replaced(alone: Shell, up: Up) -> None:
    alone.commit(sc2=DREAM)
    up.start().until(" listening")
    up.stop(signal.SIGKILL)
    assert (alone.repo / SERVER_FILE).exists()
    up.start().until(" listening")
    alone.ok("list")
    assert up.stop() == 0
    assert not (alone.repo / SERVER_FILE).exists()


def test_a_valkey_that_dies_is_started_again(alone: Shell, up: Up) -> None:
    alone.commit(sc2=DREAM)
    up.start().until(" listening")
    with redis.Redis.from_url(up.url) as client:
        client.set("kept", "x")
        time.sleep(1.1)  # its log is on disk once a second
        for times in (1, 2):
            os.kill(client.info("server")["process_id"], signal.SIGKILL)
            up.until("restarted it", times)
            assert until(lambda: client.get("kept")) == b"x"
        client.set("dream1", "y")
        until(lambda: client.set("dream2", "y") and client.get("sc2"))
    assert up.stop() == 0


def test_sigterm_while_it_starts(alone: Shell, up: Up) -> None:
    alone.commit(**{f"s{number}": "return 1" for number in range(50)})
    up.start().until("Valkey at")
    assert up.stop() == 0
    assert not (alone.repo / SERVER_FILE).exists()


def test_it_takes_no_other_server(alone: Shell) -> None:
    said = alone("--redis", alone.server.url, "up")
    assert said.code == 2
    assert "leave out --redis" in said.err
    assert not (alone.repo / ".luasprocs").exists()


def test_another_server_in_the_environment_is_warned_of(shell: Shell, server: Server) -> None:
    shell.commit(sc2=DREAM)
    one = Up(shell.repo)
    assert os.environ["LUASPROCS_REDIS"] == server.url
    try:
        one.start().until(" listening")
        assert "LUASPROCS_REDIS names another server" in one.said
        assert one.stop() == 0
    finally:
        one.process.kill()


def test_outside_of_a_repository(alone: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = alone("--repo", str(tmp_path / "empty"), "up")
    assert said.code == 2
    assert "is in no git repository" in said.err


def test_another_repository(alone: Shell, tmp_path: Path, up: Up) -> None:
    alone.commit(sc2=DREAM)
    one = Up(tmp_path, "--repo", str(alone.repo))
    up.process = one.start().process
    one.until(" listening")
    assert (alone.repo / SERVER_FILE).exists()
    assert not (tmp_path / ".luasprocs").exists()
    assert one.stop() == 0


def test_a_cluster_to_try_comes_again_with_its_data(repo: Path) -> None:
    git = GitRepo(repo)
    git.write("sprocs/add.lua", "return redis.call('INCR', KEYS[1])")
    git.commit("first")
    for total in (1, 2):
        up = Up(repo)
        up._command.append("--cluster")
        with_up = up.start()
        try:
            with_up.until("In another terminal")
            assert with_up.url.startswith("redis+cluster://127.0.0.1:")
            with luasprocs.connect(with_up.url) as sprocs:
                assert [sprocs.execute("add.lua", keys=[key]) for key in ("a", "b", "c")] == [total] * 3
                nodes = [node.port for node in sprocs.client.get_primaries()]
            assert len(nodes) == 3
        finally:
            with_up.process.send_signal(signal.SIGTERM)
            with_up.process.wait(30)
        for port in nodes:
            with pytest.raises(redis.ConnectionError):
                redis.Redis(port=port, retry=Retry(NoBackoff(), 0)).ping()
