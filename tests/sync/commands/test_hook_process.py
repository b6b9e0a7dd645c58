"""One process serves both hooks of a push, whatever becomes of it; a server that hangs; what uninstall leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gitrepo import GitRepo
from tests.sync.commands.hub import Hub
from tests.sync.commands.shell import Shell
from tests.until import until

if TYPE_CHECKING:
    from tests.servers import Server

BROKEN = "return return\n"
HANGING_S = 60
"""At most so long a hung server holds up a push: it was 62."""


@pytest.fixture
def starts(hub: Hub, tmp_path: Path) -> Path:
    """A file with a line for each interpreter that the hooks have started."""
    log, counted = tmp_path / "starts", tmp_path / "python"
    counted.write_text(f'#!/bin/sh\necho "$@" >>{log}\nexec {sys.executable} "$@"\n')
    counted.chmod(0o755)
    for hook in ("pre-receive", "post-receive"):
        path = hub.hooks / hook
        path.write_text(path.read_text().replace(sys.executable, str(counted)))
    return log


def left_over(hub: Hub) -> list[str]:
    return [path.name for path in hub.bare.path.glob("luasprocs-push-*")]


def waiting(hub: Hub) -> list[int]:
    """Processes that have the repository as current folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = (process / "cwd").readlink().is_relative_to(hub.bare.path)
        except OSError:
            continue
        found += [int(process.name)] if inside else []
    return found


def test_a_push_starts_one_interpreter(hub: Hub, starts: Path) -> None:
    for number in range(3):
        hub.commit(a=f"return {number}")
        said = hub.pushed()
        assert f"as generation {number + 1}:" in said
        assert hub.live() == str(number)
    assert len(starts.read_text().splitlines()) == 3
    assert "hook run pre-receive" in starts.read_text()
    until(lambda: not left_over(hub) and not waiting(hub))


def test_a_push_starts_few_gits(hub: Hub, tmp_path: Path) -> None:
    """Each takes 3 to 4 ms; before what `pre-receive` has read was handed on there were 31."""
    hub.commit(a="return 1")
    hub.pushed()
    trace = tmp_path / "trace"
    hub.clone.environ["GIT_TRACE2_EVENT"] = str(trace)
    hub.commit(a="return 2")
    hub.pushed()
    starts = [event for event in map(json.loads, trace.read_text().splitlines()) if event["event"] == "start"]
    assert (
        len(
            [
                event
                for event in starts
                if event["argv"][0] == "git" and event["argv"][1] not in {"push", "add", "commit"}
            ]
        )
        <= 20
    )
    assert hub.live() == "2"


def test_what_another_push_brings_in_between_is_live_too(hub: Hub) -> None:
    hub.commit(a="return 1")
    first = hub.clone.git("rev-parse", "HEAD").strip()
    hub.commit(a="return 2", b="return 3")
    hub.pushed("origin", "main:topic")
    hook = hub.hooks / "post-receive.local"
    hook.write_text("#!/bin/sh\ngit update-ref refs/heads/main refs/heads/topic\n")
    hook.chmod(0o755)
    said = hub.pushed("origin", f"{first}:refs/heads/main")
    assert "2 created" in said
    assert (hub.live("a.lua"), hub.live("b.lua")) == ("2", "3")


def test_a_branch_that_is_not_followed_needs_no_second_one_either(hub: Hub, starts: Path) -> None:
    hub.commit(a="return 1")
    assert "nothing changes" in hub.pushed("origin", "main:topic")
    assert len(starts.read_text().splitlines()) == 1


def test_options_of_a_push_reach_the_second_hook(hub: Hub, starts: Path) -> None:
    names = [f"s{number}" for number in range(10)]
    hub.commit(**dict.fromkeys(names, "return 1"))
    hub.pushed()
    for name in names[:6]:
        (hub.clone.path / "sprocs" / f"{name}.lua").unlink()
    hub.commit()
    assert "6 deleted" in hub.pushed("-o", "prune-all", "origin", "main")
    assert len(starts.read_text().splitlines()) == 2


def test_a_refused_push_leaves_nobody_behind(hub: Hub) -> None:
    hub.commit(a=BROKEN)
    assert hub.push()[0] != 0
    assert left_over(hub) == []
    until(lambda: not waiting(hub))


def test_one_that_another_hook_refuses_ends_with_git(hub: Hub) -> None:
    """`update` comes after pre-receive."""
    update = hub.hooks / "update"
    update.write_text("#!/bin/sh\nexit 1\n")
    update.chmod(0o755)
    hub.commit(a="return 1")
    assert hub.push()[0] != 0
    until(lambda: not waiting(hub) and not left_over(hub))


