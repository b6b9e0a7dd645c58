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
    monkeypatch.setenv("XDG_STATE_HOME", str(shell.repo.parent / "state"))
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
    assert "unsaved_edit live edits that are not committed: a.lua by " in status.out
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
    assert "is saved in" in broken.err
    editor(live, monkeypatch, "sys.exit(3)")
    assert live("edit", "a.lua").code == 2
    monkeypatch.setenv("EDITOR", "/nonexistent/editor")
    assert live("edit", "a.lua").code == 2
    editor(live, monkeypatch, "assert t == 'return return'")
    unchanged = live("edit", "a.lua")
    assert (unchanged.code, unchanged.out) == (0, "nothing was changed\n")
    assert "this is your draft of before" in unchanged.err
    editor(live, monkeypatch, "t = 'return 3'")
    assert "edited live" in live("edit", "a.lua").out
    assert source(live) == b"return 3"
    editor(live, monkeypatch, "assert t == 'return 3'")
    assert live.ok("edit", "a.lua").out == "nothing was changed\n"


def test_what_an_editor_that_failed_has_saved_is_kept_in_private(live: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(live, monkeypatch, "p.write_text('return 7'); sys.exit(3)")
    assert live("edit", "a.lua").code == 2
    files = [path for path in (live.repo.parent / "state").rglob("*") if path.is_file()]
    assert [path.read_text() for path in files] == ["return 7"]
    assert files[0].stat().st_mode & 0o777 == 0o600
    drafts = live.repo.parent / "state" / "luasprocs" / "drafts"
    assert all(one.stat().st_mode & 0o777 == 0o700 for one in (drafts, *drafts.rglob("*")) if one.is_dir())
    assert source(live) == EVENT.encode()
    live.ok("edit", "a.lua", "--drop")
    assert not [path for path in drafts.rglob("*") if path.is_file()]


def test_a_draft_replaces_what_it_was_made_on_and_nothing_else(live: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(live, monkeypatch, "t = 'return return'")
    assert live("edit", "a.lua").code == 1
    live.ok("edit", "a.lua", "--set", "timeout=5s")  # a colleague's
    editor(live, monkeypatch, "t = 'return 9'")
    said = live("edit", "a.lua")
    assert said.code == 2
    assert "changed meanwhile" in said.err
    assert b"timeout=5s" in source(live)
    editor(live, monkeypatch, "assert t == 'return 9'")
    assert live("edit", "a.lua").out == "nothing was changed\n"
    assert b"timeout=5s" in source(live)


def test_an_edit_that_git_has_overtaken_waits_and_is_merged(live: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "local a = 1\nlocal b = 2\nlocal c = 3\nlocal d = 4\nreturn a\n"
    live.commit(a=long)
    live.ok("sync")
    editor(live, monkeypatch, "t = t.replace('return a', 'return d')")
    live.ok("edit", "a.lua")
    assert live("edit", "--merge", "a.lua").code == 2  # nothing to merge
    theirs = long.replace("local a = 1", "local a = 7")
    commit = live.commit(a=theirs)
    synced = live.ok("sync")
    assert "kept the live edit of a.lua (git has changed it, too" in synced.out
    assert source(live) == long.replace("return a", "return d").encode()
    assert "edited live, not committed, and git has changed it, too: a.lua" in live("plan").out
    live.ok("edit", "--merge", "a.lua")
    both = theirs.replace("return a", "return d").encode()
    assert source(live) == both
    live.ok("sync")
    assert (source(live), live.redis.hget(KEYS.revision, "commit")) == (both, commit.encode())
    live.ok("edit", "--undo", "a.lua")
    assert source(live) == theirs.encode()


def test_where_both_changed_a_line_somebody_decides(live: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(live, monkeypatch, "t = t.replace('return 1', 'return 2')")
    live.ok("edit", "a.lua")
    live.commit(a=EVENT.replace("return 1", "return 3"))
    live.ok("sync")
    editor(live, monkeypatch, "assert '<<<<<<< live' in t and 'return 3' in t")
    undecided = live("edit", "--merge", "a.lua")
    assert (undecided.code, source(live)) == (2, EVENT.replace("return 1", "return 2").encode())
    assert "marks of a conflict" in undecided.err
    assert "is saved in" in undecided.err
    live.ok("edit", "--drop", "a.lua")
    editor(live, monkeypatch, f"t = {EVENT.replace('return 1', 'return 23')!r}")
    live.ok("edit", "--merge", "a.lua")
    assert source(live) == EVENT.replace("return 1", "return 23").encode()
    live.ok("sync", "--discard-edits")
    assert source(live) == EVENT.replace("return 1", "return 3").encode()


def test_an_edit_of_what_git_has_deleted_waits(live: Shell) -> None:
    live.commit(b="return 1")
    live.ok("sync")
    live.ok("edit", "a.lua", "--set", "timeout=5s")
    (live.repo / "sprocs" / "a.lua").unlink()
    live.commit()
    assert "kept the live edit of a.lua" in live.ok("sync").out
    assert b"timeout=5s" in source(live)
    assert live("edit", "--merge", "a.lua").code == 2
    live.ok("sync", "--discard-edits")
    assert source(live) == b""


@pytest.mark.wording
def test_a_draft_is_open_in_one_editor(live: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    again = [sys.executable, "-m", "sync.cli", "--redis", live.server.url, "edit", "a.lua"]
    editor(
        live,
        monkeypatch,
        "import os, subprocess\nquiet = {**os.environ, 'EDITOR': 'true'}\n"
        f"second = subprocess.run({again!r}, env=quiet, capture_output=True, text=True)\n"
        "t = 'return ' + repr((second.returncode, 'another editor' in second.stderr))[1:-1]",
    )
    live.ok("edit", "a.lua")
    assert source(live) == b"return 2, True"
    assert not [*(live.repo.parent / "state").rglob("*.lock")]


def test_a_change_meanwhile_is_shown(live: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    change = [sys.executable, "-m", "sync.cli", "--redis", live.server.url, "edit", "a.lua", "--set", "timeout=5s"]
    editor(
        live,
        monkeypatch,
        f"import subprocess\nsubprocess.run({change!r}, check=True, capture_output=True)\nt += '-- mine\\n'",
    )
    said = live("edit", "a.lua")
    assert said.code == 2
    assert "changed meanwhile" in said.err
    assert "-- timeout=5s" in said.out
    assert "+-- mine" in said.out
    assert b"timeout=5s" in source(live)
    assert b"mine" not in source(live)
