from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import SettingsError
from luasprocs.operations.local_server import SERVER_FILE, local_server, published

if TYPE_CHECKING:
    from pathlib import Path


def left(folder: Path, text: str | bytes) -> Path:
    file = folder / SERVER_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_the_nearest_one_counts(tmp_path: Path) -> None:
    assert local_server(tmp_path) is None
    (tmp_path / "a/b").mkdir(parents=True)
    file = left(tmp_path, 'redis = "redis://127.0.0.1:7777/0"')
    found = local_server(tmp_path / "a/b")
    assert found is not None
    assert (found.url, found.file) == ("redis://127.0.0.1:7777/0", file)
    nearer = left(tmp_path / "a", 'redis = "unix:///run/valkey.sock"')
    found = local_server(tmp_path / "a/b")
    assert found is not None
    assert (found.url, found.file) == ("unix:///run/valkey.sock", nearer)


def test_it_is_looked_for_up_to_the_top_of_the_repository(tmp_path: Path) -> None:
    left(tmp_path, 'redis = "redis://127.0.0.1:7777/0"')
    (tmp_path / "shop/.git").mkdir(parents=True)
    (tmp_path / "shop/lua").mkdir()
    assert local_server(tmp_path / "shop/lua") is None
    left(tmp_path / "shop", 'redis = "redis://localhost:6666/0"')
    found = local_server(tmp_path / "shop/lua")
    assert found is not None
    assert found.url == "redis://localhost:6666/0"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://127.0.0.1,evil.example/shop",
        "redis://evil.example:6379/0",
        "rediss://10.0.0.7/0",
        "redis://127.0.0.1.evil.example/0",
        "redis://[2001::1]/0",
    ],
)
def test_no_file_leads_to_another_machine(tmp_path: Path, url: str) -> None:
    file = left(tmp_path, f'redis = "{url}"')
    with pytest.raises(SettingsError, match="a server on another machine") as caught:
        local_server(tmp_path)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "text", ["redis = 3", "no toml", b"\xff", "redis = 'http://127.0.0.1'", "", "x = " + "[" * 9999]
)
def test_a_file_that_names_no_server_is_said(tmp_path: Path, text: str | bytes) -> None:
    left(tmp_path, text)
    with pytest.raises(SettingsError):
        local_server(tmp_path)


def test_what_is_published_is_found_until_its_end(tmp_path: Path) -> None:
    (tmp_path / SERVER_FILE.parent).mkdir()
    with published(tmp_path, "redis://127.0.0.1:7777/0"):
        found = local_server(tmp_path)
        assert found is not None
        assert found.url == "redis://127.0.0.1:7777/0"
    assert local_server(tmp_path) is None


def test_its_password_is_not_shown(tmp_path: Path) -> None:
    left(tmp_path, 'redis = "redis://:s3cret@127.0.0.1:7777/0"')
    assert "s3cret" not in repr(local_server(tmp_path))
