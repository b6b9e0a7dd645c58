"""A password in a file that others can read is warned of, wherever it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.operations.exposure import readable_by_others
from sync.cli import run
from sync.settings import host_settings
from tests.gitrepo import SETTINGS, GitRepo

if TYPE_CHECKING:
    from pathlib import Path

URL = "redis://:hunter2@127.0.0.1:1/0"
TOKEN = "https://ann:hunter2@example.com/x.git"
SECRET = "hunter2hunter2hunter2"


@pytest.fixture(autouse=True)
def repo(tmp_path, monkeypatch) -> GitRepo:
    """A repository that everybody can look into, as current folder."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == tmp_path.stat().st_uid and folder.name.startswith(("pytest", "test", "popen")):
            folder.chmod(0o755)
    made = GitRepo(tmp_path / "shop")
    monkeypatch.chdir(made.path)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return made


def warned(**flags: object) -> list[str]:
    said = host_settings(flags, {})
    assert "hunter2" not in " ".join(said.exposed)
    return list(said.exposed)


def expect(file: Path, what: str, **flags: object) -> None:
    """Warned of while others can read it, and not when they can't."""
    file.chmod(0o644)
    (said,) = warned(**flags)
    assert what in said
    assert str(file.resolve()) in said or str(file) in said or said.startswith(str(file.relative_to(file.parents[1])))
    assert "chmod o-r" in said
    for mode in (0o600, 0o640):
        file.chmod(mode)
        assert warned(**flags) == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f'redis = "{URL}"', "a password of Redis"),
        (f'remote = "{TOKEN}"', "the password of the remote"),
        (f'webhook_secret = "{SECRET}"', "the webhook's secret"),
    ],
)
def test_in_a_config_file(tmp_path, line, what):
    file = tmp_path / "host.toml"
    file.write_text(f"{line}\n")
    expect(file, what, config=str(file))


@pytest.mark.parametrize(("name", "value"), [("redis", URL), ("remote", TOKEN), ("webhookSecret", SECRET)])
@pytest.mark.parametrize("folder", [".", "sprocs"])
def test_in_gits_own_configuration(repo, monkeypatch, name, value, folder):
    repo.git("config", f"luasprocs.{name}", value)
    (repo.path / "sprocs").mkdir()
    monkeypatch.chdir(repo.path / folder)
    expect(repo.path / ".git" / "config", "")


def test_in_the_users_and_an_included_file(repo, tmp_path, monkeypatch):
    users, included = tmp_path / "gitconfig", tmp_path / "included"
    users.write_text(f"[luasprocs]\n\tredis = {URL}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(users))
    expect(users, "a password of Redis")
    included.write_text(f"[luasprocs]\n\tredis = {URL}\n")
    repo.git("config", "include.path", str(included))
    expect(included, "a password of Redis")


def test_in_the_file_of_up(repo):
    file = repo.path / ".luasprocs" / "server.toml"
    file.parent.mkdir()
    file.write_text(f'redis = "{URL}"\n')
    expect(file, "a password of Redis")


def test_where_there_is_no_secret_nothing_is_said(repo):
    repo.git("config", "luasprocs.redis", "redis://127.0.0.1:1/0")
    repo.git("config", "luasprocs.remote", "https://example.com/x.git")
    assert warned() == []
    assert warned(redis=URL) == []
    assert list(host_settings({}, {"LUASPROCS_REDIS": URL}).exposed) == []


def test_a_command_says_it_once_on_standard_error(repo, capsys):
    repo.git("config", "luasprocs.redis", URL)
    (repo.path / ".git" / "config").chmod(0o644)
    assert run(["list"]) == 2  # nothing answers there
    said = capsys.readouterr().err
    assert (
        said.count("warning: ")
        == said.count("holds a password of Redis, and every user of this machine can read it")
        == 1
    )
    assert "hunter2" not in said


@pytest.mark.parametrize(("mode", "warnings"), [(0o644, 1), (0o640, 0)])
def test_acl_says_it_of_its_password_file(repo, capsys, mode, warnings):
    file = repo.write("password", "hunter2\n")
    file.chmod(mode)
    assert run(["acl", "caller", "--password-file", "password"]) == 0
    said = capsys.readouterr()
    assert said.err.count("password holds the password, and every user of this machine can read it") == warnings
    assert "hunter2" not in said.out + said.err


def test_a_closed_folder_closes_its_files(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir()
    file = folder / "f"
    file.write_text("x")
    file.chmod(0o644)
    assert readable_by_others(file)
    folder.chmod(0o700)
    assert not readable_by_others(file)
    assert not readable_by_others(folder / "none")
