from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from luasprocs.errors import RepositoryError
from luasprocs.language.sproc import git_blob_id
from sync.git.config import git_config
from sync.git.entries import CONFLICT, SPECIAL, SUBMODULE, SYMLINK
from sync.git.repository import Repository
from tests.gitrepo import SETTINGS, GitRepo
from tests.paths import ROOT

HOSTILE = [
    "a b.lua", "it's \"quoted\".lua", "*?[a-z].lua", ":(glob)x.lua", "-rf.lua", "dream 😴.lua", "back\\slash.lua",
    "new\nline.lua", "tab\t.lua", "latin\udce4.lua", "--end-of-options.lua", "HEAD.lua", "deep/er/x.lua", "x.lua/y.lua",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch):
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, SETTINGS[name])


@pytest.fixture
def repo(tmp_path):
    repo = GitRepo(tmp_path / "repo")
    repo.write("sprocs/a.lua", "return 1\n")
    repo.commit("first")
    return repo


# -- opening


def test_any_folder_inside_opens_the_repository_at_its_top(repo):
    for folder in (repo.path, repo.path / "sprocs", str(repo.path)):
        opened = Repository.open(folder)
        assert (opened.path, opened.bare, opened.branch) == (repo.path, False, "main")


def test_the_current_folder_is_the_default(repo, monkeypatch):
    monkeypatch.chdir(repo.path / "sprocs")
    assert Repository.open().path == repo.path


def test_a_bare_repository_opens_and_has_no_work_tree(repo, tmp_path):
    repo.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    opened = Repository.open(tmp_path / "bare.git")
    assert (opened.path, opened.bare) == (tmp_path / "bare.git", True)
    assert [entry.path for entry in opened.tree(opened.resolve(), "sprocs")] == ["a.lua"]
    with pytest.raises(RepositoryError, match="bare repository"):
        opened.worktree("sprocs", ".lua", 100)


def test_the_folder_of_git_itself_leads_to_its_work_tree(repo):
    opened = Repository.open(repo.path / ".git")
    assert (opened.path, opened.bare) == (repo.path, False)


def test_a_linked_work_tree_has_its_own_branch_and_index(repo, tmp_path):
    repo.git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    side = GitRepo(tmp_path / "side")
    side.write("sprocs/b.lua", "return 2")
    side.git("add", "--all")
    opened = Repository.open(tmp_path / "side")
    assert (opened.path, opened.branch) == (tmp_path / "side", "side")
    assert [entry.path for entry in opened.index("sprocs")] == ["a.lua", "b.lua"]
    assert [entry.path for entry in Repository.open(repo.path).index("sprocs")] == ["a.lua"]


def test_a_folder_outside_any_repository_says_what_to_do(tmp_path):
    with pytest.raises(RepositoryError, match=r"is in no git repository: git init there, or .*--repo DIR"):
        Repository.open(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RepositoryError, match=r"folder '.*/nowhere' does not exist"):
        Repository.open(tmp_path / "nowhere")


def test_a_file_as_repository_is_named(repo):
    with pytest.raises(RepositoryError, match=r"a\.lua' can't be entered"):
        Repository.open(repo.path / "sprocs" / "a.lua")


def test_a_repository_of_another_user_says_how_to_trust_it(repo, monkeypatch):
    if os.getuid() != 0:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    for folder, *_ in os.walk(repo.path):
        if os.getuid() == 0:
            os.chown(folder, 12345, 12345)
    with pytest.raises(RepositoryError, match=r"belongs to another user.*--add safe\.directory"):
        Repository.open(repo.path)


