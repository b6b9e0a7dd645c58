"""Files that are being written are taken as they were before: editors empty them first, or move them away."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from luasprocs.errors import RepositoryError
from sync.git.worktree import OnDisk, Saved, read_saved, when_settled

if TYPE_CHECKING:
    from pathlib import Path

OLD = b"return 'old'"
NEW = b"return 'new'"


class Files:
    """A folder whose `.lua` files are read again and again."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self._saved = Saved("sha1")

    def write(self, name: str, source: bytes, *, ago_s: float = 3600.0) -> Path:
        """A file that was written that long ago; its folder, too."""
        path = self.top / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source)
        for one in (path, path.parent):
            changed(one, ago_s)
        return path

    def look(self, *gone: str) -> tuple[dict[str, bytes], str]:
        """What is seen, and what is moving. `gone`: what git lists all the same."""
        names = {str(path.relative_to(self.top)) for path in self.top.rglob("*.lua")}
        found = self._saved.read(self.top, {*names, *gone}, ".lua", 100)
        return {entry.path: found.sources[entry.blob] for entry in found.entries}, found.moving


def changed(path: Path, ago_s: float) -> None:
    os.utime(path, (time.time() - ago_s, time.time() - ago_s))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Times are such that only a machine that stands still for a minute would tell another story."""
    monkeypatch.setattr("sync.git.worktree.SETTLED_S", 60.0)
    monkeypatch.setattr("sync.git.worktree.EMPTY_SETTLED_S", 600.0)
    monkeypatch.setattr("sync.git.worktree.GONE_SETTLED_S", 60.0)
    monkeypatch.setattr("sync.git.worktree.RACY_S", 120.0)
    return Files(tmp_path)


@pytest.mark.parametrize(("half", "ago_s"), [(b"", 0), (b"", 300), (b"return 'ne", 0)])
def test_a_file_that_is_being_written_is_as_it_was_and_the_others_are_as_they_are(files, half, ago_s):
    files.write("a.lua", OLD)
    files.write("b.lua", OLD)
    assert files.look() == ({"a.lua": OLD, "b.lua": OLD}, "")
    for _ in range(3):
        files.write("a.lua", half, ago_s=ago_s)
        files.write("b.lua", NEW)
        assert files.look() == ({"a.lua": OLD, "b.lua": NEW}, "a.lua")
    files.write("a.lua", NEW)
    assert files.look() == ({"a.lua": NEW, "b.lua": NEW}, "")
    files.write("a.lua", b"", ago_s=700)
    assert files.look() == ({"a.lua": b"", "b.lua": NEW}, "")


def test_a_file_that_is_written_for_the_first_time_is_not_there_before_it_is_all_there(files):
    files.write("a.lua", b"retu", ago_s=0)
    assert files.look() == ({}, "a.lua")
    files.write("a.lua", NEW)
    assert files.look() == ({"a.lua": NEW}, "")


def test_a_file_that_is_moved_away_to_be_saved_is_still_there(files):
    path = files.write("sub/a.lua", OLD)
    files.look()
    # Read once more, as one that was touched.
    files.write("sub/a.lua", OLD, ago_s=100)
    assert files.look() == ({"sub/a.lua": OLD}, "")
    path.rename(files.top / "away")
    assert files.look() == ({"sub/a.lua": OLD}, "sub/a.lua")
    files.write("sub/a.lua", NEW)
    assert files.look() == ({"sub/a.lua": NEW}, "")


def test_a_folder_that_is_moved_away_is_still_there(files):
    files.write("sub/a.lua", OLD)
    files.look()
    (files.top / "sub").rename(files.top / "away")
    (files.top / "away" / "a.lua").unlink()
    assert files.look() == ({"sub/a.lua": OLD}, "sub/a.lua")
    changed(files.top, 3600)
    assert files.look() == ({}, "")


def test_a_file_that_is_deleted_is_gone_after_a_moment(files, monkeypatch):
    files.write("a.lua", OLD)
    files.write("b.lua", OLD)
    files.look()
    (files.top / "a.lua").unlink()
    assert files.look("a.lua") == ({"a.lua": OLD, "b.lua": OLD}, "a.lua")
    changed(files.top, 100)
    assert files.look("a.lua") == ({"b.lua": OLD}, "")
    # Others that come and go in its folder make it no other story.
    monkeypatch.setattr("sync.git.worktree.GONE_SETTLED_S", 1e-9)
    changed(files.top, 0)
    assert files.look("a.lua") == ({"b.lua": OLD}, "")


def test_the_first_look_waits_for_what_git_lists_and_was_there_just_now(files):
    files.write("b.lua", OLD, ago_s=0)
    changed(files.top / "b.lua", 3600)
    assert files.look("a.lua") == ({"b.lua": OLD}, "a.lua")


def test_what_was_written_just_now_is_read_again_though_it_looks_the_same(files):
    path = files.write("a.lua", OLD, ago_s=100)
    looks = path.stat()
    files.look()
    path.write_bytes(NEW)
    os.utime(path, ns=(looks.st_atime_ns, looks.st_mtime_ns))
    assert files.look() == ({"a.lua": NEW}, "")


def test_a_clock_that_was_set_holds_nothing_up(files):
    files.write("a.lua", NEW, ago_s=-86_400)
    assert files.look() == ({"a.lua": NEW}, "")


def test_what_settles_is_waited_for_and_what_never_does_is_not(monkeypatch):
    seen = [OnDisk([], {}, "a.lua"), OnDisk([], {}, "a.lua"), OnDisk([], {})]
    assert when_settled(lambda: seen.pop(0)) == OnDisk([], {})
    monkeypatch.setattr("sync.git.worktree.PATIENCE_S", 0.0)
    with pytest.raises(RepositoryError, match=r"'a\.lua' keeps changing"):
        when_settled(lambda: OnDisk([], {}, "a.lua"))


def test_one_file_is_read_when_it_is_all_there(files, monkeypatch):
    def goes_on(_: float) -> None:
        files.write("settings", NEW)

    monkeypatch.setattr("time.sleep", goes_on)
    path = files.write("settings", b"", ago_s=0)
    assert read_saved(path, 100) == NEW
    path.unlink()
    assert read_saved(path, 100) == NEW  # it was moved away
    assert read_saved(path, 5) == NEW[:6]
    path.unlink()
    changed(files.top, 3600)
    assert read_saved(path, 100) is None
    path.symlink_to(files.write("target", OLD))
    assert read_saved(path, 100) == OLD


def test_one_file_that_can_t_be_read_is_not_taken_for_none(files):
    path = files.top / "settings"
    path.symlink_to("nowhere")
    with pytest.raises(RepositoryError, match="symlink to nothing"):
        read_saved(path, 100)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RepositoryError, match="not a regular file"):
        read_saved(path, 100)
    path.unlink()
    path.mkdir()
    with pytest.raises(RepositoryError, match="not a regular file"):
        read_saved(path, 100)
