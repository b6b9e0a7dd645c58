"""From git to Redis and back: what a sync reads and sends, whose registry it is, drift, pruning, rollback, triggers."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from luasprocs.contract.encoding import text
from luasprocs.contract.keys import Keys
from luasprocs.errors import OwnerError, ProblemsError, PruneError, RegistryError
from luasprocs.language.globs import is_glob
from luasprocs.language.triggers.event import GLOBS_LIMIT, EventTrigger, as_fields, sources
from luasprocs.operations.rollback import rollback
from luasprocs.registry.live import read_live
from luasprocs.server.registry import Registry
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.syncer import Options, Syncer
from tests.gitrepo import SETTINGS, GitRepo
from tests.live import put, sproc

KEYS = Keys()
STRANGE = "caf\u00e9/\U0001f980 'one' \"two\" *?[x].lua"


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def client(server):
    return server.client()


@pytest.fixture
def repo(tmp_path):
    made = GitRepo(tmp_path / "origin")
    for letter in "abcde":
        made.write(f"sprocs/{letter}.lua", f"return '{letter}'\n")
    made.commit("first")
    return made


def clone_of(repo, folder, *options):
    repo.git("clone", "--quiet", *options, repo.path.as_uri(), str(folder))
    return GitRepo(folder)


def sync(client, repo, revision=None, **options):
    repository = Repository.open(repo.path)
    return Syncer(Registry(client, KEYS), repository, Options(**options)).sync(read_commit(repository, revision))


def run(client, name):
    return client.execute_command("FCALL", "luasprocs_execute", 0, name)


def state(client):
    """All that is live: the revision, and each sproc's hash; nothing may be missing or left over."""
    names = client.lrange(KEYS.list, 0, -1)
    hashes = {text(name): client.hgetall(KEYS.name(text(name))) for name in names}
    stored = set(client.scan_iter("__[*]_Sproc_Name_*", count=1000))
    assert stored == {KEYS.name(name).encode() for name in hashes}
    assert read_live(Registry(client, KEYS)).drift == ()
    return client.hgetall(KEYS.revision), hashes


def blobs_live(client):
    return {name: sproc.blob for name, sproc in read_live(Registry(client, KEYS)).sprocs.items()}


# What a sync reads and sends


def test_one_changed_file_is_one_blob_read_and_one_hash_written(client, repo, monkeypatch):
    sync(client, repo)
    repo.write("sprocs/c.lua", "return 'C'\n")
    repo.commit()
    asked, sent = [], []
    read = Repository.blobs

    def blobs(self, ids):
        asked.extend(wanted := list(ids))
        return read(self, wanted)

    monkeypatch.setattr(Repository, "blobs", blobs)
    with client.monitor() as monitor:
        outcome = sync(client, repo)
        client.echo("enough")
        while (command := monitor.next_command()["command"]) != "ECHO enough":
            sent.append(command)
    assert asked == [repo.git("rev-parse", "HEAD:sprocs/c.lua")]
    written = [command for command in sent if command.upper().startswith(f"HSET {KEYS.name_prefix}".upper())]
    assert [command.split()[1] for command in written] == [KEYS.name("c.lua")]
    assert not [command for command in sent if command.upper().startswith(("RPUSH", "LPUSH"))]
    assert (outcome.plan.updated, outcome.plan.unchanged, outcome.changed) == (("c.lua",), 4, True)
    assert run(client, "c.lua") == b"C"


def test_the_same_commit_again_is_no_new_generation(client, repo):
    assert sync(client, repo).changed
    before = state(client)
    again = sync(client, repo)
    assert (again.changed, again.generation, again.plan.unchanged) == (False, 1, 5)
    assert state(client) == before


