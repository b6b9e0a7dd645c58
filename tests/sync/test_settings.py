from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from luasprocs.errors import SettingsError
from sync.settings import DEFAULT_REDIS, HostSettings, host_settings
from tests.gitrepo import SETTINGS, GitRepo


@pytest.fixture
def repo(tmp_path, monkeypatch):
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, SETTINGS[name])
    repo = GitRepo(tmp_path / "repo")
    repo.write("sub/x", "")
    monkeypatch.chdir(repo.path)
    return repo


@pytest.mark.usefixtures("repo")
def test_without_anything_there_are_defaults():
    settings = host_settings({}, {})
    assert settings == HostSettings()
    assert (settings.redis, settings.source("redis")) == (DEFAULT_REDIS, "the default")
    assert (settings.heal, settings.live_edits, settings.interval_ms) == ("auto", None, 30_000)


def test_flag_then_environment_then_file_then_git_then_what_up_left(repo, tmp_path):
    """Each in turn is taken away, and the next one counts."""
    config = tmp_path / "host.toml"
    config.write_text('redis = "redis://file/0"\n')
    repo.git("config", "luasprocs.redis", "redis://git/0")
    repo.write(".luasprocs/server.toml", 'redis = "redis://127.0.0.1:7777/0"\n')
    flags: dict[str, object] = {"redis": "redis://flag/0", "config": str(config)}
    environ = {"LUASPROCS_REDIS": "redis://environ/0"}

    def found():
        settings = host_settings(flags, environ)
        return settings.redis, settings.source("redis")

    assert found() == ("redis://flag/0", "--redis")
    flags["redis"] = None
    assert found() == ("redis://environ/0", "LUASPROCS_REDIS")
    environ["LUASPROCS_REDIS"] = ""
    assert found() == ("redis://file/0", f"{config}: redis")
    del flags["config"]
    assert found() == ("redis://git/0", "git config luasprocs.redis")
    repo.git("config", "--unset", "luasprocs.redis")
    assert found() == ("redis://127.0.0.1:7777/0", f"{repo.path}/.luasprocs/server.toml: redis")
    (repo.path / ".luasprocs" / "server.toml").unlink()
    assert found() == (DEFAULT_REDIS, "the default")


@pytest.mark.usefixtures("repo")
def test_every_setting_has_its_type():
    environ = {
        "LUASPROCS_REDIS": "unix:///run/redis.sock?db=3",
        "LUASPROCS_NAMESPACE": "shop",
        "LUASPROCS_REPO": "sub",
        "LUASPROCS_DEBUG": "yes",
        "LUASPROCS_BRANCH": "live",
        "LUASPROCS_HEAL": "warn",
        "LUASPROCS_LIVE_EDITS": "keep",
        "LUASPROCS_INTERVAL": "1m30s",
        "LUASPROCS_PORT": "tcp://10.0.0.1:6379",  # Kubernetes makes such
    }
    settings = host_settings({}, environ)
    assert (settings.redis, settings.namespace, settings.repo) == ("unix:///run/redis.sock?db=3", "shop", Path("sub"))
    assert (settings.debug, settings.branch, settings.heal) == (True, "live", "warn")
    assert (settings.live_edits, settings.interval_ms) == ("keep", 90_000)
    assert host_settings({"namespace": "", "debug": False}, environ).namespace == ""


def test_git_s_spelling_of_a_name_will_do(repo):
    repo.git("config", "luasprocs.liveEdits", "revert")
    assert host_settings({}, {}).live_edits == "revert"
    repo.git("config", "--unset", "luasprocs.liveEdits")
    repo.git("config", "luasprocs.Live-Edits", "keep")
    assert host_settings({}, {}).live_edits == "keep"


def test_git_is_asked_in_the_repository_that_is_named(repo, tmp_path):
    other = GitRepo(tmp_path / "other")
    other.git("config", "luasprocs.heal", "warn")
    assert host_settings({}, {}).heal == "auto"
    assert host_settings({"repo": str(other.path)}, {}).heal == "warn"
    repo.git("config", "luasprocs.repo", str(other.path))
    assert host_settings({}, {}).repo == other.path


