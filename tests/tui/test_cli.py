from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs_tui.cli import run

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


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--context", "nowhere"], "there is no context 'nowhere': take one of shop, local"),
        (["--context", "shop", "--redis", "redis://h"], "not both"),
        (["--theme", "pink"], "there is no theme 'pink'"),
    ],
)
def test_bad_arguments(
    args: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUASPROCS_SCREEN", str(written(tmp_path, SETTINGS.replace("run-sproc", "execute"))))
    monkeypatch.delenv("LUASPROCS_REDIS", raising=False)
    assert run(args) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "args",
    [
        ["--redis", "http://x"],
        ["--redis", "redis://u:s3cret@h:port"],
        ["--namespace", "a b"],
        ["--nonsense"],
        ["extra"],
    ],
)
def test_bad_arguments_end_with_2_and_one_line(args: list[str], capsys: pytest.CaptureFixture[str]):
    assert run(args) == 2
    said = capsys.readouterr().err
    assert said.startswith("luasprocs-tui: ")
    assert said.count("\n") == 1
    assert "s3cret" not in said


def test_help_and_version_need_no_server(capsys: pytest.CaptureFixture[str]):
    assert run(["--help"]) == 0
    assert "LUASPROCS_REDIS" in capsys.readouterr().out


def test_in_a_pipe_it_says_what_to_use(capsys: pytest.CaptureFixture[str]):
    assert run([]) == 2
    assert "luasprocs list" in capsys.readouterr().err


def test_a_command_that_is_none_is_said() -> None:
    assert run(["--command", "nonsense"]) == 2