@pytest.mark.parametrize(
    "how", ["kill $(cat luasprocs-push-*/pid)", "kill -9 $(cat luasprocs-push-*/pid)", "rm -r luasprocs-push*"]
)
def test_a_process_that_is_gone_is_replaced(hub: Hub, starts: Path, how: str) -> None:
    between = hub.hooks / "post-receive.local"
    between.write_text(f"#!/bin/sh\n{how}\n")
    between.chmod(0o755)
    for number in (1, 2):
        hub.commit(a=f"return {number}")
        assert "as generation" in hub.pushed()
        assert hub.live() == str(number)
    assert len(starts.read_text().splitlines()) == 4
    between.unlink()
    hub.commit(a="return 3")
    hub.pushed()
    until(lambda: not left_over(hub))


def test_a_push_of_many_refs(hub: Hub, starts: Path) -> None:
    hub.commit(a="return 'many'")
    for number in range(1200):
        hub.clone.git("update-ref", f"refs/heads/topic/of/a/long/name/that/fills/the/pipe/{number}", "HEAD")
    assert "1 created" in hub.pushed("origin", "refs/heads/*:refs/heads/*")
    assert len(starts.read_text().splitlines()) == 1
    assert hub.live() == "many"


def test_a_server_that_hangs_holds_a_push_for_seconds(own_server, tmp_path: Path, repo: Path, capsysbinary) -> None:
    server: Server = own_server()
    hub = Hub(tmp_path / "hung", server, Shell(repo, server, capsysbinary))
    hub.commit(a="return 1")
    hub.pushed()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        hub.commit(a="return 2")
        code, said = hub.push(timeout_s=HANGING_S)
        hub.commit(a=BROKEN)
        broken, _ = hub.push(timeout_s=HANGING_S)
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert (code, broken != 0) == (0, True)
    assert "warning: not compared with what is live" in said
    assert "push accepted, but not live" in said


def test_uninstalling_leaves_nothing(server: Server, shell: Shell, tmp_path: Path) -> None:
    bare = GitRepo(tmp_path / "bare.git", "--bare")
    bare.write("luasprocs-pushes", f"{'0' * 40} ann\n")
    config = bare.path / "config"
    config.chmod(0o644)

    def state() -> dict[str, object]:
        there = [*bare.path.rglob("*")]
        return {str(path): (path.is_file() and path.read_bytes(), path.stat().st_mode) for path in there}

    shutil.rmtree(bare.path / "hooks")
    before = state()
    del before[str(bare.path / "luasprocs-pushes")]
    url = f"redis://default:secret@127.0.0.1:{server.port}"
    for _ in range(2):
        shell.ok("--repo", str(bare.path), "hook", "install", "receive", "--redis", url)
    assert config.stat().st_mode & 0o777 == 0o600
    said = shell.ok("--repo", str(bare.path), "hook", "uninstall", "receive").out
    assert "luasprocs.redis is no longer set" in said
    assert "secret" not in said
    assert state() == before


def test_uninstalling_brings_back_what_was_set_before(server: Server, shell: Shell, tmp_path: Path) -> None:
    bare = GitRepo(tmp_path / "bare.git", "--bare")
    bare.git("config", "receive.advertisePushOptions", "false")
    bare.git("config", "luasprocs.redis", "redis://127.0.0.1:1/0")
    bare.git("config", "luasprocs.branch", "live")
    (bare.path / "config").chmod(0o644)
    before = sorted(bare.git("config", "--list", "--local").splitlines())
    for url in (server.url, f"redis://default:secret@127.0.0.1:{server.port}"):
        shell.ok("--repo", str(bare.path), "hook", "install", "receive", "--redis", url)
        assert bare.git("config", "luasprocs.redis") == url
    said = shell.ok("--repo", str(bare.path), "hook", "uninstall", "receive").out
    assert "luasprocs.redis is again what it was" in said
    assert sorted(bare.git("config", "--list", "--local").splitlines()) == before
    assert (bare.path / "config").stat().st_mode & 0o777 == 0o644
    assert bare.git("config", "luasprocs.branch") == "live"
    assert bare.git("config", "receive.advertisePushOptions") == "false"
    again = shell.ok("--repo", str(bare.path), "hook", "uninstall", "receive").out
    assert again.count("is not installed") == 2
    shell.ok("--repo", str(bare.path), "hook", "install", "receive", "--redis", "redis://127.0.0.1:1/0")
    said = shell.ok("--repo", str(bare.path), "hook", "uninstall", "receive").out
    assert "luasprocs.redis stays, as this installation has not set it" in said
    assert sorted(bare.git("config", "--list", "--local").splitlines()) == before
