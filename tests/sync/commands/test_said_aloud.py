"""What used to pass in silence: look-alikes of sprocs, circles of libraries, lost keys, refusals in JSON, long lists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

KEYS = Keys()


def test_files_that_look_like_sprocs(shell: Shell) -> None:
    shell.commit(a="return 1")
    (shell.repo / "sprocs" / "b.LUA").write_text("return 2\n")
    (shell.repo / "elsewhere").mkdir()
    (shell.repo / "sprocs" / "linked").symlink_to(shell.repo / "elsewhere")
    shell.git("add", "--all")
    shell.git("commit", "--quiet", "-m", "odd")
    synced = shell("sync")
    assert synced.code == 0
    assert "sprocs/b.LUA:1:1: the name ends in .LUA" in synced.err
    assert "sprocs/linked:1:1: symlinks are ignored" in synced.err
    assert shell.ok("list").rows[0][0] == "a.lua"
    staged = shell("check", "--staged")
    assert "b.LUA:1:1" in staged.err


def test_a_circle_of_libraries_is_named(shell: Shell) -> None:
    shell.write("lib/a.lua", "-- library=yes\nlocal b = require('lib/b.lua')\nreturn b")
    shell.write("lib/b.lua", "-- library=yes\nlocal c = require('lib/c.lua')\nreturn c")
    shell.write("lib/c.lua", "-- library=yes\nreturn require('lib/a.lua')")
    shell.commit(user="local a = require('lib/a.lua')\nreturn a")
    for command in (("check",), ("sync",)):
        said = shell(*command)
        assert said.code == 1
        assert re.search(r"lib/c\.lua:2:\d+: .*: lib/a\.lua -> lib/b\.lua -> lib/c\.lua -> lib/a\.lua", said.err), (
            said.err
        )


@pytest.mark.parametrize("key", [KEYS.history, KEYS.blobs])
def test_what_rollback_needs_and_is_gone(shell: Shell, key: str) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.commit(a="return 2")
    shell.ok("sync")
    assert shell.ok("status").code == 0
    shell.redis.delete(key)
    status = shell("status")
    assert status.code == 1
    assert f"{key} is missing; rollback needs it" in status.out
    assert "repaired" in shell.ok("sync").out
    shell.ok("status")


def test_plan_says_in_json_whose_registry_it_is(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.redis.hset(KEYS.revision, "owner", "f" * 40)
    shell.redis.hset(KEYS.revision, "commit", "e" * 40)
    planned = shell("plan", "--json")
    assert planned.code == 2
    assert "belong to another repository" in planned.json["refused"]
    rolled = shell("rollback", "1")
    assert rolled.code == 2
    assert "belong to another repository" in rolled.err


def test_a_long_list_is_shortened(shell: Shell) -> None:
    shell.commit(**{f"s{number:03}": f"return {number}" for number in range(120)})
    synced = shell.ok("sync").out.splitlines()
    assert len(synced) == 52
    assert synced[50] == "+ … 70 more (--verbose shows all)"
    shell.commit(**{f"s{number:03}": f"return -{number}" for number in range(120)})
    assert len(shell.ok("sync", "--verbose").out.splitlines()) == 121