def test_two_syncs_at_once_both_end_and_leave_one_whole_commit(server, client, repo):
    one = repo.git("rev-parse", "HEAD")
    for letter in "abcf":
        repo.write(f"sprocs/{letter}.lua", f"return '{letter * 2}'\n")
    repo.git("rm", "-q", "sprocs/e.lua")
    two = repo.commit("second")
    entries = {sha: dict(read_commit(Repository.open(repo.path), sha).entries) for sha in (one, two)}
    sync(client, repo, one)
    for _ in range(6):
        start = threading.Barrier(2, timeout=30)

        def work(sha, start=start):
            repository = Repository.open(repo.path)
            desired = read_commit(repository, sha)
            start.wait()
            return Syncer(Registry(server.client(), KEYS), repository).sync(desired)

        with ThreadPoolExecutor(2) as pool:
            outcomes = list(pool.map(work, (one, two)))
        revision, hashes = state(client)
        live = revision[b"commit"].decode()
        assert blobs_live(client) == entries[live]
        assert [outcome.commit for outcome in outcomes] == [one, two]
        assert int(revision[b"generation"]) == max(outcome.generation for outcome in outcomes)
        for name in hashes:
            assert run(client, name) == (name[0] * (2 if live == two and name[0] in "abcf" else 1)).encode()


# Whose registry it is


def test_a_history_that_was_rewritten_from_its_root_syncs_from_the_same_clone(client, repo, tmp_path):
    mine = clone_of(repo, tmp_path / "mine")
    sync(client, mine)
    repo.write("sprocs/a.lua", "return 'rewritten'\n")
    repo.git("add", "--all")
    repo.git("commit", "--quiet", "--amend", "--message", "another root")
    mine.git("fetch", "--quiet", "origin")
    mine.git("reset", "--quiet", "--hard", "origin/main")
    assert sync(client, mine).plan.updated == ("a.lua",)
    assert run(client, "a.lua") == b"rewritten"
    fresh = clone_of(repo, tmp_path / "fresh")
    assert not sync(client, fresh).changed


def test_another_repository_is_refused_until_it_adopts(client, repo, tmp_path):
    sync(client, repo)
    before = state(client)
    other = GitRepo(tmp_path / "other")
    other.write("sprocs/a.lua", "return 'other'\n")
    other.write("sprocs/z.lua", "return 'z'\n")
    other.commit("not yours")
    with pytest.raises(OwnerError, match="--adopt"):
        sync(client, other)
    assert state(client) == before
    outcome = sync(client, other, adopt=True)
    assert (outcome.plan.created, outcome.plan.updated) == (("z.lua",), ("a.lua",))
    assert (run(client, "a.lua"), run(client, "z.lua")) == (b"other", b"z")
    assert not sync(client, other).changed
    with pytest.raises(OwnerError):
        sync(client, repo)


def test_a_shallow_clone_that_knows_the_live_commit_syncs_as_its_owner(client, repo, tmp_path):
    repo.commit("second")
    sync(client, repo)
    owner = client.hget(KEYS.revision, "owner")
    shallow = clone_of(repo, tmp_path / "shallow", "--depth=1")
    assert not sync(client, shallow).changed
    repo.write("sprocs/a.lua", "return 'A'\n")
    repo.commit("third")
    shallow.git("fetch", "--quiet", "--depth=1", "origin", "main")
    shallow.git("reset", "--quiet", "--hard", "FETCH_HEAD")
    assert sync(client, shallow).plan.updated == ("a.lua",)
    assert client.hget(KEYS.revision, "owner") == owner
    assert not sync(client, repo).changed


def test_a_shallow_clone_that_does_not_know_it_is_told_what_to_do(client, repo, tmp_path):
    sync(client, repo)
    before = state(client)
    repo.commit("second")
    repo.commit("third")
    shallow = clone_of(repo, tmp_path / "shallow", "--depth=1")
    with pytest.raises(OwnerError, match=r"git fetch --unshallow.*luasprocs\.toml"):
        sync(client, shallow)
    assert state(client) == before
    shallow.git("fetch", "--quiet", "--unshallow")
    assert sync(client, shallow).changed


def test_an_owner_that_the_commit_names_holds_for_shallow_clones(client, repo, tmp_path):
    repo.write("luasprocs.toml", 'owner = "the shop"\n')
    repo.commit("named")
    sync(client, repo)
    repo.commit("later")
    assert sync(client, clone_of(repo, tmp_path / "shallow", "--depth=1")).changed
    assert client.hget(KEYS.revision, "owner") == b"the shop"


