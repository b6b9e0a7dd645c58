"""`luasprocs edit`: keys of the header, the whole source in an editor, undo."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

KEYS = Keys()
EVENT = "-- event=set\n-- key=dream*\nreturn 1\n"


@pytest.fixture
def live(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.delenv("VISUAL", raising=False)
    shell.commit(a=EVENT)
    shell.ok("sync")
    return shell


def source(shell: Shell) -> bytes:
    return shell.redis.hget(KEYS.name("a.lua"), "source") or b""  # type: ignore[return-value]


def editor(shell: Shell, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """An editor that does something with the text `t`."""
    script = shell.repo.parent / "editor.py"
    script.write_text(
        f"import pathlib, sys\np = pathlib.Path(sys.argv[1])\nt = p.read_text()\n{code}\np.write_text(t)\n"
    )
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")


def test_keys_are_set_and_taken_out_and_undone(live: Shell) -> None:
    assert (
        "a.lua is edited live, generation 2" in live.ok("edit", "a.lua", "--set", "key=nap*", "--set", "timeout=2s").out
    )
    assert b"-- key=nap*\n" in source(live)
    assert live.redis.hget(KEYS.name("a.lua"), "timeout") == b"2s"
    status = live("status")
    assert "unsaved_edit edited live and not committed: a.lua by " in status.out
    assert "drift" not in status.out
    live.ok("edit", "a.lua", "--unset", "timeout")
    assert b"timeout" not in source(live)
    live.ok("edit", "a.lua", "--undo")
    assert source(live) == EVENT.encode()
    assert live("edit", "a.lua", "--undo").code == 2
    assert {one["code"] for one in live("status", "--json").json["findings"]} == {"no_daemon"}


@pytest.mark.parametrize(
    "words", [("--set", "nonsense"), ("--set", "tiemout=1s"), ("--set", "timeout=soon"), ("--undo", "--set", "key=x")]
)
def test_what_is_refused_changes_nothing(live: Shell, words: tuple[str, ...]) -> None:
    assert live("edit", "a.lua", *words).code in {1, 2}
    assert source(live) == EVENT.encode()
    assert live("edit", "none.lua", "--set", "key=x").code == 2


def test_the_whole_source_in_an_editor(live: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(live, monkeypatch, "t = t.replace('return 1', 'return 2')")
    live.ok("edit", "a.lua")
    assert source(live) == EVENT.replace("return 1", "return 2").encode()
    editor(live, monkeypatch, "")
    assert live.ok("edit", "a.lua").out == "nothing was changed\n"
    editor(live, monkeypatch, "t = 'return return'")
    broken = live("edit", "a.lua")
    assert broken.code == 1
    assert "is kept in" in broken.err
    editor(live, monkeypatch, "sys.exit(3)")
    assert live("edit", "a.lua").code == 2
    monkeypatch.setenv("EDITOR", "/nonexistent/editor")
    assert live("edit", "a.lua").code == 2


def test_a_change_meanwhile_is_shown(live: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    change = [sys.executable, "-m", "sync.cli", "--redis", live.server.url, "edit", "a.lua", "--set", "timeout=5s"]
    editor(
        live,
        monkeypatch,
        f"import subprocess\nsubprocess.run({change!r}, check=True, capture_output=True)\nt += '-- mine\\n'",
    )
    said = live("edit", "a.lua")
    assert said.code == 2
    assert "was changed meanwhile" in said.err
    assert "-- timeout=5s" in said.out
    assert "+-- mine" in said.out
    assert b"timeout=5s" in source(live)
    assert b"mine" not in source(live)
