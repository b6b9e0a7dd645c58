"""Pushes into a bare repository whose hooks judge and apply; real git, real servers, real daemons."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys
from luasprocs.operations.rollback import rollback
from luasprocs.server.registry import Registry
from luasprocs.state.desired import suspend
from tests.daemons import DaemonProcess
from tests.gitrepo import GitRepo
from tests.paths import ROOT

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

# What a hook does with git and files is the same whatever the server: those tests run on one of them each.
on_valkey = pytest.mark.parametrize("server_kind", ["valkey"], indirect=True)
on_redis = pytest.mark.parametrize("server_kind", ["redis"], indirect=True)

GONE = "redis://127.0.0.1:1/0"
BROKEN = "local x = 1\nreturn x x\n"


# -- What is pushed becomes live, or is refused


def test_a_push_is_live_when_it_returns_and_says_what_changed(hub):
    hub.commit(a="return 'one'", b="return 'b'")
    said = hub.pushed()
    assert "remote: + a.lua" in said
    assert "as generation 1: 2 created, 0 updated, 0 deleted" in said
    assert hub.live() == "one"
    (hub.clone.path / "sprocs" / "b.lua").unlink()
    commit = hub.commit(a="return 'two'", c="return 'c'")
    said = hub.pushed()
    for line in (
        "+ c.lua",
        "~ a.lua",
        "- b.lua",
        f"synced {commit[:10]} as generation 2: 1 created, 1 updated, 1 deleted",
    ):
        assert f"remote: {line}" in said
    assert hub.live() == "two"
    assert (hub.revision()[b"commit"], hub.revision()[b"branch"]) == (commit.encode(), b"main")


@on_redis
def test_a_push_says_what_a_rollback_keeps_out(hub):
    hub.commit(a="return 'one'", b="return 'b'")
    hub.pushed()
    hub.commit(a="return 'two'")
    hub.pushed()
    rollback(Registry(hub.shell.redis, Keys()), by="ann@host", why="two was wrong")
    hub.commit(b="return 'other'")
    said = hub.pushed()
    assert "remote: ~ b.lua" in said
    assert "! a rollback by ann@host: two was wrong keeps out what git has of a.lua" in said
    assert hub.live() == "one"
    hub.commit(a="return 'three'")
    assert "keeps out" not in hub.pushed()
    assert hub.live() == "three"


@on_valkey
def test_a_broken_push_is_refused_with_all_places_and_nothing_changes(hub):
    hub.commit(a="return 'one'")
    hub.pushed()
    before, ref = hub.shell.everything(), hub.bare.git("rev-parse", "main")
    hub.commit(a=BROKEN, b="-- evnt=set\nreturn 1", c="x = 1", d="return require('no.lua')", e="redis.call('GTE', 'k')")
    code, said = hub.push()
    assert code != 0
    for place in ("a.lua:2:", "b.lua:1:4: ", "c.lua:1:1: ", "d.lua:1:", "e.lua:1:"):
        assert f"remote: sprocs/{place}" in said
    assert "push refused: see the problems above" in said
    assert hub.bare.git("rev-parse", "main") == ref
    assert hub.shell.everything() == before
    assert hub.live() == "one"


@on_redis
def test_only_what_changes_is_judged_as_check_does(hub):
    """What is live already, however bad, holds up nobody."""
    hub.commit(bad="x = 1\nreturn 1")
    hub.shell.ok("--repo", str(hub.clone.path), "sync")
    hub.commit(a="return 'fine'")
    hub.pushed()
    assert hub.live() == "fine"


@on_valkey
def test_a_library_that_goes_is_missed_by_those_that_require_it(hub):
    hub.commit(lib="-- library=yes\nreturn {}", a="require('lib.lua')\nreturn 1")
    hub.pushed()
    (hub.clone.path / "sprocs" / "lib.lua").unlink()
    hub.commit()
    code, said = hub.push()
    assert code != 0
    assert "sprocs/a.lua:1:" in said


@on_redis
def test_broken_settings_are_refused(hub):
    hub.clone.write("luasprocs.toml", "foldr = 1\n")
    hub.commit(a="return 1")
    code, said = hub.push()
    assert code != 0
    assert "luasprocs.toml:1:1: unknown setting 'foldr'" in said


@on_valkey
def test_removing_over_half_needs_the_push_option(hub):
    names = [f"s{number}" for number in range(10)]
    hub.commit(**dict.fromkeys(names, "return 1"))
    hub.pushed()
    for name in names[:6]:
        (hub.clone.path / "sprocs" / f"{name}.lua").unlink()
    hub.commit()
    code, said = hub.push()
    assert code != 0
    assert "it would remove 6 of 10 sprocs" in said
    assert "push with -o prune-all" in said
    assert "6 deleted" in hub.pushed("-o", "prune-all", "origin", "main")
    assert [row[0] for row in hub.shell.ok("list").rows] == [f"{name}.lua" for name in names[6:]]


# -- Which branch


@on_redis
def test_other_branches_and_tags_change_nothing(hub):
    hub.commit(a="return 'one'")
    hub.pushed()
    before = hub.shell.everything()
    hub.clone.git("checkout", "-qb", "topic")
    hub.commit(a=BROKEN)
    hub.clone.git("tag", "main")  # as the followed branch
    assert "nothing changes: main is what is followed" in hub.pushed("origin", "topic", "refs/tags/main")
    assert hub.shell.everything() == before


@on_valkey
def test_several_refs_at_once(hub):
    hub.commit(a="return 'one'")
    hub.clone.git("branch", "x")
    hub.clone.git("branch", "y")
    assert "1 created" in hub.pushed("origin", "x", "main", "y")
    hub.commit(a=BROKEN)
    hub.clone.git("branch", "-f", "x")
    code, _ = hub.push("origin", "x", "main")
    assert code != 0
    hub.pushed("origin", "x")
    assert hub.live() == "one"


@on_redis
def test_the_setting_names_another_branch(hub):
    hub.config("luasprocs.branch", "live")
    hub.commit(a=BROKEN)
    hub.pushed()
    hub.commit(a="return 'live'")
    hub.pushed("origin", "HEAD:live")
    assert hub.live() == "live"
    assert hub.revision()[b"branch"] == b"live"


@on_valkey
def test_a_deleted_branch_prunes_nothing(hub):
    hub.config("receive.denyDeleteCurrent", "ignore")
    hub.commit(a="return 'one'")
    hub.pushed()
    before = hub.shell.everything()
    assert "main was deleted: nothing is pruned" in hub.pushed("origin", ":main")
    assert hub.shell.everything() == before


@on_redis
def test_a_forced_push_backwards_is_live_unless_the_policy_forbids_it(hub):
    old = hub.commit(a="return 'old'")
    hub.commit(a="return 'new'")
    hub.pushed()
    hub.pushed("--force", "origin", f"{old}:main")
    assert hub.live() == "old"
    hub.pushed()
    hub.config("luasprocs.requireFastForward", "yes")
    code, said = hub.push("--force", "origin", f"{old}:main")
    assert code != 0
    assert "require_fast_forward is set" in said
    assert hub.live() == "new"
    hub.config("luasprocs.redis", GONE)  # the branch is what there is to compare with
    code, said = hub.push("--force", "origin", f"{old}:main")
    assert code != 0
    assert "require_fast_forward is set" in said


@on_valkey
def test_an_unsigned_push_is_refused_with_and_without_redis(hub):
    hub.config("luasprocs.requireSigned", "yes")
    commit = hub.commit(a="return 1")
    for url in (hub.server.url, GONE):
        hub.config("luasprocs.redis", url)
        code, said = hub.push()
        assert code != 0
        assert (
            f"commit {commit[:12]} of Ann Author <ann@example.invalid> has no good signature: it is not signed" in said
        )


# -- When it can't be made live


def test_without_redis_files_are_judged_and_the_push_is_taken(hub):
    hub.config("luasprocs.redis", GONE)
    hub.commit(a="return 'one'", b="return 1")
    said = hub.pushed()
    assert "warning: not compared with what is live" in said
    assert "push accepted, but not live" in said
    assert "luasprocs sync in this repository" in said
    hub.commit(a=BROKEN)
    code, said = hub.push()
    assert code != 0
    assert "sprocs/a.lua:2:" in said
    assert "sprocs/b.lua" not in said
    hub.commit(a="return require('lib.lua')", lib="-- library=yes\nreturn 1")
    hub.pushed()
    hub.commit(lib="return 1")
    code, said = hub.push()
    assert code != 0
    assert "sprocs/a.lua:1:17: 'lib.lua' is required but has no library=yes" in said
    hub.config("luasprocs.redis", hub.server.url)
    hub.commit(a="return 'two'", lib="-- library=yes\nreturn 1")
    assert "3 created" in hub.pushed()


@on_redis
def test_a_registry_of_another_repository_is_left_alone(hub, tmp_path):
    other = GitRepo(tmp_path / "other")
    other.write("sprocs/a.lua", "return 'theirs'")
    other.commit("another root")
    hub.shell.ok("--repo", str(other.path), "sync")
    hub.commit(a="return 'ours'")
    said = hub.pushed()
    assert "is not live" in said
    assert "--adopt" in said
    assert hub.live() == "theirs"


def test_a_suspended_sync_stays_suspended(hub):
    hub.commit(a="return 'one'")
    hub.pushed()
    suspend(Registry(hub.shell.redis, Keys()), "ann@host", "a freeze")
    hub.commit(a="return 'two'")
    assert "nothing was made live: the sync is suspended by ann@host: a freeze" in hub.pushed()
    assert hub.live() == "one"


def test_a_passworded_server_never_shows_its_password(hub):
    hub.shell.redis.execute_command("ACL", "SETUSER", "pusher", "on", ">hunter2", "~*", "&*", "+@all")
    for password in ("hunter2", "hunter3"):
        url = f"redis://pusher:{password}@127.0.0.1:{hub.server.port}"
        said = hub.shell("--repo", str(hub.bare.path), "--redis", url, "hook", "install", "receive")
        assert (said.code, password in said.out + said.err) == (0, False)
        assert "its mode is now 600" in said.out or password == "hunter3"
        assert (hub.bare.path / "config").stat().st_mode & 0o777 == 0o600
        hub.commit(a=f"return '{password}'")
        assert password not in hub.pushed()
    assert hub.live() == "hunter2"


# -- With a daemon


def test_with_a_daemon_the_push_says_what_changed_whoever_was_first(hub):
    hub.commit(a="return 0")
    hub.pushed()
    where = ("--repo", str(hub.bare.path))
    with DaemonProcess(hub.server.url, before=where, command=("daemon",)):
        for number in range(1, 5):
            hub.commit(a=f"return {number}")
            said = hub.pushed()
            assert "remote: ~ a.lua" in said
            assert f"as generation {number + 1}: 0 created, 1 updated, 0 deleted, 0 unchanged" in said
            assert hub.live() == str(number)


def test_what_a_daemon_made_live_first_is_told_as_its_work(hub):
    """The daemon's part played by a sync between git's two hooks."""
    hub.commit(a="return 'one'")
    between = hub.hooks / "post-receive.local"
    python, bare = sys.executable, hub.bare.path
    between.write_text(f"#!/bin/sh\n{python} -m sync.cli --repo {bare} --redis {hub.server.url} sync >/dev/null\n")
    between.chmod(0o755)
    said = hub.pushed()
    assert "remote: + a.lua" in said
    assert "synced by " in said
    assert "as generation 1: 1 created, 0 updated, 0 deleted, 0 unchanged" in said


# -- What git and the machine do to hooks


def test_pushes_of_two_at_once_end_with_what_the_branch_is(hub, tmp_path):
    hub.commit(a="return 'base'")
    hub.pushed()
    hub.config("receive.denyCurrentBranch", "ignore")
    clones = []
    for number in range(4):
        clone = GitRepo(tmp_path / f"c{number}")
        clone.git("pull", "-q", str(hub.bare.path), "main")
        clone.write("sprocs/a.lua", f"return '{number}'")
        clone.commit(f"c{number}")
        clones.append(clone)
    command = ["git", "push", "--force", str(hub.bare.path), "HEAD:main"]
    racers = [subprocess.Popen(command, cwd=one.path, env=one.environ, stderr=subprocess.PIPE) for one in clones]
    for racer in racers:
        racer.communicate(timeout=90)
    assert 0 in [racer.returncode for racer in racers]
    head = hub.bare.git("rev-parse", "main")
    assert hub.revision()[b"commit"].decode() == head
    assert f"return '{hub.live()}'" == hub.bare.git("show", "main:sprocs/a.lua")


@on_valkey
def test_an_emptied_environment_is_enough(hub):
    """git itself leaves PATH and what says where objects are; the rest may be gone."""
    commit = hub.commit(a="return 'one'")
    hub.pushed("origin", "HEAD:topic")
    hub.bare.git("update-ref", "refs/heads/main", commit)
    line = f"{'0' * 40} {commit} refs/heads/main\n".encode()
    for hook in ("pre-receive", "post-receive"):
        done = subprocess.run(
            [f"hooks/{hook}"], cwd=hub.bare.path, env={}, input=line, capture_output=True, check=False, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, b"")
    assert b"1 created" in done.stdout
    assert hub.live() == "one"


@on_redis
def test_an_environment_full_of_wrong_places_does_not_mislead(hub, tmp_path):
    other = GitRepo(tmp_path / "other")
    other.write("sprocs/a.lua", BROKEN)
    other.commit()
    hub.clone.environ |= {"GIT_WORK_TREE_X": "1", "GIT_PREFIX": "sprocs/"}
    environ = hub.clone.environ
    wrapper = tmp_path / "receive-pack"  # as sshd would start it, with what the user's shell has set
    wrapper.write_text(
        f'#!/bin/sh\nexport LUASPROCS_REPO={other.path} GIT_INDEX_FILE=/nowhere\nexec git receive-pack "$@"\n'
    )
    wrapper.chmod(0o755)
    commit = hub.commit(a="return 'one'")
    hub.pushed("--receive-pack", str(wrapper), "origin", "main")
    assert environ is hub.clone.environ
    assert hub.revision()[b"commit"].decode() == commit


@on_valkey
def test_objects_of_a_push_that_is_judged_are_read_from_quarantine(hub):
    """Thousands of objects arrive as a pack, a few as loose ones; either way they aren't the repository's yet."""
    hub.config("receive.unpackLimit", "1")
    hub.commit(**{f"s{number}": f"return {number}" for number in range(30)})
    assert "30 created" in hub.pushed()
    hub.config("receive.unpackLimit", "10000")
    hub.commit(a=BROKEN)
    code, said = hub.push()
    assert code != 0
    assert "sprocs/a.lua:2:" in said
    assert not any(hub.bare.path.glob("objects/tmp_objdir*"))


@on_redis
def test_what_is_no_push_is_said(hub):
    done = subprocess.run(
        [hub.hooks / "pre-receive"], cwd=hub.bare.path, input=b"hello\n", capture_output=True, check=False
    )
    assert done.returncode != 0
    assert b"is not a ref update" in done.stderr


# -- As docs/operations.md tells it


@pytest.mark.parametrize("with_daemon", [False, True])
@pytest.mark.usefixtures("shell")
def test_push_to_live_as_written(tmp_path: Path, monkeypatch, *, with_daemon: bool) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    for_server, for_people = re.findall(
        r"```sh\n(.*?)```", text.split("## Push to live")[1].split("\n## ")[0], re.DOTALL
    )
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    folder = tmp_path / "docs"
    folder.mkdir()

    def run(script: str) -> str:
        command = ["sh", "-euc", f"exec 2>&1\n{script}"]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=100).stdout.decode()

    assert "follows main" in run(for_server)
    if with_daemon:
        daemon = subprocess.Popen(["luasprocs", "--repo", "shop.git", "daemon"], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        said = run(for_people)
    finally:
        if with_daemon:
            assert daemon.poll() is None
            daemon.kill()
            daemon.wait()
    wanted = re.findall(r"# ((?:remote: |hello ).*)", for_people)
    assert len(wanted) == 6
    assert "it was refused" in said
    for line in wanted:
        assert line in said, said
        said = said[said.index(line) + len(line) :]


# -- Installing


@on_valkey
def test_installing_says_what_it_does_and_twice_changes_nothing(hub):
    assert "follows main" in hub.installed.out
    assert f"kept in {hub.bare.path / 'config'}" in hub.installed.out
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in hub.hooks.iterdir()}
    config = (hub.bare.path / "config").read_bytes()
    again = hub.shell.ok("--repo", str(hub.bare.path), "hook", "install", "receive", "--redis", hub.server.url)
    assert again.out.count("is installed already") == 2
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in hub.hooks.iterdir()} == before
    assert (hub.bare.path / "config").read_bytes() == config


@pytest.mark.parametrize("hook", ["pre-receive", "post-receive"])
@on_redis
def test_a_hook_that_was_there_runs_first_with_the_same_input(hub, hook, tmp_path):
    where = ("--repo", str(hub.bare.path), "hook")
    hub.shell.ok(*where, "uninstall", "receive")
    theirs = hub.hooks / hook
    theirs.write_text(
        f"#!/bin/sh\nset -e\ncat > {tmp_path}/got\n[ ! -e {tmp_path}/refuse ] || {{ echo NO >&2; exit 3; }}\n"
    )
    theirs.chmod(0o755)
    text = theirs.read_bytes()
    said = hub.shell.ok(*where, "install", "receive")
    assert f"what was there is now {hook}.local and runs first" in said.out
    assert (hub.hooks / f"{hook}.local").read_bytes() == text
    commit = hub.commit(a="return 'one'")
    assert "1 created" in hub.pushed()
    assert (tmp_path / "got").read_text() == f"{'0' * 40} {commit} refs/heads/main\n"

    (tmp_path / "refuse").touch()
    hub.commit(a="return 'two'")
    code, said = hub.push()
    assert "remote: NO" in said
    assert (code != 0, hub.live()) == ((True, "one") if hook == "pre-receive" else (False, "two"))

    hub.shell.ok(*where, "uninstall", "receive")
    assert theirs.read_bytes() == text
    assert sorted(path.name for path in hub.hooks.iterdir() if path.suffix != ".sample") == [hook]


@on_valkey
def test_a_hook_that_cannot_be_kept_is_refused_and_nothing_changes(hub):
    where = ("--repo", str(hub.bare.path), "hook")
    hub.shell.ok(*where, "uninstall", "receive")
    for name in ("post-receive", "post-receive.local"):
        (hub.hooks / name).write_text("#!/bin/sh\n")
    said = hub.shell(*where, "install", "receive")
    assert (said.code, "'post-receive.local' is taken" in said.err) == (2, True)
    assert not (hub.hooks / "pre-receive").exists()
    assert (hub.hooks / "post-receive").read_text() == "#!/bin/sh\n"


@on_redis
def test_uninstalling_leaves_what_is_not_ours(hub):
    (hub.hooks / "pre-receive").write_text("#!/bin/sh\n")
    said = hub.shell.ok("--repo", str(hub.bare.path), "hook", "uninstall", "receive")
    assert "pre-receive was not installed by luasprocs" in said.out
    assert (hub.hooks / "pre-receive").exists()
    assert not (hub.hooks / "post-receive").exists()
    hub.commit(a="return 1")
    assert "remote:" not in hub.pushed()


@on_valkey
def test_the_folder_that_core_hookspath_names(hub, tmp_path, monkeypatch):
    where = ("--repo", str(hub.bare.path), "hook", "install", "receive")
    hub.config("core.hooksPath", "my hooks")
    shutil.rmtree(hub.hooks)
    hub.shell.ok(*where)
    assert (hub.bare.path / "my hooks" / "pre-receive").exists()
    hub.commit(a="return 'one'")
    assert "1 created" in hub.pushed()

    hub.bare.git("config", "--unset", "core.hooksPath")
    everybody = tmp_path / "gitconfig"
    everybody.write_text(f"[core]\n\thooksPath = {tmp_path / 'all'}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(everybody))
    said = hub.shell(*where)
    assert (said.code, "is set for more than this repository (global)" in said.err) == (2, True)
    assert not (tmp_path / "all").exists()


@on_redis
def test_an_installation_that_is_gone_refuses_and_says_what_to_do(hub):
    hook = hub.hooks / "pre-receive"
    hook.write_text(hook.read_text().replace(sys.executable, "/nowhere/bin/python"))
    hub.commit(a="return 1")
    code, said = hub.push()
    assert code != 0
    assert "/nowhere/bin/python is gone: luasprocs hook install receive" in said
    assert (
        hub.shell.ok("--repo", str(hub.bare.path), "hook", "install", "receive").out.count("pre-receive installed") == 1
    )
    hub.pushed()


@on_valkey
def test_a_folder_of_modules_named_as_ours_is_not_run(shell: Shell) -> None:
    """A hook's current folder is the repository, which others write."""
    shell.ok("hook", "install", "pre-commit")
    for name in ("sync", "luasprocs", "click"):
        GitRepo(shell.repo).write(f"{name}/__init__.py", "raise SystemExit('hijacked')")
        GitRepo(shell.repo).write(f"{name}.py", "raise SystemExit('hijacked')")
    shell.commit(a="return 1")


@on_redis
def test_pre_commit_refuses_what_is_staged_not_what_is_saved(shell: Shell) -> None:
    shell.ok("hook", "install", "pre-commit")
    shell.write("a.lua", BROKEN)
    git = GitRepo(shell.repo)
    git.git("add", "--all")
    shell.write("a.lua", "return 'fine'")
    environ = git.environ | {"PATH": os.environ["PATH"]}

    def commit(*options: str) -> tuple[int, str]:
        command = ["git", "commit", "-qm", "x", *options]
        done = subprocess.run(command, cwd=shell.repo, env=environ, capture_output=True, check=False, timeout=60)
        return done.returncode, done.stderr.decode()

    code, said = commit()
    assert (code, "sprocs/a.lua:2:" in said) == (1, True)
    assert commit("--all") == (0, "")
    shell.write("a.lua", BROKEN)
    code, said = commit("sprocs/a.lua")
    assert (code, "sprocs/a.lua:2:" in said) == (1, True)
    shell.ok("hook", "uninstall", "pre-commit")
    assert commit("--all") == (0, "")