# Drift, and what is not to be removed


def edit(client):
    client.hset(KEYS.name("b.lua"), "source", "return 'by hand'")


def drop(client):
    client.delete(KEYS.name("b.lua"))


def retype(client):
    client.delete(KEYS.name("b.lua"))
    client.lpush(KEYS.name("b.lua"), "x")


def describe(client):
    client.hset(KEYS.name("b.lua"), "description", "by hand")


@pytest.mark.parametrize("harm", [edit, drop, retype, describe])
def test_what_a_hand_did_to_a_sproc_is_healed(client, repo, harm):
    sync(client, repo)
    _, before = state(client)
    harm(client)
    outcome = sync(client, repo)
    assert outcome.plan.updated == ("b.lua",)
    assert outcome.plan.unchanged == 4
    assert state(client)[1] == before
    assert run(client, "b.lua") == b"b"
    assert not sync(client, repo).changed


@pytest.mark.parametrize(
    "harm",
    [
        lambda client: client.execute_command("FUNCTION", "FLUSH", "SYNC"),
        lambda client: client.rpush(KEYS.list, "ghost.lua"),
        lambda client: client.lrem(KEYS.list, 1, "a.lua"),
        lambda client: client.delete(KEYS.list),
        lambda client: client.delete(KEYS.revision),
        lambda client: client.delete(KEYS.digests),
        lambda client: client.flushall(),
    ],
    ids=["functions", "ghost", "unlisted", "list", "revision", "digests", "flushall"],
)
def test_what_a_hand_did_to_the_registry_is_healed(client, repo, harm):
    sync(client, repo)
    _, before = state(client)
    harm(client)
    sync(client, repo)
    assert state(client)[1] == before
    assert [run(client, f"{letter}.lua") for letter in "abcde"] == [b"a", b"b", b"c", b"d", b"e"]
    assert not sync(client, repo).changed


def with_ten(repo):
    for number in range(5):
        repo.write(f"sprocs/{number}.lua", f"return {number}\n")
    return repo.commit("ten")


def without(repo, count):
    names = [f"{name}.lua" for name in "abcde01234"[:count]]
    repo.git("rm", "-q", *(f"sprocs/{name}" for name in names))
    return tuple(sorted(names))


def test_half_of_the_sprocs_may_go_unasked(client, repo):
    with_ten(repo)
    sync(client, repo)
    gone = without(repo, 5)
    repo.commit()
    assert sync(client, repo).plan.deleted == gone
    assert sorted(state(client)[1]) == [f"{number}.lua" for number in range(5)]


def test_more_than_half_go_only_if_asked(client, repo):
    with_ten(repo)
    sync(client, repo)
    before = state(client)
    gone = without(repo, 6)
    repo.commit()
    with pytest.raises(PruneError, match=r"remove 6 of 10 .*--prune-all.*--no-prune"):
        sync(client, repo)
    assert state(client) == before
    assert sync(client, repo, prune=False).plan.deleted == ()
    assert len(state(client)[1]) == 10
    assert sync(client, repo, prune_all=True).plan.deleted == gone
    assert len(state(client)[1]) == 4


def test_a_commit_without_sprocs_removes_nothing_unasked(client, repo):
    without(repo, 5)
    repo.write("sprocs/README.md", "moved\n")
    empty = repo.commit()
    sync(client, repo, "HEAD~1")
    before = state(client)
    with pytest.raises(PruneError, match="no sprocs; 5 are live"):
        sync(client, repo, empty)
    assert state(client) == before
    assert len(sync(client, repo, empty, prune_all=True).plan.deleted) == 5
    assert state(client)[1] == {}


def test_renaming_the_only_sproc_is_no_accident(client, tmp_path):
    repo = GitRepo(tmp_path / "one")
    repo.write("sprocs/old.lua", "return 1\n")
    repo.commit()
    sync(client, repo)
    repo.git("mv", "sprocs/old.lua", "sprocs/new.lua")
    repo.commit()
    plan = sync(client, repo).plan
    assert (plan.created, plan.deleted) == (("new.lua",), ("old.lua",))