def test_what_up_left_is_found_from_below_but_not_from_outside(repo, tmp_path, monkeypatch):
    (tmp_path / ".luasprocs").mkdir()
    (tmp_path / ".luasprocs" / "server.toml").write_text('redis = "redis://127.0.0.1:6666/0"')
    monkeypatch.chdir(repo.path / "sub")
    assert host_settings({}, {}).redis == DEFAULT_REDIS
    repo.write(".luasprocs/server.toml", 'redis = "redis://127.0.0.1:7777/0"')
    assert host_settings({}, {}).redis == "redis://127.0.0.1:7777/0"
    assert host_settings({"repo": str(repo.path)}, {}).redis == "redis://127.0.0.1:7777/0"


def test_a_committed_server_file_sends_nobody_to_another_machine(repo):
    repo.write(".luasprocs/server.toml", 'redis = "redis://evil.example:6379/0"')
    with pytest.raises(SettingsError, match=r"server\.toml names a server on another machine"):
        host_settings({}, {})
    assert host_settings({"redis": "redis://mine/0"}, {}).redis == "redis://mine/0"


@pytest.mark.parametrize(
    ("flags", "environ", "said"),
    [
        ({"redis": "localhost:6379"}, {}, r"^--redis: the Redis URL can't be used"),
        ({}, {"LUASPROCS_REDIS": "http://:secret@h/"}, r"^LUASPROCS_REDIS: the Redis URL can't be used"),
        ({}, {"LUASPROCS_NAMESPACE": "a b"}, r"^LUASPROCS_NAMESPACE: namespace 'a b' can't be used"),
        ({}, {"LUASPROCS_HEAL": "atuo"}, r"^LUASPROCS_HEAL: 'atuo' is not one of auto, warn; did you mean 'auto'"),
        (
            {},
            {"LUASPROCS_ALLOW": "clib"},
            r"^LUASPROCS_ALLOW: 'clib' is not one of exec, clibs, unconfined; did you mean 'clibs'\?$",
        ),
        ({}, {"LUASPROCS_LIVE_EDITS": "x"}, r"^LUASPROCS_LIVE_EDITS: 'x' is not one of commit, keep, revert"),
        ({}, {"LUASPROCS_INTERVAL": "30"}, r"^LUASPROCS_INTERVAL: '30' is not a duration, like 30s"),
        ({}, {"LUASPROCS_DEBUG": "maybe"}, r"^LUASPROCS_DEBUG: 'maybe' is neither yes nor no"),
        ({"config": "/nowhere/x.toml"}, {}, r"^'/nowhere/x.toml' can't be read: No such file"),
    ],
)
@pytest.mark.usefixtures("repo")
def test_a_value_that_cannot_be_used_names_who_set_it(flags, environ, said):
    with pytest.raises(SettingsError, match=said) as caught:
        host_settings(flags, environ)
    assert "secret" not in str(caught.value)


def test_a_mistyped_setting_names_the_nearest(repo, tmp_path):
    config = tmp_path / "host.toml"
    config.write_text('redsi = "x"')
    with pytest.raises(SettingsError, match=r"host\.toml: redsi: unknown setting; did you mean 'redis'"):
        host_settings({"config": str(config)}, {})
    repo.git("config", "luasprocs.redsi", "x")
    with pytest.raises(SettingsError, match=r"^git config luasprocs\.redsi: unknown setting; did you mean 'redis'"):
        host_settings({}, {})


@pytest.mark.usefixtures("repo")
def test_a_password_is_in_no_text_of_the_settings():
    settings = host_settings({"redis": "rediss://ann:secret@h:1/0?password=secret2"}, {})
    assert settings.redis == "rediss://ann:secret@h:1/0?password=secret2"
    assert "secret" not in f"{settings} {settings!r} {settings.redis_shown}"
    assert settings.redis_shown == "rediss://ann:***@h:1/0"


def test_settings_load_neither_git_nor_redis_nor_rich():
    code = "import sys, sync.settings; print([name for name in ('git', 'redis', 'rich', 'click', 'lupa') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
