"""The daemon follows git: commits, broken ones, drift, rollbacks, suspension, other daemons, remotes; each with real git."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time

import pytest

from luasprocs.operations.edit import edit_metadata
from luasprocs.operations.rollback import rollback
from luasprocs.registry.live import read_sprocs
from luasprocs.server.acl import rule
from luasprocs.server.registry import Registry
from luasprocs.state import requests as control
from luasprocs.state.desired import suspend, unsuspend
from sync.git.repository import Repository
from sync.service.backoff import Backoff
from sync.service.follower import Follower
from sync.service.rules import Rules
from sync.service.sources import Checkout
from tests.gitrepo import GitRepo
from tests.status import finding
from tests.sync.service.service import KEYS, Service, commit_of, generation_of, live, source_of, stands, state_of
from tests.until import until

pytestmark = pytest.mark.timeout(120)
EVENT = "-- event=set\n-- key=ev:*\nredis.call('HINCRBY', 'fired', KEYS[1], 1)\n"


def test_failures_in_a_row_are_tried_again_ever_later_and_a_success_begins_anew():
    backoff = Backoff()
    assert [backoff.after("git") for _ in range(3)] == [0.2, 0.4, 0.8]
    assert [backoff.after("redis") for _ in range(6)] == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert backoff.after("git") == 0.2
    assert [backoff.after("git") for _ in range(40)][-1] == 300.0
    backoff.after("")
    assert backoff.after("git") == 0.2


@pytest.fixture
def repo(tmp_path) -> GitRepo:
    found = GitRepo(tmp_path / "shop")
    found.write("sprocs/a.lua", "return 1\n")
    found.write("sprocs/b.lua", EVENT)
    found.commit("first")
    return found


def test_a_commit_is_live_a_broken_one_is_not_and_its_fix_is(server, repo):
    client = server.client()
    with Service(server.url, repo.path) as service:
        live(client, repo.git("rev-parse", "HEAD"))
        repo.write("sprocs/a.lua", "return 2\n")
        second = repo.commit("second")
        live(client, second)
        client.set("ev:1", "x")
        until(lambda: client.hget("fired", "ev:1") == b"1")
        repo.write("sprocs/a.lua", "return return\n")
        repo.commit("broken")
        state = stands(client, "refused")
        assert state.problems
        assert state.problems[0].startswith("sprocs/a.lua:1:")
        assert commit_of(client) == second
        generation = generation_of(client)
        time.sleep(1.5)  # it looks again, and applies nothing
        assert generation_of(client) == generation
        assert service.output.count("refused:") == 1
        repo.write("sprocs/a.lua", "return 3\n")
        live(client, repo.commit("fixed"))
        assert stands(client, "synced").problems == ()
        assert service.stop() == 0


def test_the_branch_that_is_followed_and_no_other(server, repo):
    client = server.client()
    main = repo.git("rev-parse", "HEAD")
    repo.git("checkout", "--quiet", "-b", "next")
    repo.write("sprocs/a.lua", "return 2\n")
    following = repo.commit("on next")
    with Service(server.url, repo.path, "--branch", "main"):
        live(client, main)
        repo.write("sprocs/a.lua", "return 3\n")
        repo.commit("on next again")
        time.sleep(1.0)
        assert commit_of(client) == main
        repo.git("update-ref", "refs/heads/main", following)
        live(client, following)
        repo.git("pack-refs", "--all")
        repo.git("branch", "--quiet", "--force", "main", "next")
        live(client, repo.git("rev-parse", "next"))


def test_saved_files_with_worktree(server, repo):
    client = server.client()
    with Service(server.url, repo.path, "--worktree"):
        until(lambda: source_of(client, "a.lua") == "return 1\n")
        repo.write("sprocs/a.lua", "return 'saved'\n")
        until(lambda: source_of(client, "a.lua") == "return 'saved'\n")
        # As editors save: another file, renamed over it; in a folder that is new.
        repo.write("sprocs/deep/new.lua.tmp", "return 'new'\n")
        (repo.path / "sprocs/deep/new.lua.tmp").replace(repo.path / "sprocs/deep/new.lua")
        until(lambda: source_of(client, "deep/new.lua") == "return 'new'\n")
        repo.write("sprocs/a.lua", "return return\n")
        stands(client, "refused")
        assert source_of(client, "a.lua") == "return 'saved'\n"
        (repo.path / "sprocs/a.lua").unlink()
        until(lambda: not client.exists(KEYS.name("a.lua")))


def test_a_file_that_is_written_for_ever_holds_no_other_up(server, repo):
    client, over = server.client(), threading.Event()
    repo.write("sprocs/b.lua", "return 1\n")

    def write() -> None:
        while not over.wait(0.01):
            repo.write("sprocs/a.lua", f"return {time.monotonic_ns()}\n")

    writer = threading.Thread(target=write)
    with Service(server.url, repo.path, "--worktree") as service:
        until(lambda: source_of(client, "b.lua") == "return 1\n")
        writer.start()
        try:
            repo.write("sprocs/b.lua", "return 2\n")
            until(lambda: source_of(client, "b.lua") == "return 2\n")
            service.until("a.lua keeps changing")
        finally:
            over.set()
            writer.join()
        repo.write("sprocs/a.lua", "return 'done'\n")
        until(lambda: source_of(client, "a.lua") == "return 'done'\n")
        until(lambda: not state_of(client).reason)


def test_drift_is_seen_at_once_and_put_right(server, repo):
    client = server.client()
    with Service(server.url, repo.path, environ={"LUASPROCS_INTERVAL": "1h"}):
        live(client, repo.git("rev-parse", "HEAD"))
        stands(client, "synced")
        time.sleep(0.5)
        client.hset(KEYS.name("a.lua"), "source", "return 'hacked'")
        until(lambda: source_of(client, "a.lua") == "return 1\n")
        client.delete(KEYS.list)
        until(lambda: client.llen(KEYS.list) == 2)
        client.flushall()
        until(lambda: source_of(client, "a.lua") == "return 1\n")
        client.execute_command("FUNCTION", "FLUSH")
        until(lambda: client.execute_command("FUNCTION", "LIST"))


def test_drift_is_only_told_where_the_host_says_warn(server, repo):
    client = server.client()
    with Service(server.url, repo.path, environ={"LUASPROCS_HEAL": "warn"}):
        live(client, repo.git("rev-parse", "HEAD"))
        time.sleep(0.5)
        client.hset(KEYS.name("a.lua"), "source", "return 'hacked'")
        assert stands(client, "drift").drift == ("a.lua",)
        time.sleep(1.5)
        assert source_of(client, "a.lua") == "return 'hacked'"
        repo.write("sprocs/b.lua", "return 2\n")
        live(client, repo.commit("a commit goes on"))


def test_a_rollback_holds_until_a_newer_commit_or_a_request(server, repo):
    client = server.client()
    first = repo.git("rev-parse", "HEAD")
    with Service(server.url, repo.path):
        live(client, first)
        repo.write("sprocs/a.lua", "return 2\n")
        second = repo.commit("second")
        live(client, second)
        rollback(Registry(client, KEYS), by="ann@host")
        stands(client, "pinned")
        time.sleep(1.5)
        assert commit_of(client) == first
        repo.write("sprocs/a.lua", "return 3\n")
        third = repo.commit("third")
        live(client, third)
        asked = control.request(Registry(client, KEYS), "rollback", "ann")
        answer = control.wait_for_answer(Registry(client, KEYS), asked, 15)
        assert answer is not None
        assert (answer.ok, commit_of(client)) == (True, second if commit_of(client) == second else first)
        stands(client, "pinned")
        asked = control.request(Registry(client, KEYS), "sync", "ann")
        answer = control.wait_for_answer(Registry(client, KEYS), asked, 15)
        assert answer is not None
        assert answer.ok, answer.text
        assert commit_of(client) == third
        asked = control.request(Registry(client, KEYS), "rollback", "ann", generation="999")
        answer = control.wait_for_answer(Registry(client, KEYS), asked, 15)
        assert answer is not None
        assert not answer.ok
        assert "999 is not in the history" in answer.text


def test_a_request_that_nobody_answered_is_not_done_later(server, repo):
    """Whoever asked is gone, a rollback came meanwhile, and then a daemon comes."""
    client = server.client()
    registry = Registry(client, KEYS)
    first = repo.git("rev-parse", "HEAD")
    with Service(server.url, repo.path):
        live(client, first)
        repo.write("sprocs/a.lua", "return 2\n")
        live(client, repo.commit("second"))
    overtaken = [control.request(registry, "sync", "ann", 60), control.request(registry, "rollback", "ann", 60)]
    late = control.request(registry, "rollback", "ann", 0.05)
    rollback(registry, by="ben@host")
    fresh = control.request(registry, "fetch", "ann", 60)
    with Service(server.url, repo.path):
        stands(client, "pinned")
        for asked in overtaken:
            answer = control.wait_for_answer(registry, asked, 15)
            assert answer is not None
            assert (answer.ok, answer.refusal) == (False, "overtaken")
            assert "overtaken by rollback to 1, generation 3 by ben@host" in answer.text
        answer = control.wait_for_answer(registry, late, 15)
        assert answer is not None
        assert (answer.ok, answer.refusal) == (False, "expired")
        answer = control.wait_for_answer(registry, fresh, 15)
        assert answer is not None
        assert answer.refusal == ""
        assert (commit_of(client), generation_of(client), source_of(client, "a.lua")) == (first, 3, "return 1\n")
        # The answers are entries of the same stream: it reads them, too.
        until(lambda: client.xpending(KEYS.control, control.GROUP)["pending"] == 0)


def test_suspended_it_looks_and_applies_nothing(server, repo):
    client = server.client()
    first = repo.git("rev-parse", "HEAD")
    with Service(server.url, repo.path):
        live(client, first)
        assert suspend(Registry(client, KEYS), "ann", "a freeze")
        repo.write("sprocs/a.lua", "return 2\n")
        second = repo.commit("second")
        state = until(lambda: (found := state_of(client)).state == "suspended" and found.updated and found)
        assert (state.commit, state.updated) == (second, ("a.lua",))
        assert state.diffs == ("--- live/a.lua\n+++ git/a.lua\n@@ -1 +1 @@\n-return 1\n+return 2",)
        assert "a freeze" in state.reason
        assert commit_of(client) == first
        assert unsuspend(Registry(client, KEYS))
        live(client, second)
        assert stands(client, "synced").diffs == ()


def test_since_when_a_commit_is_refused_outlives_the_daemon_that_refused_it(server, repo):
    client = server.client()
    with Service(server.url, repo.path):
        live(client, repo.git("rev-parse", "HEAD"))
        repo.write("sprocs/b.lua", "return (")
        broken = repo.commit()
        first = stands(client, "refused")
    assert first.since == first.at
    with Service(server.url, repo.path):
        until(lambda: state_of(client).daemon != first.daemon)
        again = stands(client, "refused")
        assert (again.commit, again.since) == (broken, first.since)
        assert again.at > first.at
        repo.write("sprocs/b.lua", "return [")
        repo.commit()
        until(lambda: state_of(client).commit not in {"", broken})
        assert stands(client, "refused").since > first.since


def test_a_broken_commit_is_refused_though_syncs_are_suspended(server, repo):
    client = server.client()
    first = repo.git("rev-parse", "HEAD")
    with Service(server.url, repo.path):
        live(client, first)
        assert suspend(Registry(client, KEYS), "ann", "a freeze")
        repo.write("sprocs/a.lua", "return (\n")
        repo.commit("broken")
        state = stands(client, "refused")
        assert state.reason.startswith("sprocs/a.lua:2:")
        repo.write("sprocs/a.lua", "return 3\n")
        third = repo.commit("mended")
        stands(client, "suspended")
        assert commit_of(client) == first
        assert unsuspend(Registry(client, KEYS))
        live(client, third)


def test_most_of_the_sprocs_are_not_removed_unasked(server, repo):
    client = server.client()
    for number in range(8):
        repo.write(f"sprocs/s{number}.lua", "return 1\n")
    first = repo.commit("many")
    with Service(server.url, repo.path):
        live(client, first)
        shutil.rmtree(repo.path / "sprocs")
        repo.write("sprocs/a.lua", "return 1\n")
        repo.commit("most are gone")
        state = stands(client, "refused")
        assert "--prune-all" in state.reason
        assert len(state.deleted) == 9
        assert commit_of(client) == first
        repo.git("branch", "--quiet", "-m", "main", "gone")
        repo.git("checkout", "--quiet", "--orphan", "main")
        stands(client, "degraded")
        assert client.llen(KEYS.list) == 10


def test_two_daemons_on_clones_never_go_backwards_nor_in_turns(server, repo, tmp_path):
    client = server.client()
    repo.git("clone", "--quiet", str(repo.path), str(tmp_path / "other"))
    other = GitRepo(tmp_path / "other")
    with Service(server.url, repo.path) as ahead, Service(server.url, other.path) as behind:
        live(client, repo.git("rev-parse", "HEAD"))
        repo.write("sprocs/a.lua", "return 2\n")
        second = repo.commit("second")
        live(client, second)
        behind.until("unknown: ")
        for _ in range(2):  # what the one that is behind has said before it says again
            ahead.kill()
            assert second[:10] in finding(server, "unknown")["message"]
            ahead.start()
            stands(client, "synced")
        other.git("pull", "--quiet")
        # One clone behind the other, then side by side.
        other.write("sprocs/a.lua", "return 'side'\n")
        side = other.commit("beside the third")
        live(client, side)
        repo.write("sprocs/a.lua", "return 3\n")
        repo.commit("third")
        time.sleep(1.0)
        generation = generation_of(client)
        time.sleep(2.5)
        assert generation_of(client) == generation, "they take turns"


def test_history_that_is_rewritten_is_followed_and_two_repositories_are_kept_apart(server, repo, tmp_path):
    client = server.client()
    with Service(server.url, repo.path):
        repo.write("sprocs/a.lua", "return 2\n")
        live(client, repo.commit("second"))
        repo.write("sprocs/a.lua", "return 'amended'\n")
        repo.git("add", "--all")
        repo.git("commit", "--quiet", "--amend", "-m", "amended")
        amended = repo.git("rev-parse", "HEAD")
        live(client, amended)
    stranger = GitRepo(tmp_path / "stranger")
    stranger.write("sprocs/z.lua", "return 'z'\n")
    stranger.commit("another repository")
    with Service(server.url, stranger.path) as service:
        service.until("belong to another repository")
        assert commit_of(client) == amended


@pytest.mark.parametrize("bare", [True, False])
def test_a_remote_is_mirrored_and_its_outage_prunes_nothing(server, repo, tmp_path, bare):
    client = server.client()
    first = repo.git("rev-parse", "HEAD")
    place = tmp_path / "hub.git"
    repo.git("clone", "--quiet", *(["--bare"] if bare else []), str(repo.path), str(place))
    work = tmp_path / "daemon"
    work.mkdir()
    with Service(server.url, work, "--remote", f"file://{place}", "--branch", "main") as service:
        live(client, first)
        repo.write("sprocs/a.lua", "return 2\n")
        second = repo.commit("second")
        hub = GitRepo(place)
        hub.git("fetch", "--quiet", "--update-head-ok", str(repo.path), "+main:main")
        live(client, second)
        place.rename(tmp_path / "away")
        stands(client, "degraded")
        assert commit_of(client) == second
        assert client.llen(KEYS.list) == 2
        (tmp_path / "away").rename(place)
        until(lambda: state_of(client).state == "synced")
        service.kill()
        mirror = next((work / ".luasprocs" / "mirror").iterdir())
        (mirror / "shallow.lock").write_text("")
        (mirror / "refs" / "heads" / "main.lock").write_text("")
        (mirror / "packed-refs.lock").write_text("")
        repo.write("sprocs/a.lua", "return 3\n")
        third = repo.commit("third")
        hub.git("fetch", "--quiet", "--update-head-ok", str(repo.path), "+main:main")
        service.start()
        live(client, third)


def test_a_tag_and_a_commit_of_a_remote(server, repo, tmp_path):
    client = server.client()
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "v1")
    repo.write("sprocs/a.lua", "return 2\n")
    second = repo.commit("second")
    url = f"file://{repo.path}"
    with Service(server.url, tmp_path, "--remote", url, "--revision", "v1"):
        live(client, first)
    with Service(server.url, tmp_path, "--remote", url, "--revision", second):
        live(client, second)


def test_a_remote_with_sha256_ids(server, tmp_path):
    client = server.client()
    repo, work = GitRepo(tmp_path / "shop", "--object-format=sha256"), tmp_path / "daemon"
    work.mkdir()
    repo.write("sprocs/a.lua", "return 1\n")
    first = repo.commit("first")
    with Service(server.url, work, "--remote", f"file://{repo.path}"):
        live(client, first)
        repo.write("sprocs/a.lua", "return 2\n")
        live(client, repo.commit("second"))
    with Service(server.url, work, "--remote", f"file://{repo.path}"):
        repo.write("sprocs/a.lua", "return 3\n")
        live(client, repo.commit("third"))


def test_a_remote_without_a_commit_is_named_as_that(server, tmp_path):
    repo, work = GitRepo(tmp_path / "hub.git", "--bare"), tmp_path / "daemon"
    work.mkdir()
    service = Service(server.url, work, "--remote", f"file://{repo.path}")
    service.spawn()  # nothing is live, so it does not listen
    try:
        assert stands(server.client(), "degraded").reason.startswith(f"'file://{repo.path}' has no commit yet")
        assert "mirror" not in service.output
    finally:
        service.kill()


def test_redis_away_hung_and_out_of_memory(own_server, repo):
    own = own_server(persistent=True)
    client = own.client()
    with Service(own.url, repo.path) as service:
        live(client, repo.git("rev-parse", "HEAD"))
        own.kill()
        repo.write("sprocs/a.lua", "return 2\n")
        second = repo.commit("while it is away")
        time.sleep(0.5)
        own.restart()
        live(own.client(), second)
        os.kill(own.pid, signal.SIGSTOP)
        repo.write("sprocs/a.lua", "return 3\n")
        third = repo.commit("while it hangs")
        time.sleep(1.0)
        os.kill(own.pid, signal.SIGCONT)
        live(own.client(), third)
        own.client().config_set("maxmemory", "1mb")
        repo.write("sprocs/a.lua", f"return '{'x' * 200_000}'\n")
        fourth = repo.commit("out of memory")
        stands_later = time.monotonic() + 1.5
        while time.monotonic() < stands_later:
            assert commit_of(own.client()) == third
            time.sleep(0.1)
        own.client().config_set("maxmemory", "0")
        live(own.client(), fourth)
        assert service.running


def test_killed_at_random_it_converges(server, repo):
    client = server.client()
    for number in range(200):
        repo.write(f"sprocs/many/s{number}.lua", "return 0\n")
    repo.commit("many")
    service = Service(server.url, repo.path)
    try:
        for turn in range(8):
            for number in range(200):
                repo.write(f"sprocs/many/s{number}.lua", f"return {turn}\n")
            service.spawn()
            time.sleep(0.25 + 0.08 * turn)
            last = repo.commit(f"turn {turn}")
            time.sleep(0.02 * turn)
            service.kill()
        service.start()
        live(client, last)
        assert source_of(client, "many/s7.lua") == "return 7\n"
        stands(client, "synced")
    finally:
        service.kill()


def test_once(server, repo):
    client = server.client()
    once = Service(server.url, repo.path, "--once")
    assert once.spawn().wait() == 0
    assert commit_of(client) == repo.git("rev-parse", "HEAD")
    repo.write("sprocs/a.lua", "return return\n")
    repo.commit("broken")
    assert once.spawn().wait() == 1
    assert "sprocs/a.lua:1:" in once.output
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    assert once.spawn().wait() == 0
    nothing = Service("redis://127.0.0.1:1", repo.path, "--once")
    assert nothing.spawn().wait() == 2


def test_options_that_contradict_each_other(server, repo):
    for options in (
        ("--no-sync", "--once"),
        ("--worktree", "--remote", "file:///x"),
        ("--revision", "v1"),
        ("--remote", "file:///x", "--revision", "v1", "--branch", "main"),
    ):
        service = Service(server.url, repo.path, *options)
        assert service.spawn().wait() == 2, options
        assert "luasprocs: " in service.output


def test_a_daemon_with_no_more_rights_than_its_role(server, repo):
    client = server.client()
    client.execute_command("ACL", "SETUSER", "service", *rule("daemon", KEYS), ">pw")
    try:
        url = server.url.replace("redis://", "redis://service:pw@")
        with Service(url, repo.path, environ={"LUASPROCS_INTERVAL": "1h"}) as service:
            live(client, repo.git("rev-parse", "HEAD"))
            client.set("ev:1", "x")
            until(lambda: client.hget("fired", "ev:1") == b"1")
            repo.write("sprocs/c.lua", "-- every=1s\n-- runasync=yes\nredis.call('INCR', 'ticks')\n")
            live(client, repo.commit("a schedule"))
            until(lambda: client.get("ticks"))
            client.hset(KEYS.name("a.lua"), "source", "return 'hacked'")
            until(lambda: source_of(client, "a.lua") == "return 1\n")
            asked = control.request(Registry(client, KEYS), "rollback", "ann", generation="1")
            answer = control.wait_for_answer(Registry(client, KEYS), asked, 15)
            assert answer is not None
            assert answer.ok, answer.text
            stands(client, "pinned")
            repo.write("sprocs/d.lua", "-- event=expired\n-- key=due:*\n-- timeout=500ms\nwhile true do end\n")
            repo.write("sprocs/e.lua", "-- every=1s\nreturn 1\n")
            repo.write("sprocs/f.lua", "-- runasync=yes\n-- retries=1\n-- backoff=100ms\nerror('no')\n")
            live(client, repo.commit("one that never ends"))
            client.set("due:1", "x", px=50)
            until(lambda: "ran past its timeout" in service.output, what=lambda: service.output)
            client.execute_command("FCALL", KEYS.function("enqueue"), 0, "f.lua", "ann", 1)
            until(lambda: client.xlen(KEYS.dead))
            blob = read_sprocs(Registry(client, KEYS), ["a.lua"])[0].blob
            edit_metadata(Registry(client, KEYS), "a.lua", {"timeout": "2s"}, base=blob, by="Ann <ann@example.com>")
            until(lambda: "timeout=2s" in repo.git("show", "HEAD:sprocs/a.lua"))
            assert "NOPERM" not in service.output
            assert "ACL" not in service.output
    finally:
        client.execute_command("ACL", "DELUSER", "service")


async def test_a_shard_that_comes_or_goes_wakes_it(server, repo):
    """Without a change of any key: a node that has gone publishes nothing."""
    follower = Follower(server.url, KEYS, Checkout(Repository.open(repo.path)), Rules(), "d", 3600.0)
    urls = [server.url, f"{server.url}?shard=b"]
    follower._watch(dict.fromkeys(urls, KEYS))
    for places in (urls[:1], urls):
        follower._woken.clear()
        follower._watch(dict.fromkeys(places, KEYS))
        assert follower._woken.is_set()
    follower._watch({})
