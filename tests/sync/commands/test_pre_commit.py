"""The pre-commit framework itself runs our hook, installed from this project as anybody would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gitrepo import GitRepo
from tests.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = ROOT
PARTS = (
    "luasprocs",
    "sync",
    "luasprocs_tui",
    "sprocs",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".pre-commit-hooks.yaml",
)
FAULTS = {
    "header.lua": ("-- evnt=set\nreturn 1", "1:4: unknown key 'evnt'; did you mean 'event'?"),
    "syntax.lua": ("local x = 1\nreturn x x", "2:10: "),
    "files.lua": ("return io.open('x')", "1:8: the server has no global 'io'"),
    "global.lua": ("x = 1", "1:1: assignment to the global x"),
    "command.lua": ("return redis.call('GTE', 'k')", "1:20: unknown command 'GTE'"),
    "requires.lua": ("return require('no.lua')", "1:17: required library 'no.lua' does not exist"),
    "case.lua": ("return 1", "1:1: the names 'case.lua' and 'Case.lua' differ only in case"),
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> GitRepo:
    """This project as it is now, as a repository that a user names in `repo:`."""
    made = GitRepo(tmp_path_factory.mktemp("luasprocs"))
    for part in PARTS:
        source = PROJECT / part
        if source.is_dir():
            shutil.copytree(source, made.path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, made.path / part)
    made.commit()
    return made


def pre_commit(folder: Path, environ: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pre_commit", *arguments]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, check=False, timeout=300)
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.mark.long
@pytest.mark.wording
@pytest.mark.timeout(400)  # it installs this project and what that needs from PyPI
def test_the_framework_finds_what_is_staged(ours: GitRepo, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("shop")
    shop = GitRepo(folder)
    environ = shop.environ | {"PRE_COMMIT_HOME": str(tmp_path_factory.mktemp("cache")), "PRE_COMMIT_COLOR": "never"}
    environ |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "VIRTUALENV_NO_PERIODIC_UPDATE": "1"}
    environ |= {"PIP_COMPILE": "no"}  # only what is imported is compiled, and then
    rev = ours.git("rev-parse", "HEAD")
    config = f"repos:\n- repo: {ours.path}\n  rev: {rev}\n  hooks:\n  - id: luasprocs-check\n"
    shop.write(".pre-commit-config.yaml", config)
    shop.write("sprocs/a.lua", "return 1\n")
    shop.git("add", "--all")

    assert pre_commit(folder, environ, "validate-manifest", str(ours.path / ".pre-commit-hooks.yaml")) == (0, "")
    assert pre_commit(folder, environ, "install")[0] == 0
    code, said = pre_commit(folder, environ, "run")
    assert (code, "Passed" in said) == (0, True), said

    shop.write("sprocs/Case.lua", "return 1")
    for name, (source, _) in FAULTS.items():
        shop.write(f"sprocs/{name}", source)
    shop.git("add", "--all")
    for name in FAULTS:
        shop.write(f"sprocs/{name}", "return 'saved, not staged'")
    done = subprocess.run(
        ["git", "commit", "-qm", "x"],
        cwd=folder,
        env=environ | {"PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    for name, (_, where) in FAULTS.items():
        assert f"sprocs/{name}:{where}" in done.stderr.decode() + done.stdout.decode(), name

    shop.git("rm", "-q", "--force", "--", *(f"sprocs/{name}" for name in (*FAULTS, "Case.lua")))
    shop.git("commit", "-qm", "fine")

    # A commit that only deletes a library breaks those that require it, though no file is left to be looked at.
    shop.write("sprocs/lib.lua", "-- library=yes\nreturn {}\n")
    shop.write("sprocs/user.lua", "return require('lib.lua')\n")
    shop.git("add", "--all")
    shop.git("commit", "-qm", "library")
    shop.git("rm", "-q", "sprocs/lib.lua")
    code, said = pre_commit(folder, environ, "run")
    assert (code, "sprocs/user.lua:1:17: required library 'lib.lua' does not exist" in said) == (1, True), said

    # Nor does a clean merge look at files.
    shop.git("reset", "-q", "--hard")
    shop.git("checkout", "-q", "-b", "side")
    shop.write("sprocs/other.lua", "return require('lib.lua')\n")
    shop.git("add", "--all")
    shop.git("commit", "-qm", "other")
    shop.git("checkout", "-q", "main")
    shop.git("rm", "-q", "sprocs/lib.lua", "sprocs/user.lua")
    shop.git("commit", "-qm", "no library")
    assert pre_commit(folder, environ, "install", "--hook-type", "pre-merge-commit")[0] == 0
    done = subprocess.run(
        ["git", "merge", "--no-edit", "side"],
        cwd=folder,
        env=environ | {"PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    assert (
        "sprocs/other.lua:1:17: required library 'lib.lua' does not exist"
        in done.stderr.decode() + done.stdout.decode()
    )
