"""`luasprocs plan`: what sync would do; it writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from luasprocs.operations.identity import user_at_host

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell


def changed_repository(shell: Shell) -> str:
    """One live sproc to update, one to delete, one to keep, one to create. The commit's id."""
    shell.commit(a="return 1\n", b="return 2\n", c="return 3\n")
    shell.ok("sync")
    (shell.repo / "sprocs" / "b.lua").unlink()
    return shell.commit(a="return 11\n", d="return 4\n")


@pytest.mark.parametrize("live", [False, True])
def test_it_writes_nothing_not_even_the_engine(shell: Shell, live: bool) -> None:
    if live:
        changed_repository(shell)
    else:
        shell.commit(a="return 1")
    before = shell.everything()

    assert shell("plan").code == 1
    assert shell("plan", "--json").code == 1

    assert shell.everything() == before
    assert live or shell.redis.execute_command("FUNCTION", "LIST") == []


def test_json_has_what_scripts_rely_on(shell: Shell) -> None:
    commit = changed_repository(shell)

    said = shell("plan", "--json").json

    assert said.pop("duration_ms") >= 0
    wanted = {"created": ["d.lua"], "updated": ["a.lua"], "deleted": ["b.lua"], "unchanged": 1}
    assert said == said | {"commit": commit, "generation": 1, **wanted}


def test_a_plan_is_a_unified_diff(shell: Shell) -> None:
    changed_repository(shell)

    said = shell("plan")

    assert said.err == ""
    assert said.out.splitlines() == [
        *("--- live/a.lua", "+++ git/a.lua", "@@ -1 +1 @@", "-return 1", "+return 11"),
        *("--- live/b.lua", "+++ /dev/null", "@@ -1 +0,0 @@", "-return 2"),
        *("--- /dev/null", "+++ git/d.lua", "@@ -0,0 +1 @@", "+return 4"),
        "1 to create, 1 to update, 1 to delete, 1 unchanged",
    ]


def test_nothing_to_do_is_said_and_ends_with_0(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    assert shell.ok("plan").out == "nothing to do: 1 unchanged\n"
    assert shell.ok("plan", "--json").json["unchanged"] == 1


def test_revision_and_worktree_say_what_would_be_compared(shell: Shell) -> None:
    shell.commit(a="return 1\n")
    shell.ok("sync")
    shell.commit(a="return 2\n")
    shell.write("a.lua", "return 3\n")

    assert "+return 2" in shell("plan").out
    assert "+return 3" in shell("plan", "--worktree").out
    assert shell("plan", "--revision", "HEAD~1").code == 0


def test_an_edit_by_hand_is_told_from_a_change_in_git(shell: Shell) -> None:
    shell.commit(a="return 1\n")
    shell.ok("sync")
    shell.redis.hset("__*_Sproc_Name_a.lua", "source", "return 'by hand'\n")

    said = shell("plan")

    assert said.code == 1
    assert "! changed by hand: a.lua" in said.out
    assert "-return 'by hand'" in said.out


def test_it_says_what_sync_would_refuse(shell: Shell) -> None:
    shell.commit(**{f"s{number}": "return 1" for number in range(9)})
    shell.ok("sync")
    shell.git("rm", "-q", *(f"sprocs/s{number}.lua" for number in range(5)))
    shell.commit()
    shell.git("tag", "few")
    shell.git("rm", "-rq", "sprocs")
    shell.commit()
    before = shell.everything()

    for revision, why in (("few", "remove 5 of 9"), ("HEAD", "no folder 'sprocs'")):
        said = shell("plan", "--revision", revision)
        assert said.code == 1
        assert said.err.startswith("luasprocs: warning: sync would refuse: ")
        assert why in said.err
        assert "-return 1" in said.out
        assert why in shell("plan", "--revision", revision, "--json").json["refused"]
        assert why in shell("sync", "--revision", revision).err

        allowed = shell("plan", "--revision", revision, "--prune-all", "--json")
        assert (allowed.code, allowed.err, allowed.json["refused"]) == (1, "", None)
        kept = shell("plan", "--revision", revision, "--no-prune", "--json")
        assert (kept.code, kept.err, kept.json["refused"], kept.json["deleted"]) == (0, "", None, [])
    assert shell.everything() == before


def test_what_is_refused_while_syncs_are_suspended(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("suspend", "a", "freeze")
    said = shell("plan", "--json")
    assert (said.code, said.json["created"]) == (1, ["a.lua"])
    assert said.json["refused"].startswith(f"syncs are suspended by {user_at_host()}: a freeze")
    assert "sync would refuse: syncs are suspended" in shell("plan").err
    shell.ok("unsuspend")
    assert shell("plan", "--json").json["refused"] is None


@pytest.mark.parametrize(
    ("setting", "value", "why"), [("maxmemory", "1", "OOM"), ("min-replicas-to-write", "1", "NOREPLICAS")]
)
def test_what_is_refused_while_the_server_takes_no_writes(shell: Shell, setting: str, value: str, why: str) -> None:
    shell.commit(a="return 1")
    shell.redis.config_set(setting, value)
    try:
        said = shell("plan", "--json")
        assert (said.code, said.json["created"]) == (1, ["a.lua"])
        assert why in said.json["refused"]
        assert shell("sync").code == 2
    finally:
        shell.redis.config_set(setting, "0")
    assert shell("plan", "--json").json["refused"] is None


def test_names_of_other_libraries_are_refused_as_by_sync(shell: Shell) -> None:
    shell.redis.function_load("#!lua name=other\nredis.register_function('theirs', function() return 7 end)")
    shell.commit(a="-- function=theirs\nreturn 1", b="-- function=mine\nreturn 1")
    for command in ("plan", "sync"):
        said = shell(command)
        assert said.code == 1
        assert said.err.splitlines()[0].startswith("sprocs/a.lua:1:13: function theirs belongs to the library other")
    shell.redis.function_delete("other")
    shell.ok("sync")
    shell.commit(a="-- function=MINE\nreturn 1")
    assert shell("plan").err.startswith("sprocs/a.lua:1:13: function MINE is b.lua's already")


def test_a_library_in_the_engines_place_is_refused_as_by_sync(shell: Shell) -> None:
    shell.redis.function_load("#!lua name=luasprocs\nredis.register_function('theirs', function() return 7 end)")
    shell.commit(a="return 1")
    assert [shell(command).code for command in ("plan", "sync")] == [2, 2]
    assert "another function library" in shell("plan", "--json").json["refused"]
    assert shell("plan", "--adopt").code == 1