def test_one_broken_file_leaves_everything_as_it_was(client, repo):
    sync(client, repo)
    before = state(client)
    repo.write("sprocs/a.lua", "return 'fine'\n")
    repo.write("sprocs/b.lua", "return return\n")
    repo.commit()
    with pytest.raises(ProblemsError, match=r"sprocs/b\.lua:1:"):
        sync(client, repo)
    assert state(client) == before


# Rollback


def test_rollback_needs_no_git(client, monkeypatch):
    put(client, sproc("a.lua", "return 1"), sproc("b.lua", "return 2"))
    first = state(client)[1]
    put(client, sproc("a.lua", "return 10", "c2"), sproc("c.lua", "return 3", "c2"), commit="c2")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert shutil.which("git") is None
    outcome = rollback(Registry(client, KEYS), by="ann@host")
    assert (outcome.plan.created, outcome.plan.updated, outcome.plan.deleted) == (("b.lua",), ("a.lua",), ("c.lua",))
    assert (outcome.generation, outcome.commit) == (3, "c1")
    revision, hashes = state(client)
    assert hashes == first
    assert (revision[b"commit"], revision[b"pinned"]) == (b"c1", b"c2")
    assert (run(client, "a.lua"), run(client, "b.lua")) == (1, 2)


def test_rollback_restores_deleted_ones_whatever_their_names(client, repo):
    repo.write(f"sprocs/{STRANGE}", "-- description=Grüße\nreturn 'strange'\n")
    repo.commit("strange")
    sync(client, repo)
    first = state(client)[1]
    repo.git("--literal-pathspecs", "rm", "-q", f"sprocs/{STRANGE}")
    repo.write("sprocs/a.lua", "return 'A'\n")
    repo.commit("gone")
    sync(client, repo)
    assert STRANGE not in state(client)[1]
    repo.commit("nothing")
    sync(client, repo)
    rollback(Registry(client, KEYS), 1, by="ann@host")
    assert state(client)[1] == first
    assert run(client, STRANGE) == b"strange"


def test_the_next_sync_after_a_rollback_is_the_commit_again(client, repo):
    sync(client, repo)
    repo.write("sprocs/a.lua", "return 'A'\n")
    repo.commit()
    sync(client, repo)
    newest = state(client)[1]
    rollback(Registry(client, KEYS), by="ann@host")
    assert run(client, "a.lua") == b"a"
    assert sync(client, repo).generation == 4
    assert state(client)[1] == newest


def test_a_forgotten_generation_is_refused_and_nothing_changes(client):
    for number in range(4):
        put(client, sproc("a.lua", f"return {number}"), generations_kept=2)
    before = state(client)
    for wanted in (1, 2, 0, -1, 99):
        with pytest.raises(RegistryError, match=f"generation {wanted} is not in the history"):
            rollback(Registry(client, KEYS), wanted, by="ann@host")
    with pytest.raises(RegistryError, match="is already live"):
        rollback(Registry(client, KEYS), 4, by="ann@host")
    assert state(client) == before
    rollback(Registry(client, KEYS), 3, by="ann@host")
    assert run(client, "a.lua") == 2


def test_a_source_that_somebody_removed_is_refused_and_nothing_changes(client):
    put(client, sproc("a.lua", "return 1"))
    put(client, sproc("a.lua", "return 2"))
    client.delete(KEYS.blobs)
    before = state(client)
    with pytest.raises(RegistryError, match="kept"):
        rollback(Registry(client, KEYS), by="ann@host")
    assert state(client) == before


# Which events trigger which sprocs


def one(name, events, *keys):
    return EventTrigger(name, tuple(events.split(",")), keys)


def test_an_exact_key_is_its_own_channel():
    assert sources([one("a.lua", "set,del", "k")], 3) == {"__keyspace@3__:k": ("a.lua",)}


def test_a_glob_is_one_pattern_that_sprocs_share():
    bound = sources([one("b.lua", "set", "user:*"), one("a.lua", "del", "user:*")], 0)
    assert bound == {"__keyspace@0__:user:*": ("a.lua", "b.lua")}


