"""Repositories that no git would make by itself: whatever they hold is a value or a RepositoryError."""

from __future__ import annotations

import pytest

from luasprocs.errors import NoFolderError, RepositoryError
from sync.git.repository import Repository
from sync.reconcile.desired import read_commit
from sync.reconcile.desired_sprocs import problems_in, read_sprocs
from tests.gitrepo import GitRepo

MISSING = "0123456789012345678901234567890123456789"
PERSON = b"A <a@b.example> 1 +0000"


class Odd(GitRepo):
    """Writes objects literally."""

    def object(self, kind: str, content: bytes) -> str:
        return self.git("hash-object", "--literally", "-w", "-t", kind, "--stdin", stdin=content)

    def tree(self, *entries: tuple[str, bytes, str]) -> str:
        """Entries of mode, name and id, in this order."""
        return self.object(
            "tree", b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
        )

    def odd_commit(self, tree: str, *lines: bytes, message: bytes = b"m") -> str:
        people = lines or (b"author " + PERSON, b"committer " + PERSON)
        return self.object("commit", b"\n".join((b"tree " + tree.encode(), *people, b"", message)))


@pytest.fixture
def repo(tmp_path, monkeypatch):
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    made = Odd(tmp_path / "repo")
    made.write("sprocs/a.lua", "return 1\n")
    made.commit("first")
    return made


@pytest.mark.parametrize(
    "name",
    [
        "^HEAD", "^^HEAD", "HEAD..main", "...", "..", "HEAD^@", "HEAD^!", "HEAD^-", ":/nothing", ":/", ":",
        ":/first^{commit}", "@{-1}", "@{u}",
        "HEAD:sprocs", "HEAD^{tree}", "HEAD^{/", "HEAD~99999999999999999999", "\udcff",
        pytest.param("x" * 200_000, id="long"), "-", "--all",
        "", "\0", "main\n", "a b", "*", "refs/heads/", "HEAD^{commit}^{blob}",
    ],
)  # fmt: skip
def test_what_is_no_single_commit_is_said(repo, name):
    with pytest.raises(RepositoryError) as error:
        Repository.open(repo.path).resolve(name)
    assert len(str(error.value)) < 1000


def test_what_is_everything_but_a_commit_says_so(repo):
    with pytest.raises(RepositoryError, match=r"'\^HEAD' is not a single commit: name a commit"):
        Repository.open(repo.path).resolve("^HEAD")


@pytest.mark.parametrize(
    ("lines", "time"),
    [
        ((b"author " + PERSON,), 0),
        ((b"author A <a@b>", b"committer A <a@b>"), 0),
        ((b"author A <a@b> -5 +0000", b"committer A <a@b> -5 +0000"), 0),
        ((b"author " + PERSON, b"committer A <a@b> 99999999999999999999999 +0000"), 0),
        ((b"author " + PERSON, b"committer A <a@b> 253402300800 +0000"), 253402300800),
        ((b"author " + PERSON, b"committer A <a@b> 1 +9999999"), 1),
        ((b"author ", b"committer "), 0),
        ((b"author A\xff <\xfe@b> 1 +0000", b"committer " + PERSON), 1),
        ((b"author A\0B <a@b> 1 +0000", b"committer " + PERSON), 1),
        ((b"author " + PERSON, b"committer " + PERSON, b"encoding no-such-encoding"), 1),
    ],
)
def test_commits_without_committer_date_or_utf8(repo, lines, time):
    repository, tree = Repository.open(repo.path), repo.git("rev-parse", "HEAD^{tree}")
    for message in (b"m", b"", b"\xff\xfe", b"a\0b", b"a\r\n\x1b[2J"):
        sha = repo.odd_commit(tree, *lines, message=message)
        commit = repository.resolve(sha)
        assert (commit.sha, commit.time) == (sha, time)
        (commit.author + commit.subject).encode()  # as Redis gets it
        assert list(read_commit(repository, sha).entries) == ["a.lua"]


def test_a_missing_blob_is_missing_when_it_is_wanted_and_not_before(repo):
    sound = repo.git("rev-parse", "HEAD:sprocs/a.lua")
    folder = repo.tree(("100644", b"a.lua", sound), ("100644", b"b.lua", MISSING))
    sha = repo.odd_commit(repo.tree(("40000", b"sprocs", folder)))
    repository = Repository.open(repo.path)
    desired = read_commit(repository, sha)
    assert desired.entries == {"a.lua": sound, "b.lua": MISSING}
    assert [sproc.name for sproc in read_sprocs(repository, desired, ["a.lua"])] == ["a.lua"]
    with pytest.raises(RepositoryError, match=f"object {MISSING} is missing in .*: git fsck"):
        read_sprocs(repository, desired, desired.entries)


@pytest.mark.parametrize("where", ["", "sprocs", "sprocs/deep"])
def test_a_missing_tree_is_never_a_folder_that_was_deleted(repo, where):
    """Else what is live would go."""
    tree = MISSING
    for name in reversed(where.split("/") if where else []):
        tree = repo.tree(("40000", name.encode(), tree))
    sha = repo.odd_commit(tree)
    repository = Repository.open(repo.path)
    for folder in {"sprocs", "sprocs/deep"} & {where, "sprocs/deep"} or {"sprocs"}:
        with pytest.raises(RepositoryError, match="git fsck tells more") as error:
            repository.tree(repository.resolve(sha), folder)
        assert not isinstance(error.value, NoFolderError)


def test_missing_settings_are_not_the_default_ones(repo):
    """Else another namespace would be synced to."""
    folder = repo.git("rev-parse", "HEAD:sprocs")
    sha = repo.odd_commit(repo.tree(("100644", b"luasprocs.toml", MISSING), ("40000", b"sprocs", folder)))
    with pytest.raises(RepositoryError, match=r"luasprocs\.toml is missing in .*: git fsck"):
        read_commit(Repository.open(repo.path), sha)


@pytest.mark.parametrize("mode", ["100644", "100664", "644", "120000", "160000", "40000", "0", "777777"])
def test_odd_trees(repo, mode):
    ids = [repo.git("rev-parse", what) for what in ("HEAD:sprocs/a.lua", "HEAD^{tree}", "HEAD")] + [MISSING]
    repository = Repository.open(repo.path)
    main = read_commit(repository, "main")
    for sha in ids:
        for name in (b"x.lua", b"..", b"\xff.lua", b"a/b\n.lua", b""):
            commit = repo.odd_commit(repo.tree(("40000", b"sprocs", repo.tree((mode, name, sha)))))
            try:
                problems_in(repository, read_commit(repository, commit))
                read_commit(repository, commit, main)
            except RepositoryError as error:
                assert str(error)


def test_a_branch_that_is_no_utf8_is_followed(repo):
    repo.git("checkout", "-q", "-b", "b\udcff")
    repository = Repository.open(repo.path)
    assert repository.branch == "b\udcff"
    assert read_commit(repository).branch == "b\udcff"
