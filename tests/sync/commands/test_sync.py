"""`luasprocs sync`: a commit becomes live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs.contract.keys import Keys
from tests.sync.commands.strange import STRANGE

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell


def test_json_has_what_scripts_rely_on(shell: Shell) -> None:
    shell.commit(a="return 1", b="return 2", c="return 3")
    shell.ok("sync")
    shell.write("d.lua")
    (shell.repo / "sprocs" / "a.lua").unlink()
    commit = shell.commit(b="return 22")

    said = shell.ok("sync", "--json").json

    assert said.pop("duration_ms") >= 0
    assert said == {
        "commit": commit,
        "generation": 2,
        "created": ["d.lua"],
        "updated": ["b.lua"],
        "deleted": ["a.lua"],
        "unchanged": 1,
        "warnings": [],
    }


def test_a_second_sync_says_in_sync_and_writes_nothing(shell: Shell) -> None:
    commit = shell.commit(a="return 1")
    first = shell.ok("sync")
    before = shell.everything()

    second = shell.ok("sync")

    assert f"synced {commit[:10]} as generation 1: 1 created" in first.out
    assert f"in sync with {commit[:10]} as generation 1" in second.out
    assert shell.everything() == before


def test_what_is_live_is_the_commit_not_the_work_tree(shell: Shell) -> None:
    shell.commit(a="return 'committed'")
    shell.write("a.lua", "return 'saved'")
    shell.write("new.lua")
    shell.ok("sync")

    assert shell.ok("execute", "a.lua").out == "committed\n"
    assert shell.ok("list").rows[0][0] == "a.lua"


def test_worktree_takes_what_is_saved(shell: Shell) -> None:
    shell.commit(a="return 'committed'")
    shell.write("a.lua", "return 'saved'")
    shell.write("new.lua")

    assert shell.ok("sync", "--worktree", "--json").json["created"] == ["a.lua", "new.lua"]
    assert shell.ok("execute", "a.lua").out == "saved\n"


def test_revision_takes_any_commit(shell: Shell) -> None:
    old = shell.commit(a="return 'old'")
    shell.git("tag", "v1")
    shell.commit(a="return 'new'")
    for revision in ("v1", "HEAD~1", old[:12]):
        shell.ok("sync")
        assert shell.ok("sync", "--revision", revision, "--json").json["commit"] == old
        assert shell.ok("execute", "a.lua").out == "old\n"


def test_revision_and_worktree_together_are_refused(shell: Shell) -> None:
    shell.commit(a="return 1")
    result = shell("sync", "--revision", "HEAD", "--worktree")
    assert result.code == 2
    assert "give one of them" in result.err


def test_an_unknown_revision_is_refused_by_name(shell: Shell) -> None:
    shell.commit(a="return 1")
    result = shell("sync", "--revision", "relase-1")
    assert result.code == 2
    assert "relase-1" in result.err
    assert result.err.count("\n") == 1
    assert not shell.redis.keys("*")


def test_no_prune_keeps_what_the_commit_dropped(shell: Shell) -> None:
    shell.commit(a="return 1", b="return 2")
    shell.ok("sync")
    (shell.repo / "sprocs" / "b.lua").unlink()
    shell.commit()

    assert shell.ok("sync", "--no-prune", "--json").json["deleted"] == []
    assert shell.ok("execute", "b.lua").out == "2\n"
    assert shell.ok("sync", "--json").json["deleted"] == ["b.lua"]
    assert shell("execute", "b.lua").code == 2


def test_zero_files_remove_nothing_unless_prune_all(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.git("mv", "sprocs/a.lua", "sprocs/a.txt")
    shell.commit()
    before = shell.everything()

    refused = shell("sync")
    assert refused.code == 2
    assert "--prune-all" in refused.err
    assert shell.everything() == before

    assert shell.ok("sync", "--prune-all", "--json").json["deleted"] == ["a.lua"]
    assert shell.ok("list").out == ""


def test_a_vanished_folder_removes_nothing_unless_prune_all(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.git("rm", "-q", "sprocs/a.lua")  # the last file of the folder, which git then has no more
    shell.commit()
    before = shell.everything()

    refused = shell("sync")
    assert refused.code == 2
    assert "no folder 'sprocs'" in refused.err
    assert "1 are live" in refused.err
    assert "--prune-all" in refused.err
    assert shell.everything() == before
    assert shell("status").code == 1

    assert shell.ok("sync", "--prune-all", "--json").json["deleted"] == ["a.lua"]
    assert shell.ok("list").out == ""
    assert shell.ok("status", "--json").json["in_sync"]
    assert "in sync with" in shell.ok("sync").out


def test_a_folder_that_never_was_is_a_mistake_even_with_prune_all(shell: Shell) -> None:
    shell.git("commit", "--allow-empty", "-qm", "nothing")
    for options in ((), ("--prune-all",)):
        refused = shell("sync", *options)
        assert refused.code == 2
        assert "luasprocs.toml" in refused.err
        assert not shell.redis.keys("*")


def test_what_stands_in_the_folders_place_removes_nothing_even_with_prune_all(shell: Shell) -> None:
    shell.commit(a="return 1")
    shell.ok("sync")
    shell.git("mv", "sprocs", "lua")
    (shell.repo / "sprocs").symlink_to("lua")
    shell.commit()
    assert shell("sync", "--prune-all").code == 2
    assert shell.ok("execute", "a.lua").out == "1\n"


def test_a_repository_without_a_commit_is_refused(shell: Shell) -> None:
    result = shell("sync")
    assert result.code == 2
    assert "commit" in result.err
    assert result.err.count("\n") == 1


def test_outside_any_repository_says_so(shell: Shell, monkeypatch) -> None:
    monkeypatch.chdir(shell.repo.parent)
    result = shell("sync")
    assert result.code == 2
    assert "repository" in result.err
    assert result.err.count("\n") == 1


def test_another_repository_is_refused_until_it_adopts(shell: Shell) -> None:
    shell.commit(a="return 'mine'")
    shell.ok("sync")
    before = shell.everything()
    shell.git("checkout", "-q", "--orphan", "stranger")
    shell.git("commit", "-qm", "another root")
    shell.git("branch", "-D", "main")
    shell.git("reflog", "expire", "--expire=now", "--all")
    shell.git("gc", "-q", "--prune=now")
    shell.commit(a="return 'theirs'")

    for command in ("sync", "plan"):
        refused = shell(command)
        assert refused.code == 2
        assert "--adopt" in refused.err
        assert shell.everything() == before

    shell.ok("sync", "--adopt")
    assert shell.ok("execute", "a.lua").out == "theirs\n"
    shell.ok("sync")


def test_every_problem_is_listed_at_once_and_nothing_is_applied(shell: Shell) -> None:
    shell.commit(good="return 1")
    shell.ok("sync")
    before = shell.everything()
    shell.commit(
        good="return 2",
        header="-- evnt=set\nreturn 1",
        syntax="return 1\nlocal = 2",
        value="-- a\n-- event=get\nreturn 1",
        bom=b"\xef\xbb\xbfreturn 1",
        nul=b"return 1\0",
        latin=b"return '\xe4'",
    )

    for command in ("sync", "plan"):
        refused = shell(command)
        lines = refused.err.splitlines()
        assert refused.code == 1
        assert refused.out == ""
        assert lines[-1] == "luasprocs: 6 problems found"
        places = [line.split(": ")[0] for line in lines[:-1]]
        assert "sprocs/header.lua:1:4" in places
        assert any(place.startswith("sprocs/syntax.lua:2:") for place in places)
        assert "sprocs/value.lua:2:10" in places
        assert {place.split(":")[0] for place in places} == {
            f"sprocs/{name}.lua" for name in ("header", "syntax", "value", "bom", "nul", "latin")
        }
        assert "'event'" in refused.err  # the nearest right key
        assert shell.everything() == before


def test_names_with_spaces_quotes_globs_and_emoji_work_all_the_way(shell: Shell) -> None:
    for number, name in enumerate(STRANGE):
        shell.write(name, f"return {number}\n")
    shell.commit()
    shell.ok("sync")
    for name in STRANGE:
        shell.write(name, "return 'changed'\n")
    shell.commit()

    assert shell.ok("sync", "--json").json["updated"] == sorted(STRANGE)
    for name in STRANGE:
        assert shell.ok("execute", name).out == "changed\n"
        assert shell.redis.hget(Keys().name(name), "source") == b"return 'changed'\n"
    shell.ok("rollback")
    for number, name in enumerate(STRANGE):
        assert shell.ok("execute", name).out == f"{number}\n"
    assert [row[0] for row in shell.ok("list").rows] == sorted(STRANGE)


def test_sync_heals_what_hands_and_flushes_did(shell: Shell) -> None:
    shell.commit(a="return 'right'", b="return 2")
    shell.ok("sync")
    client = shell.redis
    harms = {
        "edited": lambda: client.hset(Keys().name("a.lua"), "source", "return 'wrong'"),
        "removed": lambda: client.delete(Keys().name("a.lua")),
        "wrong type": lambda: (client.delete(Keys().name("a.lua")), client.set(Keys().name("a.lua"), "x")),
        "list": lambda: client.delete(Keys().list),
        "engine": lambda: client.execute_command("FUNCTION", "FLUSH"),
        "data": client.flushall,
        "all": lambda: (client.flushall(), client.execute_command("FUNCTION", "FLUSH")),
    }
    for what, harm in harms.items():
        harm()
        assert shell("status").code == 1, what
        assert shell("plan").code == 1, what
        shell.ok("sync")
        assert shell.ok("execute", "a.lua").out == "right\n", what
        assert shell.ok("status", "--json").json["in_sync"], what


def test_whatever_repairs_what_was_changed_by_hand_says_so_and_marks_it(shell: Shell) -> None:
    shell.commit(a="return 1\n")
    shell.ok("sync")
    key = Keys().name("a.lua")
    shell.redis.hset(key, "source", "return 'by hand'\n")
    assert "! repaired: a.lua was changed by hand" in shell.ok("sync").out
    shell.redis.hset(key, "source", "return 'by hand'\n")
    shell.commit(b="return 2\n")
    shell.ok("sync")
    shell.redis.hset(key, "source", "return 'by hand'\n")
    assert "repaired: a.lua" in shell("daemon", "--once").err
    shell.redis.delete(Keys().revision)
    shell.ok("sync")
    marks = [row[-1].partition(" (")[2] for row in shell.ok("history").rows]
    assert marks == ["repaired the engine runs generation 4, not 0)", *["repaired a.lua)"] * 3, ""]


def test_the_stored_sha_is_what_script_load_answers(shell: Shell) -> None:
    shell.commit(a="-- ä\nreturn 1")
    shell.ok("sync")
    sha = shell.redis.script_load("-- ä\nreturn 1")
    assert shell.redis.hget(Keys().name("a.lua"), "sha") == (sha.encode() if isinstance(sha, str) else sha)


def test_a_line_that_only_looks_like_a_key_is_told(shell: Shell) -> None:
    shell.commit(a="-- event = set\nreturn 1")
    done = shell.ok("sync")
    assert "! sprocs/a.lua:1:4: " in done.out
    assert "event=set" in done.out
    assert shell.ok("sync").out.count("!") == 0
