"""What a job can't read, write, reach or start, and what the host's settings allow."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

import pytest

from luasprocs.worker import landlock

needs_landlock = pytest.mark.skipif(not landlock.abi(), reason="this kernel has no Landlock")
pytestmark = needs_landlock

READ = """local file, problem = io.open(ARGV[1], 'r')
return file and 'read: ' .. tostring(file:read('*a')) or problem"""
WRITE = """local file, problem = io.open(ARGV[1], 'a')
return file and 'written' or problem"""


def test_it_says_so(bench):
    assert bench.worker.facts == {"confined": True, "abi": landlock.abi(), "pid": bench.worker.pid}


@pytest.mark.parametrize("path", [
    "/etc/passwd", "/etc/hosts", "/proc/self/environ", "/proc/self/maps", "/proc/1/environ", "/proc/self/fd/0", "/proc/self/fd/3",
    "/proc/self/fd/4", "/proc/thread-self/fd/5", "/dev/stdin", "/dev/fd/4", "/dev/mem", "/dev/null", "/sys/kernel/uevent_seqnum",
    "../secret", "/root/.netrc", "~/.netrc", "/", "/usr/bin/env", os.__file__,
])  # fmt: skip
def test_what_is_not_its_own_can_t_be_read(bench, folder, path):
    (folder.parent / "secret").write_text("secret")
    done = bench.run(READ, (), (path,))
    if path == "~/.netrc":  # a name like any other
        assert (done.status, done.reply) == ("ok", "~/.netrc: No such file or directory")
        return
    if not (folder / path).exists():
        assert not done.reply.startswith("read")
        return
    assert done.status == "denied"
    assert done.reply == f"{path}: Permission denied"
    assert f"open: {path}: Permission denied" in done.error


def test_the_daemon_s_environment_settings_and_netrc_can_t_be_read(bench, folder, monkeypatch):
    """The environment is the tests' own here, as the daemon's would be; a netrc is put into the home that it really has."""
    home = folder.parent / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine x password secret")
    (home / "luasprocs.toml").write_text("redis = 'redis://:secret@x'")
    monkeypatch.setenv("SECRET", "secret")
    for path in (
        f"/proc/{os.getpid()}/environ",
        f"/proc/{os.getpid()}/mem",
        f"/proc/{os.getpid()}/fd/1",
        home / ".netrc",
        home / "luasprocs.toml",
    ):
        done = bench.run(READ, (), (str(path),))
        assert (done.status, "secret" in done.reply) == ("denied", False), path
    assert bench.run("return os.getenv('SECRET')").reply == ""


def test_its_own_memory_and_environment_are_closed_to_others_of_the_user(bench):
    """Not dumpable: /proc belongs to root."""
    assert Path(f"/proc/{bench.worker.pid}/environ").stat().st_uid == 0
    assert b"SECRET" not in Path(f"/proc/{bench.worker.pid}/environ").read_bytes()


@pytest.mark.parametrize("path", ["/tmp/luasprocs_x", "../x", "/etc/luasprocs_x", "/dev/null", "/dev/shm/luasprocs_x"])
def test_nothing_else_can_be_written(bench, folder, path):
    done = bench.run(WRITE, (), (path,))
    assert done.status == "denied"
    assert done.reply == f"{path}: Permission denied"
    assert path == "/dev/null" or not (folder / path).exists()


def test_it_works_in_its_folder(bench, folder):
    (folder / "given").write_text("text")
    (folder / "below").mkdir()
    source = """local out = assert(io.open('below/x', 'w'))
    out:write('one\\ntwo\\n') out:close()
    assert(os.rename('below/x', 'y'))
    local name = os.tmpname()
    local lines = {}
    for line in io.lines('y') do lines[#lines + 1] = line end
    local file = assert(io.tmpfile()) file:write('tmp') file:seek('set') lines[#lines + 1] = file:read('*a')
    assert(os.remove('y'))
    io.output('z') io.write('z') io.close() io.input('z') lines[#lines + 1] = io.read('*a')
    lines[#lines + 1] = io.open('given'):read('*a')
    lines[#lines + 1] = tostring(io.open('y'))
    return lines"""
    done = bench.run(source)
    assert (done.status, done.reply) == ("ok", '["one","two","tmp","z","text","nil"]')
    assert sorted(path.name for path in folder.iterdir()) == ["below", "given", "z"]


def test_links_do_not_lead_out(bench, folder):
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (folder / "link").symlink_to(outside / "secret")
    (folder / "folder").symlink_to(outside)
    (folder / "pipes").symlink_to("/proc/self/fd")
    for path in ("link", "folder/secret", "pipes/3", "pipes/4"):
        done = bench.run(READ, (), (path,))
        assert done.status == "denied", path
        assert "secret\n" not in done.reply
    for path in ("link", "folder/new"):
        assert bench.run(WRITE, (), (path,)).status == "denied"
    assert not (outside / "new").exists()
    assert (outside / "secret").read_text() == "secret"


def test_nothing_can_be_moved_or_removed_outside(bench, folder):
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "theirs").write_text("theirs")
    (folder / "mine").write_text("mine")
    for source in (
        f"return tostring(os.rename('mine', '{outside}/mine'))",
        f"return tostring(os.rename('{outside}/theirs', 'theirs'))",
        f"return tostring(os.remove('{outside}/theirs'))",
        f"return tostring(os.remove('{outside}'))",
        f"return pcall(io.output, '{outside}/x')",
        f"return pcall(io.lines, '{outside}/theirs')",
        f"return loadfile('{outside}/theirs')",
        f"return pcall(dofile, '{outside}/theirs')",
    ):
        done = bench.run(source)
        assert done.status == "denied", source
        assert done.error.startswith(("open: ", "rename: ", "remove: ", "os.", "io.")), (source, done.error)
    assert [path.name for path in outside.iterdir()] == ["theirs"]
    assert (folder / "mine").exists()


def test_a_hard_link_can_t_be_made_into_the_folder(bench, folder):
    """Lua can't make one; a program could, where programs are allowed."""
    outside = folder.parent / "secret"
    outside.write_text("secret")
    bench.start(allow=["exec"])
    done = bench.run(
        "return os.execute('ln ' .. ARGV[1] .. ' hard || cp ' .. ARGV[1] .. ' copy || ln -s ' .. ARGV[1] .. ' soft && cat soft')",
        (),
        (str(outside),),
    )
    assert int(done.reply) != 0
    assert not (folder / "hard").exists()
    assert not (folder / "copy").exists() or (folder / "copy").read_text() == ""
    assert "secret" not in bench.run("return io.popen('cat soft 2>&1'):read('*a')").reply.replace(str(outside), "")


def test_folders_that_the_host_names_can_be_written(bench, folder):
    exports = folder.parent / "exports"
    exports.mkdir()
    bench.start(writable=[str(exports)])
    assert bench.run(f"local f = assert(io.open('{exports}/x', 'w')) f:write('y') f:close()").status == "ok"
    assert (exports / "x").read_text() == "y"
    assert bench.run(f"return assert(os.rename('{exports}/x', 'x'))").reply == "true"
    assert bench.run(WRITE, (), (str(folder.parent / "else"),)).status == "denied"


def test_a_folder_that_is_missing_is_said(bench, tmp_path):
    worker = bench.start(writable=[str(tmp_path / "missing")])
    assert worker.said == [
        b"failed",
        f"there is no folder {tmp_path}/missing: make it, or change the setting that names it".encode(),
    ]
    assert worker.process.wait(60) == 1


def test_programs_run_where_the_host_allows_them_and_are_confined(bench, folder):
    bench.start(allow=["exec"])
    assert bench.run("return os.execute('echo a > made')").reply == "0"
    assert (folder / "made").read_text() == "a\n"
    assert bench.run("local p = io.popen('echo b; echo c') local t = p:read('*a') p:close() return t").reply == "b\nc\n"
    assert bench.run("local p = io.popen('cat > piped', 'w') p:write('d') p:close() "
                     "os.execute('while ! [ -s piped ]; do sleep 0.01; done') "
                     "return io.open('piped'):read('*a')").reply == "d"  # fmt: skip
    assert bench.run("os.execute('echo said')").reply == "said\n"
    for command in (
        "cat /etc/passwd",
        "echo x > /tmp/luasprocs_x",
        f"cat /proc/{os.getpid()}/environ",
        f"kill -0 {os.getpid()}",
        "cat ../secret",
    ):
        assert bench.run("return os.execute(ARGV[1] .. ' 2>/dev/null')", (), (command,)).reply not in {"0", ""}, command
    assert sorted(path.name for path in folder.iterdir()) == ["made", "piped"]
    assert bench.run("for i = 1, 3 do io.popen('sleep 60') end return 'left'").reply == "left"
    assert not Path("/tmp/luasprocs_x").exists()


@pytest.mark.skipif(landlock.abi() < 4, reason="this kernel's Landlock doesn't confine TCP")
def test_only_redis_can_be_reached_by_tcp(bench, own_server, server_kind):
    """By a program, as Lua has no sockets: the port of another server is closed, the own one isn't."""
    other = own_server(kind=server_kind)
    bench.start(allow=["exec"])
    reach = "return os.execute(\"bash -c 'exec 3<>/dev/tcp/127.0.0.1/' .. ARGV[1] .. \"' 2>/dev/null\")".replace(
        "/' ..", '/" ..'
    )
    assert bench.run(reach, (), (str(bench.server.port),)).reply == "0"
    assert bench.run(reach, (), (str(other.port),)).reply not in {"0", ""}


def without_landlock() -> None:
    """In a new process: the kernel answers Landlock's system calls as one that has none (a seccomp filter)."""
    libc = ctypes.CDLL(None, use_errno=True)
    load_number, equal, refuse, allow = (
        (0x20, 0, 0, 0),
        (0x15, 0, 1, 444),
        (0x06, 0, 0, 0x00050000 | 38),
        (0x06, 0, 0, 0x7FFF0000),
    )
    program = b"".join(struct.pack("HBBI", *step) for step in (load_number, equal, refuse, allow))
    buffer = ctypes.create_string_buffer(program)
    filters = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, filters) == 0


def test_without_landlock_nothing_runs_unless_the_host_says_so(bench, folder):
    worker = bench.start(before=without_landlock)
    assert worker.said[0] == b"failed"
    assert b"this kernel has no Landlock" in worker.said[1]
    assert b"`unconfined` in the host's setting `allow`" in worker.said[1]
    assert worker.process.wait(60) == 1
    bench.start(before=without_landlock, allow=["unconfined"])
    assert bench.worker.facts == {"confined": False, "abi": 0, "pid": bench.worker.pid}
    (folder.parent / "outside").write_text("read")
    assert bench.run(READ, (), ("../outside",)).reply == "read: read"
    done = bench.run(READ, (), (f"/proc/{bench.worker.pid}/fd/1",))
    assert done.status == "denied", "not even then its own pipes"
    assert bench.run("os.execute('true')").status == "denied"


def test_the_server_s_socket_can_t_be_opened(bench):
    path = bench.server.socket_path
    assert path is not None
    assert path.is_socket()
    assert bench.run(READ, (), (str(path),)).status == "denied"
    assert bench.run(WRITE, (), (str(path),)).status == "denied"


def test_dates_know_the_time_zone(bench):
    assert bench.run("return os.date('%Z %H', 0) ~= '' and os.time() > 1e9 and os.clock() > 0").reply == "true"


def without_capabilities() -> None:
    """In a new process: root's name without root's rights, as any user's."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(24, capability, 0, 0, 0)
    libc.prctl(28, 0b101111, 0, 0, 0)  # SECBIT_NOROOT and its kin: a program of root's gets none back


def test_it_needs_no_rights_of_root(bench, folder):
    bench.start(before=without_capabilities)
    status = Path(f"/proc/{bench.worker.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert bench.worker.facts["confined"]
    assert bench.run("io.open('x', 'w'):write('y')").status == "ok"
    assert (folder / "x").read_text() == "y"
    assert bench.run(READ, (), ("/etc/passwd",)).status == "denied"
