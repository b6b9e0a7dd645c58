"""Fixtures of the command line's tests: `shell`, in a fresh repository, with a server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.gitrepo import SETTINGS, GitRepo
from tests.sync.commands.hub import Hub
from tests.sync.commands.shell import Shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server


@pytest.fixture
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's settings: no LUASPROCS_*, no git config, no colours asked for."""
    for name in os.environ:
        if name.startswith(("LUASPROCS", "GIT_")) or name in {"NO_COLOR", "FORCE_COLOR"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> Path:  # noqa: ARG001  # before the folder
    """A repository without a commit, as current folder."""
    folder = tmp_path / "shop"
    GitRepo(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def shell(
    repo: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Shell:
    """A user in an empty repository; LUASPROCS_REDIS names the server."""
    monkeypatch.setenv("LUASPROCS_REDIS", server.url)
    return Shell(repo, server, capsysbinary)


@pytest.fixture
def hub(tmp_path: Path, server: Server, shell: Shell) -> Hub:
    return Hub(tmp_path, server, shell)