def in_python(code: str, environ: dict[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    script = textwrap.dedent(code)
    search = {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env=environ | search,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_git_on_path_it_says_so(repo, tmp_path):
    code = f"""
        from luasprocs.errors import RepositoryError
        from sync.git.repository import Repository
        try:
            Repository.open({str(repo.path)!r})
        except RepositoryError as error:
            print(error)
    """
    done = in_python(code, {"PATH": str(tmp_path)})
    assert (done.stdout, done.stderr) == ("git is not on PATH: install git, or put its folder into PATH\n", "")


def test_an_emptied_environment_will_do(repo):
    code = f"""
        from sync.git.repository import Repository
        opened = Repository.open({str(repo.path)!r})
        print(opened.resolve().subject, len(opened.tree(opened.resolve(), "sprocs")))
    """
    done = in_python(code, {})
    assert (done.stdout, done.stderr) == ("first 1\n", "")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_both_object_formats_work(tmp_path, algorithm):
    repo = GitRepo(tmp_path / "r", f"--object-format={algorithm}")
    repo.write("sprocs/a.lua", "return 1\n")
    sha = repo.commit("first")
    opened = Repository.open(repo.path)
    (entry,) = opened.tree(opened.resolve(), "sprocs")
    assert opened.blobs([entry.blob]) == {entry.blob: b"return 1\n"}
    assert opened.knows(sha)
    assert opened.resolve(sha[:9]).sha == sha
    assert opened.identity().id == sha
    found = opened.worktree("sprocs", ".lua", 100)
    assert (found.entries[0].blob, found.sources) == (entry.blob, {entry.blob: b"return 1\n"})
    assert (algorithm == "sha1") == (entry.blob == git_blob_id(b"return 1\n"))


# -- inside hooks


def test_a_hook_s_variables_do_not_mislead_an_explicit_folder(repo, tmp_path, monkeypatch):
    other = GitRepo(tmp_path / "other")
    other.write("sprocs/other.lua", "return 'other'")
    other.commit("other")
    wrong = other.path / ".git"
    for name, value in {
        "GIT_DIR": wrong, "GIT_WORK_TREE": other.path, "GIT_INDEX_FILE": wrong / "index", "GIT_COMMON_DIR": wrong,
        "GIT_OBJECT_DIRECTORY": wrong / "objects", "GIT_ALTERNATE_OBJECT_DIRECTORIES": wrong / "objects",
        "GIT_NAMESPACE": "x", "GIT_PREFIX": "y/", "GIT_QUARANTINE_PATH": wrong, "GIT_GLOB_PATHSPECS": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    opened = Repository.open(repo.path)
    assert (opened.path, opened.resolve().subject) == (repo.path, "first")
    assert [entry.path for entry in opened.tree(opened.resolve(), "sprocs")] == ["a.lua"]
    assert [entry.path for entry in opened.index("sprocs")] == ["a.lua"]
    assert [entry.path for entry in opened.worktree("sprocs", ".lua", 100).entries] == ["a.lua"]
    assert not opened.knows(other.git("rev-parse", "HEAD"))
    assert not opened.config()


HOOK = """\
#!/bin/sh
while read old new ref; do
  {python} -c '
import sys
from sync.git.repository import Repository
for folder in (None, sys.argv[1]):
    opened = Repository.open(folder)
    commit = opened.resolve(sys.argv[2])
    blobs = opened.blobs(entry.blob for entry in opened.tree(commit, "sprocs"))
    print(opened.bare, commit.subject, sorted(blobs.values()), file=open(sys.argv[3], "a"))
' "$PWD" "$new" {out} || exit 1
done
exit {status}
"""


@pytest.mark.parametrize(("hook", "status"), [("pre-receive", 1), ("pre-receive", 0), ("post-receive", 0)])
def test_a_receive_hook_reads_the_commit_that_is_pushed_even_from_quarantine(repo, tmp_path, hook, status):
    bare = GitRepo(tmp_path / "bare.git", "--bare")
    out = tmp_path / "out"
    script = bare.path / "hooks" / hook
    script.parent.mkdir(exist_ok=True)
    script.write_text(HOOK.format(python=sys.executable, out=out, status=status))
    script.chmod(0o755)
    repo.environ["PYTHONPATH"] = str(ROOT)
    push = ("push", "--quiet", str(bare.path), "main")
    if status:
        with pytest.raises(AssertionError, match="pre-receive hook declined"):
            repo.git(*push)
    else:
        repo.git(*push)
    assert out.read_text() == "True first [b'return 1\\n']\n" * 2


@pytest.mark.parametrize("here", [True, False])
def test_a_pre_commit_hook_sees_the_index_of_commit_all(repo, tmp_path, here):
    out = tmp_path / "out"
    hook = repo.write(
        ".git/hooks/pre-commit",
        f"""#!/bin/sh
{sys.executable} -c '
from sync.git.repository import Repository
opened = Repository.open({"None" if here else '"."'})
print(sorted(opened.blobs(entry.blob for entry in opened.index("sprocs")).values()), file=open("{out}", "w"))
'
""",
    )
    hook.chmod(0o755)
    repo.environ["PYTHONPATH"] = str(ROOT)
    repo.write("sprocs/a.lua", "return 2\n")
    repo.git("commit", "--quiet", "--all", "--message", "second")
    assert out.read_text() == "[b'return 2\\n']\n"


# -- commits


def test_a_commit_tells_who_when_and_what(repo):
    sha = repo.git("rev-parse", "HEAD")
    commit = Repository.open(repo.path).resolve()
    assert (commit.sha, commit.author, commit.subject, commit.time) == (
        sha,
        "Ann Author <ann@example.invalid>",
        "first",
        1700000000,
    )


def test_settings_of_the_user_s_log_change_nothing(repo):
    repo.git("config", "log.showSignature", "true")
    repo.git("config", "color.ui", "always")
    repo.git("config", "i18n.logOutputEncoding", "latin1")
    repo.commit("größer\n\nbody")
    assert Repository.open(repo.path).resolve().subject == "größer"


def test_every_way_to_name_a_commit_works(repo):
    first = repo.git("rev-parse", "HEAD")
    second = repo.commit("second")
    repo.git("tag", "--annotate", "v1", "--message", "one", first)
    opened = Repository.open(repo.path)
    names = ["HEAD", "main", "refs/heads/main", "heads/main", second, second[:8], "@", "main@{0}"]
    assert {opened.resolve(name).sha for name in names} == {second}
    assert {
        opened.resolve(name).sha for name in ("v1", "HEAD~1", "main^", "refs/tags/v1", "v1^{}", "HEAD^{/first}")
    } == {first}
    assert (opened.branch_named("main"), opened.branch_named("refs/heads/main")) == ("main", "main")
    assert opened.branch_named("v1") is None


def test_a_message_names_the_newest_commit_that_has_it(repo):
    first = repo.commit("Add the first thing, of v1^0")
    second = repo.commit("Add another")
    opened = Repository.open(repo.path)
    named = {":/Add": second, ":/first thing": first, ":/of v1.0": first, ":/!-Add another": first}
    assert {name: opened.resolve(name).sha for name in named} == named


def test_where_a_branch_was_before_git_knows_is_not_guessed(repo):
    repo.git("commit", "--quiet", "--amend", "--message", "anew")
    with pytest.raises(
        RepositoryError, match=r"'main@\{2001-01-01\}' is too early: .* knows where main was only since "
    ):
        Repository.open(repo.path).resolve("main@{2001-01-01}")


def test_a_repository_without_a_commit_says_so(tmp_path):
    opened = Repository.open(GitRepo(tmp_path / "r").path)
    assert opened.branch == "main"
    for revision in (None, "HEAD"):
        with pytest.raises(RepositoryError, match=r"has no commit yet on main: git add and git commit first"):
            opened.resolve(revision)
    assert opened.index("sprocs") == []


def test_an_unknown_revision_says_where_to_look(repo):
    repo.git("tag", "blob", repo.git("rev-parse", "HEAD:sprocs/a.lua"))
    for revision in ("nope", "HEAD~7", "0" * 40, "main..main", "a b", "*", "ä"):
        with pytest.raises(RepositoryError, match=r"has no commit .* git branch --all"):
            Repository.open(repo.path).resolve(revision)
    for revision, kind in (("HEAD:sprocs", "tree"), ("HEAD^{tree}", "tree"), ("blob", "blob")):
        with pytest.raises(RepositoryError, match=f" is a {kind} in .*: name a commit"):
            Repository.open(repo.path).resolve(revision)


def test_a_commit_that_is_missing_is_not_one_that_was_never_made(repo):
    (repo.path / ".git" / "refs" / "heads" / "main").write_text("1" * 40 + "\n")
    for revision in (None, "main", "refs/heads/main"):
        with pytest.raises(RepositoryError, match=r"object 111111111111 is missing in .*: git fsck"):
            Repository.open(repo.path).resolve(revision)


@pytest.mark.parametrize("revision", ["", "-x", "--output=/tmp/x", "--all", "a\nb", "a\0b", "\x1b[31m"])
def test_no_revision_reaches_git_as_an_option(repo, revision):
    with pytest.raises(RepositoryError, match="can't be a revision"):
        Repository.open(repo.path).resolve(revision)


def test_a_name_of_both_branch_and_tag_is_refused_with_the_names_to_write(repo):
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "main")
    second = repo.commit("second")
    opened = Repository.open(repo.path)
    for name in ("main", "main~0", "main^{commit}"):
        with pytest.raises(RepositoryError, match=r"write refs/heads/main or refs/tags/main$"):
            opened.resolve(name)
    assert opened.resolve("refs/heads/main").sha == second
    assert opened.resolve("refs/tags/main").sha == first
    assert opened.resolve().sha == second


def test_head_stays_head_with_a_branch_of_that_name(repo):
    head = repo.git("rev-parse", "HEAD")
    repo.git("commit-tree", "HEAD^{tree}", "-m", "other")
    repo.git("update-ref", "refs/heads/HEAD", repo.git("commit-tree", "HEAD^{tree}", "-m", "other"))
    assert Repository.open(repo.path).resolve().sha == head


def test_a_detached_head_has_no_branch(repo):
    repo.git("checkout", "--quiet", "--detach")
    opened = Repository.open(repo.path)
    assert opened.branch is None
    assert opened.resolve().subject == "first"


def test_after_a_forced_push_the_old_commit_is_known_but_no_ancestor(repo, tmp_path):
    bare = GitRepo(tmp_path / "bare.git", "--bare")
    old = repo.commit("old")
    repo.git("push", "--quiet", str(bare.path), "main")
    repo.git("commit", "--quiet", "--amend", "--allow-empty", "--message", "new")
    new = repo.git("rev-parse", "HEAD")
    repo.git("push", "--quiet", "--force", str(bare.path), "main")
    opened = Repository.open(bare.path)
    assert opened.resolve().sha == new
    assert opened.knows(old)
    assert not opened.is_ancestor(old, new)
    assert opened.is_ancestor(repo.git("rev-parse", "HEAD~1"), new)
    fresh = Repository.open(GitRepo(tmp_path / "fresh").path)
    assert not fresh.knows(old)
    assert not fresh.is_ancestor(old, new)


def test_knows_takes_nothing_but_whole_ids_of_commits(repo):
    opened = Repository.open(repo.path)
    blob = repo.git("rev-parse", "HEAD:sprocs/a.lua")
    assert opened.knows(repo.git("rev-parse", "HEAD"))
    assert not any(map(opened.knows, ("main", "HEAD", "", "--all", blob, repo.git("rev-parse", "HEAD")[:10])))


def test_a_repository_s_identity_is_its_smallest_root(repo):
    first = repo.git("rev-parse", "HEAD")
    repo.commit("second")
    assert (Repository.open(repo.path).identity().id, Repository.open(repo.path).identity().shallow) == (first, False)
    other = repo.git("commit-tree", "HEAD^{tree}", "-m", "another root")
    repo.git("merge", "--quiet", "--allow-unrelated-histories", "--strategy=ours", "--no-edit", other)
    assert Repository.open(repo.path).identity().id == min(first, other)


def test_a_shallow_clone_says_that_it_is_one(repo, tmp_path):
    first = repo.git("rev-parse", "HEAD")
    second = repo.commit("second")
    repo.git("clone", "--quiet", "--depth=1", f"file://{repo.path}", str(tmp_path / "shallow"))
    opened = Repository.open(tmp_path / "shallow")
    assert opened.identity().shallow
    assert opened.resolve().sha == second
    assert not opened.knows(first)
    with pytest.raises(RepositoryError, match=r"git fetch --unshallow \(this clone is shallow\)"):
        opened.resolve(first)
    assert [entry.path for entry in opened.tree(opened.resolve(), "sprocs")] == ["a.lua"]


# -- files


def test_hostile_names_are_read_from_commit_index_and_disk_alike(repo):
    wanted = {name: f"return {name!r}".encode("utf-8", "surrogateescape") for name in HOSTILE}
    wanted["a.lua"] = b"return 1\n"
    for name, source in wanted.items():
        if name != "x.lua/y.lua":
            repo.write(f"sprocs/{name}", source)
    repo.write("sprocs/x.lua/y.lua", wanted["x.lua/y.lua"])
    repo.write("sprocs-other/z.lua", "return 'a folder of a similar name'")
    repo.commit("hostile")
    opened = Repository.open(repo.path)
    for entries in (opened.tree(opened.resolve(), "sprocs"), opened.index("sprocs")):
        blobs = opened.blobs(entry.blob for entry in entries)
        assert {entry.path: blobs[entry.blob] for entry in entries} == wanted
        assert all(entry.size == len(blobs[entry.blob]) and entry.mode == "100644" for entry in entries)
    found = opened.worktree("sprocs", ".lua", 1000)
    assert {entry.path: found.sources[entry.blob] for entry in found.entries} == wanted


@pytest.mark.parametrize("folder", ["lua *[x]", ":(top)x", "a/b c/d", "ümläut", "-x"])
def test_hostile_folders_are_taken_literally(tmp_path, folder):
    repo = GitRepo(tmp_path / "r")
    repo.write(f"{folder}/a.lua", "return 1")
    repo.write("lua zx/b.lua", "return 2")
    repo.commit()
    opened = Repository.open(repo.path)
    for entries in (
        opened.tree(opened.resolve(), folder),
        opened.index(folder),
        opened.worktree(folder, ".lua", 99).entries,
    ):
        assert [entry.path for entry in entries] == ["a.lua"]


def test_the_top_can_be_the_folder(repo):
    opened = Repository.open(repo.path / "sprocs")
    for entries in (opened.tree(opened.resolve(), ""), opened.index(""), opened.worktree("", ".lua", 99).entries):
        assert [entry.path for entry in entries] == ["sprocs/a.lua"]


@pytest.mark.parametrize("folder", ["nope", "sprocs/a.lua", "sprocs/nope"])
def test_a_missing_folder_names_commit_and_folder_and_the_setting(repo, folder):
    opened = Repository.open(repo.path)
    sha = opened.resolve().sha
    with pytest.raises(RepositoryError, match=rf"commit {sha[:12]} of .* has no folder '{folder}'.*luasprocs\.toml"):
        opened.tree(opened.resolve(), folder)


def test_a_missing_folder_on_disk_names_the_setting(repo):
    (repo.path / "link").symlink_to("sprocs")
    for folder in ("nope", "sprocs/a.lua", "link"):
        with pytest.raises(RepositoryError, match=rf"there is no folder '{folder}' in .*luasprocs\.toml"):
            Repository.open(repo.path).worktree(folder, ".lua", 100)


def test_symlinks_and_submodules_show_by_their_mode(repo, tmp_path):
    (repo.path / "sprocs" / "link.lua").symlink_to("/etc/passwd")
    other = GitRepo(tmp_path / "other")
    other.write("x.lua", "return 1")
    other.commit()
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.path), "sprocs/sub.lua")
    repo.commit("link and submodule")
    opened = Repository.open(repo.path)
    wanted = {"a.lua": "100644", "link.lua": SYMLINK, "sub.lua": SUBMODULE}
    for entries in (
        opened.tree(opened.resolve(), "sprocs"),
        opened.index("sprocs"),
        opened.worktree("sprocs", ".lua", 100).entries,
    ):
        assert {entry.path: entry.mode for entry in entries} == wanted


def test_what_a_sparse_checkout_leaves_out_is_not_deleted(repo):
    repo.write("sprocs/b.lua", "return 'b'")
    repo.write("sprocs/deep/c.lua", "return 'c'")
    repo.commit("more")
    opened = Repository.open(repo.path)
    whole = opened.worktree("sprocs", ".lua", 1000).entries
    repo.git("sparse-checkout", "set", "--no-cone", "/sprocs/a.lua")
    assert not (repo.path / "sprocs/b.lua").exists()
    assert opened.worktree("sprocs", ".lua", 1000).entries == whole
    repo.write("sprocs/b.lua", "return 'saved'")
    (repo.path / "sprocs/a.lua").unlink()
    found = {entry.path: entry.blob for entry in opened.worktree("sprocs", ".lua", 1000).entries}
    assert found == {"b.lua": git_blob_id(b"return 'saved'"), "deep/c.lua": git_blob_id(b"return 'c'")}


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_what_is_staged_in_the_place_of_the_folder_is_told(repo, kind):
    shutil.rmtree(repo.path / "sprocs")
    if kind == "file":
        repo.write("sprocs", "no folder")
    else:
        (repo.path / "sprocs").symlink_to("/tmp")
    repo.git("add", "--all")
    with pytest.raises(RepositoryError, match="'sprocs' is staged as something else than a folder"):
        Repository.open(repo.path).index("sprocs")


def test_what_is_only_meant_to_be_added_is_not_staged(repo):
    repo.write("sprocs/new.lua", "return 'new'")
    repo.write("sprocs/empty.lua", "")
    repo.git("add", "--intent-to-add", "sprocs/new.lua")
    repo.git("add", "sprocs/empty.lua")
    opened = Repository.open(repo.path)
    assert [entry.path for entry in opened.index("sprocs")] == ["a.lua", "empty.lua"]
    repo.git("add", "sprocs/new.lua")
    assert [entry.path for entry in opened.index("sprocs")] == ["a.lua", "empty.lua", "new.lua"]


def test_the_work_tree_is_what_is_on_disk_but_for_ignored_files(repo):
    repo.write(".gitignore", "*.tmp.lua\n")
    repo.write("sprocs/gone.lua", "return 0")
    repo.commit()
    (repo.path / "sprocs" / "gone.lua").unlink()
    repo.write("sprocs/a.lua", "return 'changed'")
    repo.write("sprocs/new.lua", "return 'new'")
    repo.write("sprocs/x.tmp.lua", "return 'ignored'")
    repo.write("sprocs/big.lua", "-" * 101)
    repo.write("sprocs/notes.txt", "no sproc")
    os.mkfifo(repo.path / "sprocs" / "pipe.lua")
    GitRepo(repo.path / "sprocs" / "nested").commit()
    read = Repository.open(repo.path).worktree("sprocs", ".lua", 100)
    found = {entry.path: (entry.mode, entry.size, read.sources.get(entry.blob)) for entry in read.entries}
    assert found == {
        "a.lua": ("100644", 16, b"return 'changed'"),
        "new.lua": ("100644", 12, b"return 'new'"),
        "big.lua": ("100644", 101, None),
        "notes.txt": ("100644", 8, None),
        "nested": (SUBMODULE, found["nested"][1], None),
    }


def test_a_tracked_file_that_became_a_pipe_is_not_waited_for(repo):
    path = repo.path / "sprocs" / "a.lua"
    path.unlink()
    os.mkfifo(path)
    (entry,) = Repository.open(repo.path).worktree("sprocs", ".lua", 100).entries
    assert (entry.path, entry.mode) == ("a.lua", SPECIAL)


def test_tracked_files_behind_a_symlink_are_not_followed(repo, tmp_path):
    repo.write("sprocs/sub/x.lua", "return 1")
    repo.commit()
    shutil.rmtree(repo.path / "sprocs" / "sub")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.lua").write_text("secret")
    (repo.path / "sprocs" / "sub").symlink_to(outside)
    found = Repository.open(repo.path).worktree("sprocs", ".lua", 100)
    assert {entry.path: entry.mode for entry in found.entries} == {"a.lua": "100644", "sub": SYMLINK}
    assert b"secret" not in found.sources.values()


def test_the_index_is_what_is_staged(repo):
    repo.write("sprocs/a.lua", "return 'staged'")
    repo.git("add", "--all")
    repo.write("sprocs/a.lua", "return 'later'")
    opened = Repository.open(repo.path)
    (entry,) = opened.index("sprocs")
    assert opened.blobs([entry.blob]) == {entry.blob: b"return 'staged'"}


def test_an_unresolved_conflict_shows_in_the_index(repo):
    repo.git("checkout", "--quiet", "-b", "side")
    repo.write("sprocs/a.lua", "return 'side'\n")
    repo.commit("side")
    repo.git("checkout", "--quiet", "main")
    repo.write("sprocs/a.lua", "return 'main'\n")
    repo.commit("main")
    with pytest.raises(AssertionError):
        repo.git("merge", "--quiet", "side")
    (entry,) = Repository.open(repo.path).index("sprocs")
    assert (entry.path, entry.mode) == ("a.lua", CONFLICT)


def test_thousands_of_blobs_come_through_one_process(repo):
    wanted = {git_blob_id(source): source for source in (b"\n%d\0\r\n" % at * (at % 90) for at in range(3000))}
    stream = b"".join(b"blob\ndata %d\n%s\n" % (len(source), source) for source in wanted.values())
    repo.git("fast-import", "--quiet", stdin=stream)
    opened = Repository.open(repo.path)
    assert opened.blobs(wanted) == wanted
    assert opened.blobs([]) == {}


def test_a_missing_blob_is_named(repo):
    with pytest.raises(RepositoryError, match=r"object 1{40} is missing in .*git fsck"):
        Repository.open(repo.path).blobs(["1" * 40])


def test_replaced_objects_are_read_as_committed(repo):
    blob = repo.git("rev-parse", "HEAD:sprocs/a.lua")
    evil = repo.git("hash-object", "-w", "--stdin", stdin=b"return 'evil'")
    repo.git("replace", blob, evil)
    assert Repository.open(repo.path).blobs([blob]) == {blob: b"return 1\n"}


def test_one_file_is_read_from_commit_and_index(repo):
    repo.write("luasprocs.toml", "folder = 'x'")
    sha = repo.commit()
    repo.write("luasprocs.toml", "folder = 'y'")
    repo.git("add", "--all")
    opened = Repository.open(repo.path / "sprocs")
    assert opened.file(sha, "luasprocs.toml", 100) == b"folder = 'x'"
    assert opened.file("", "luasprocs.toml", 100) == b"folder = 'y'"
    assert opened.file(sha, "sprocs", 100) is None
    assert opened.file(sha, "nope", 100) is None
    with pytest.raises(RepositoryError, match="has 12 bytes: at most 5"):
        opened.file(sha, "luasprocs.toml", 5)


# -- settings in git


def test_settings_of_git_are_read_by_name(repo, monkeypatch):
    repo.git("config", "luasprocs.redis", "redis://h:1/0")
    repo.git("config", "luasprocs.liveEdits", "two\nlines")
    repo.git("config", "--add", "luasprocs.redis", "redis://h:2/0")
    with (repo.path / ".git" / "config").open("a") as file:
        file.write("[luasprocs]\n\tdebug\n")
    wanted = {"redis": "redis://h:2/0", "liveedits": "two\nlines", "debug": "true"}
    assert Repository.open(repo.path).config() == git_config(repo.path / "sprocs") == wanted
    monkeypatch.chdir(repo.path)
    assert git_config() == wanted


def test_no_repository_or_git_means_no_settings(tmp_path, monkeypatch):
    assert git_config(tmp_path) == {}
    assert git_config(tmp_path / "nowhere") == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_config(tmp_path) == {}


def test_a_broken_configuration_of_git_is_an_error(repo):
    (repo.path / ".git" / "config").write_text("[luasprocs\n")
    for read in (git_config, Repository.open):
        with pytest.raises(RepositoryError, match="bad config"):
            read(repo.path)
