"""What breaks though each side was fine: merges, am, cherry-pick, revert, rebase, each as git runs its hooks."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.gitrepo import GitRepo
from tests.sync.commands.shell import Shell

LIBRARY, USER = "-- library=yes\nreturn {}\n", "return require('lib.lua')\n"
SAID = "sprocs/user.lua:1:17: required library 'lib.lua' does not exist"
LATE = "git has made the commit all the same: mend this before you push"


@pytest.fixture
def repo_of_two(shell: Shell) -> GitRepo:
    """On `main` the library is gone; on `side` something requires it. Both are fine."""
    git = GitRepo(shell.repo)
    shell.commit(lib=LIBRARY, other="return 1\n")
    git.git("checkout", "-q", "-b", "side")
    shell.commit(user=USER)
    git.git("checkout", "-q", "main")
    (shell.repo / "sprocs" / "lib.lua").unlink()
    git.commit("no library")
    shell.ok("hook", "install", "pre-commit")
    return git


def run(git: GitRepo, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["git", *arguments], cwd=git.path, env=git.environ, capture_output=True, check=False, timeout=90
    )
    return done.returncode, done.stderr.decode()


def test_a_clean_merge_that_breaks_is_refused(repo_of_two: GitRepo) -> None:
    before = repo_of_two.git("rev-parse", "HEAD")
    code, said = run(repo_of_two, "merge", "--no-edit", "side")
    assert (code != 0, SAID in said) == (True, True)
    assert repo_of_two.git("rev-parse", "HEAD") == before
    assert run(repo_of_two, "merge", "--abort")[0] == 0
    assert run(repo_of_two, "merge", "--no-edit", "--no-verify", "side")[0] == 0


def test_a_mail_that_breaks_is_refused(repo_of_two: GitRepo) -> None:
    mail = repo_of_two.git("format-patch", "-1", "--stdout", "side")
    repo_of_two.write("../mail", mail + "\n")
    before = repo_of_two.git("rev-parse", "HEAD")
    code, said = run(repo_of_two, "am", "../mail")
    assert (code != 0, SAID in said) == (True, True)
    assert repo_of_two.git("rev-parse", "HEAD") == before


def test_a_pick_is_told_without_a_log_of_head(repo_of_two: GitRepo) -> None:
    repo_of_two.git("config", "core.logAllRefUpdates", "false")
    shutil.rmtree(repo_of_two.path / ".git" / "logs")
    code, said = run(repo_of_two, "cherry-pick", "side")
    assert (code, SAID in said, LATE in said) == (0, True, True)


def test_picks_reverts_and_rebases_are_made_and_told(repo_of_two: GitRepo) -> None:
    start = repo_of_two.git("rev-parse", "HEAD")
    for command in (
        ("cherry-pick", "side"),
        ("rebase", "--quiet", "main", "side"),
        ("rebase", "--quiet", "--apply", "main", "side"),
    ):
        code, said = run(repo_of_two, *command)
        assert (code, SAID in said, said.count(LATE)) == (0, True, 1), said
        repo_of_two.git("checkout", "-q", "-B", "main", start)
        repo_of_two.git("branch", "-f", "side", "side@{1}") if command[0] == "rebase" else None
    repo_of_two.write("sprocs/lib.lua", LIBRARY)
    repo_of_two.commit("a library again")
    added = repo_of_two.git("rev-parse", "HEAD")
    repo_of_two.write("sprocs/user.lua", USER)
    repo_of_two.commit("a user")
    code, said = run(repo_of_two, "revert", "--no-edit", added)
    assert (code, SAID in said, said.count(LATE)) == (0, True, 1), said


def test_what_is_fine_says_nothing(repo_of_two: GitRepo) -> None:
    repo_of_two.git("checkout", "-q", "-b", "fine", "main")
    repo_of_two.write("sprocs/fine.lua", "return 2\n")
    repo_of_two.commit("fine")
    repo_of_two.git("checkout", "-q", "main")
    repo_of_two.write("sprocs/other.lua", "return 3\n")
    repo_of_two.commit("other")
    for command in (
        ("cherry-pick", "fine"),
        ("revert", "--no-edit", "HEAD"),
        ("merge", "--no-edit", "fine"),
        ("rebase", "-q", "main", "fine"),
    ):
        code, said = run(repo_of_two, *command)
        assert (code, "luasprocs" in said) == (0, False), said


def test_the_hooks_of_others_run_first(shell: Shell) -> None:
    for hook in ("pre-merge-commit", "post-rewrite", "post-commit"):
        path = shell.repo / ".git" / "hooks" / hook
        path.write_text(f'#!/bin/sh\ncat >/dev/null </dev/null\necho "theirs: {hook}" >&2\n')
        path.chmod(0o755)
    shell.ok("hook", "install", "pre-commit")
    git = GitRepo(shell.repo)
    shell.commit(a="return 1\n")
    assert "theirs: post-commit" in run(git, "commit", "--allow-empty", "-qm", "x")[1]
    assert "theirs: post-rewrite" in run(git, "commit", "--amend", "--allow-empty", "-qm", "y")[1]
    shell.ok("hook", "uninstall", "pre-commit")
    assert "theirs: post-rewrite" in run(git, "commit", "--amend", "--allow-empty", "-qm", "z")[1]