def test_several_keys_take_the_channels_of_the_events():
    bound = sources([one("a.lua", "set,del", "x", "user:*")], 0)
    assert bound == {"__keyevent@0__:del": ("a.lua",), "__keyevent@0__:set": ("a.lua",)}


def test_any_key_takes_the_channels_of_the_events():
    assert sources([one("a.lua", "set", "*")], 0) == {"__keyevent@0__:set": ("a.lua",)}


def test_any_event_takes_one_pattern_if_no_key_narrows_it():
    assert sources([one("a.lua", "*", "x", "y")], 0) == {"__keyevent@0__:*": ("a.lua",)}
    assert sources([one("a.lua", "*", "*")], 0) == {"__keyevent@0__:*": ("a.lua",)}
    assert sources([one("a.lua", "*", "x")], 0) == {"__keyspace@0__:x": ("a.lua",)}


def test_past_the_limit_of_globs_events_take_over_and_exact_keys_stay():
    few = [one(f"{number}.lua", "set", f"{number}:*") for number in range(GLOBS_LIMIT)]
    assert sorted(sources(few, 0)) == [f"__keyspace@0__:{number}:*" for number in range(GLOBS_LIMIT)]
    # One key for any glob doesn't count, nor does a glob that is shared.
    assert len(sources([*few, one("any.lua", "del", "*"), one("same.lua", "del", "0:*")], 0)) == GLOBS_LIMIT + 1
    many = [*few, one("more.lua", "hset", "more?"), one("exact.lua", "set", "k")]
    assert sources(many, 0) == {
        "__keyevent@0__:hset": ("more.lua",),
        "__keyevent@0__:set": tuple(f"{number}.lua" for number in range(GLOBS_LIMIT)),
        "__keyspace@0__:k": ("exact.lua",),
    }


def test_no_sproc_hears_of_one_event_twice():
    many = [one(f"{number}.lua", "set,*", f"{number}*", *("z" * (number % 2))) for number in range(9)]
    bound = sources(many, 0)
    assert sorted(name for names in bound.values() for name in names) == [trigger.name for trigger in many]


@pytest.mark.parametrize(("key", "glob"), [("a*", True), ("a?", True), ("a[bc]", True), ("a\\*", True), ("a]", False)])
def test_a_key_that_redis_reads_as_a_pattern_is_a_glob(key, glob):
    assert is_glob(key) == glob


def test_the_stored_index_has_one_name_a_line():
    assert as_fields({"s": ("a.lua", "b.lua")}) == {"s": "a.lua\nb.lua"}


def test_the_index_follows_what_is_live(client, repo):
    repo.write("sprocs/a.lua", "-- event=set\n-- key=user:*\nreturn 1\n")
    repo.commit()
    sync(client, repo)
    assert client.hgetall(KEYS.triggers) == {b"__keyspace@0__:user:*": b"a.lua"}
    repo.write("sprocs/b.lua", "-- event=del,set\n-- key=x,y\nreturn 1\n")
    repo.commit()
    sync(client, repo)
    assert client.hgetall(KEYS.triggers) == {
        b"__keyspace@0__:user:*": b"a.lua",
        b"__keyevent@0__:del": b"b.lua",
        b"__keyevent@0__:set": b"b.lua",
    }
    rollback(Registry(client, KEYS), 1, by="ann@host")
    assert client.hgetall(KEYS.triggers) == {b"__keyspace@0__:user:*": b"a.lua"}


def test_a_trigger_keeps_its_kind_of_source_when_the_number_of_globs_crosses_the_limit():
    few = [one(f"{number}.lua", "set", f"{number}:*") for number in range(GLOBS_LIMIT)]
    bound = sources(few, 0)
    more = [*few, one("new.lua", "set", "new:*")]
    after = sources(more, 0, bound)
    assert after == {**bound, "__keyevent@0__:set": ("new.lua",)}
    assert sources(more[2:], 0, after) == {
        source: names for source, names in after.items() if names[0] not in {"0.lua", "1.lua"}
    }
