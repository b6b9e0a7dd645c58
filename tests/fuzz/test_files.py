"""Files that others wrote, headers and settings: read, or refused with a place; nothing else comes of them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from luasprocs.errors import ProblemsError, RepositoryError, SettingsError
from luasprocs.language.analysis import analyse
from luasprocs.language.header import values_of, write
from luasprocs.language.sproc import git_blob_id, read_sproc
from luasprocs.operations.terminal import in_a_line
from luasprocs_tui.settings import read_settings
from sync.repository_settings import repository_settings
from sync.settings import HostSettings, host_settings
from tests.fuzz.mutated import ANYTHING, mutated
from tests.gitrepo import SETTINGS
from tests.paths import ROOT
from tests.soak import SOAK, examples

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900 if SOAK else 180)]
SPROCS = [path.read_bytes()[:1500] for path in sorted((ROOT / "sprocs").rglob("*.lua"))] + [
    b"-- event=set\n-- key=a:*,b:?\n-- retries=3\n-- backoff=1s\n-- reentrant=yes\nreturn 1",
    b"--[[\ncron=*/5 9-17 * * MON#2\ntimezone=Europe/Zurich\nmisfire=all 1h\n]]\nreturn 1",
    b"#!lua flags=no-writes\n-- @timeout 30s\n-- @x_team a\nreturn 1",
    b"-- runasync=yes\n-- overlap=queue\n-- memory=64MB\n-- function=shop_charge\nreturn 1",
]
TOML = (
    b'folder = "lua/sprocs/"\nnamespace = "{shop}"\nowner = "billing"\nkeep_generations = 7\n'
    b'[defaults]\ntimeout = "5s"\nreadonly = true\nevalsha = "yes"\nretries = 3\nx_team = "a"\n'
)
HOST = (
    b'redis = "redis://ann:hunter2@127.0.0.1:6379/1"\nnamespace = "shop"\nremote = "https://ann:hunter2@example.com/x.git"\n'
    b'http = "127.0.0.1:9000"\nwebhook_secret = "a secret of some length"\nheal = "warn"\ninterval = "30s"\nworkers = 2\n'
    b'allow = "exec,clibs"\nwritable = "/tmp:/var/tmp"\nrequire_signed = true\nexecutions_age = "7d"\n'
)
GIT = (
    b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n[luasprocs]\n\tredis = redis://ann:hunter2@127.0.0.1:6379/1\n"
    b'\tnamespace = shop\n\twebhook-secret = "a secret of some length"\n\theal = warn\n\tinterval = 30s\n\trequire-signed\n'
    b"\tallow = exec,clibs\n[include]\n\tpath = other\n"
)
SCREEN = (
    b'theme = "dark"\n[contexts.shop]\nredis = "redis://127.0.0.1/0"\nnamespace = "shop"\nproduction = true\n'
    b'[keys]\npause = "p"\n'
)


def sound(said: str) -> None:
    """A message that can be shown in a line."""
    assert said
    assert "\n" not in in_a_line(said)
    in_a_line(said).encode()


def test_what_is_mutated_is_sound(nowhere):
    (nowhere / "host.toml").write_bytes(HOST)
    host_settings({"config": str(nowhere / "host.toml")}, {})
    (nowhere / "screen.toml").write_bytes(SCREEN)
    read_settings(nowhere / "screen.toml")
    repository_settings(TOML)
    host_settings({"repo": str(with_config(nowhere, GIT))}, {})


@examples(300)
@given(mutated(SPROCS))
def test_any_header(source):
    with contextlib.suppress(ProblemsError):
        values_of(source, "a.lua")
    try:
        sproc = read_sproc("a.lua", "sprocs/a.lua", source, git_blob_id(source))
    except ProblemsError as error:
        assert error.problems
        for one in error.problems:
            sound(str(one))
            assert 1 <= one.line <= source.count(b"\n") + source.count(b"\r") + 1
    else:
        assert sproc.values == values_of(source, "a.lua")
        assert all(value == value.strip() and "\n" not in value for value in sproc.values.values())
        for one in analyse(source, "a.lua").problems:
            sound(str(one))
        assert write(source, sproc.values, "a.lua") == source


@examples(300)
@given(mutated([TOML]))
def test_any_luasprocs_toml(source):
    try:
        repository_settings(source)
    except SettingsError as error:
        assert str(error).startswith("luasprocs.toml")
        sound(str(error))


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a repository, out of reach of the machine's settings."""
    monkeypatch.chdir(tmp_path)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@examples(60)
@given(source=mutated([HOST]))
def test_any_config_file(nowhere, source):
    file = nowhere / "host.toml"
    file.write_bytes(source)
    try:
        host_settings({"config": str(file)}, {})
    except SettingsError as error:
        sound(str(error))
        assert "hunter2" not in str(error)


def with_config(folder: Path, source: bytes) -> Path:
    """A repository there with this configuration."""
    shop = folder / "shop"
    (shop / ".git" / "objects").mkdir(parents=True, exist_ok=True)
    (shop / ".git" / "refs").mkdir(exist_ok=True)
    (shop / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (shop / ".git" / "config").write_bytes(source)
    return shop


@examples(60)
@given(source=mutated([GIT]))
@example(source=GIT.replace(b"heal", b"he-al"))  # a name counts however it is spelled
def test_any_configuration_of_git(nowhere, source):
    try:
        found = host_settings({"repo": str(with_config(nowhere, source))}, {})
    except (SettingsError, RepositoryError) as error:
        sound(str(error))
        assert "hunter2" not in str(error)
    else:
        assert found.source("heal").replace("-", "") in {"the default", "git config luasprocs.heal"}


NAMES = [f"LUASPROCS_{one.name.removesuffix('_ms').upper()}" for one in fields(HostSettings)] + [
    "LUASPROCS_X",
    "LUASPROCS_",
]
VALUES = ANYTHING.map(lambda value: os.fsdecode(value.replace(b"\0", b"")))


@examples(60)
@pytest.mark.usefixtures("nowhere")
@given(environ=st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
def test_any_environment(environ):
    try:
        host_settings({}, environ)
    except SettingsError as error:
        sound(str(error))


@examples(100)
@given(source=mutated([SCREEN]))
def test_any_settings_of_the_screen(nowhere, source):
    file = nowhere / "screen.toml"
    file.write_bytes(source)
    with contextlib.suppress(SettingsError):
        read_settings(file)
