from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import SettingsError
from luasprocs.operations.contexts import settings_file
from luasprocs_tui.settings import DEFAULT_URL, ScreenSettings, default_url, read_settings

if TYPE_CHECKING:
    from pathlib import Path


SETTINGS = """
theme = "light"

[contexts.shop]
redis = "rediss://ops:secret@shop.example.com:6380/0"
production = true
read_only = true

[contexts.local]
redis = "redis://127.0.0.1:6379/1"
namespace = "eu"

[keys]
pause = "P,f5"
run-sproc = "X"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "screen.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_settings_are_read(tmp_path: Path) -> None:
    found = read_settings(written(tmp_path, SETTINGS.replace("run-sproc", "execute")))
    shop, local = found.contexts["shop"], found.contexts["local"]
    assert (shop.production, shop.read_only, local.production) == (True, True, False)
    assert local.namespace == "eu"
    assert (found.theme, dict(found.keys)) == ("light", {"pause": "P,f5", "execute": "X"})
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("theme = 1", "theme: take one of dark, light, contrast"),
        ("themes = 'dark'", "did you mean 'theme'?"),
        ("[contexts.a]\nurl = 'redis://h'", 'contexts.a has no redis = "URL"'),
        ("[contexts.a]\nredis = 'http://h'", "contexts.a: the Redis URL can't be used"),
        ("[contexts.a]\nredis = 7", "contexts.a: take a text"),
        ("[contexts.a]\nredis = 'redis://h'\nproduction = 'yes'", "contexts.a: take true or false"),
        ("contexts = 1", "contexts is not a table"),
        ("[keys]\npaus = 'P'", "keys.paus: no such action; did you mean 'pause'?"),
        ("[keys]\npause = ''", "keys.pause: take a key"),
        ("[keys]\npause = 'e'", "keys: pause and edit both have 'e' in sprocs"),
        ("[keys]\npause = '/'", "keys: filter and pause both have '/' in sprocs"),
        ("theme = ", "can't be read"),
    ],
)
def test_what_is_wrong_in_them_is_said(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        read_settings(file)
    assert str(caught.value).startswith(str(file))
    assert said in str(caught.value)


def test_where_they_are(tmp_path: Path) -> None:
    assert settings_file({"LUASPROCS_SCREEN": "/x.toml"}).as_posix() == "/x.toml"
    assert settings_file({"XDG_CONFIG_HOME": str(tmp_path)}) == tmp_path / "luasprocs" / "screen.toml"
    assert read_settings(tmp_path / "none.toml") == ScreenSettings()


def test_the_server_of_the_nearest_folder_is_shown(tmp_path: Path):
    (tmp_path / ".luasprocs").mkdir()
    (tmp_path / "a/b").mkdir(parents=True)
    file = tmp_path / ".luasprocs/server.toml"
    file.write_text('redis = "redis://127.0.0.1:7777/3"\n')
    assert default_url(tmp_path / "a/b") == "redis://127.0.0.1:7777/3"
    for broken in ("redis = 3\n", "no toml", "\xff"):
        file.write_bytes(broken.encode("latin-1"))
        with pytest.raises(SettingsError, match=r"server\.toml"):
            default_url(tmp_path)
    file.write_text('redis = "redis://elsewhere.example.com:7777/3"\n')
    with pytest.raises(SettingsError, match="another machine"):
        default_url(tmp_path)
    file.unlink()
    assert default_url(tmp_path / "a/b") == DEFAULT_URL
