"""`luasprocs rollback` and `history`: what was live, and back to it without git."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell


def three_generations(shell: Shell) -> list[str]:
    """Commits live one after the other; a.lua answers its generation."""
    commits = []
    for number in (1, 2, 3):
        commits.append(shell.commit(**{"a": f"return {number}", f"only{number}": "return 'x'"}))
        shell.ok("sync")
    return commits


def test_a_second_rollback_undoes_the_first(shell: Shell) -> None:
    three_generations(shell)
    for answer in ("2", "3", "2"):
        shell.ok("rollback")
        assert shell.ok("execute", "a.lua").out == f"{answer}\n"


def test_back_to_any_generation_without_git(shell: Shell) -> None:
    first, *_ = three_generations(shell)
    shutil.rmtree(shell.repo / ".git")

    said = shell.ok("rollback", "1", "--json").json

    assert said.pop("duration_ms") >= 0
    assert said == {
        "commit": first,
        "generation": 4,
        "unchanged": 1,
        "created": [],
        "updated": ["a.lua"],
        "deleted": ["only2.lua", "only3.lua"],
        "warnings": [],
    }
    assert shell.ok("execute", "a.lua").out == "1\n"
    assert [row[0] for row in shell.ok("list").rows] == ["a.lua", "only1.lua"]


def test_an_unknown_generation_changes_nothing(shell: Shell) -> None:
    three_generations(shell)
    before = shell.everything()
    for wanted in ("99", "3"):
        refused = shell("rollback", wanted)
        assert refused.code == 2
        assert f"generation {wanted} is" in refused.err
        assert refused.err.count("\n") == 1
    for wanted in ("0", "last"):
        assert shell("rollback", wanted).code == 2
    assert shell.everything() == before


def test_with_nothing_before_it_says_so(shell: Shell) -> None:
    for _ in range(2):
        refused = shell("rollback")
        assert refused.code == 2
        assert refused.err.startswith("luasprocs: ")
        assert refused.err.count("\n") == 1
        shell.commit(a="return 1")
        shell.ok("sync")


def test_history_has_one_line_a_generation_newest_first(shell: Shell) -> None:
    commits = three_generations(shell)
    shell.ok("rollback")

    rows = shell.ok("history").rows
    assert [row[0] for row in rows] == ["4", "3", "2", "1"]
    assert [row[2] for row in rows] == [commits[1][:10], *(one[:10] for one in reversed(commits))]
    assert [row[3] for row in rows] == ["+0 ~1 -1", "+1 ~1 -0", "+1 ~1 -0", "+2 ~0 -0"]
    assert rows[0][-1] == "rollback to 2: change"
    newest = shell.ok("history", "--json", "-n", "2").lines
    assert [(entry["generation"], entry["commit"]) for entry in newest] == [(4, commits[1]), (3, commits[2])]


def test_history_of_nothing_is_empty(shell: Shell) -> None:
    assert shell.ok("history").out == ""
    assert shell.ok("history", "--json").out == ""


def test_a_preview_changes_nothing(shell: Shell) -> None:
    first, *_ = three_generations(shell)
    before = shell.everything()
    shown = shell.ok("rollback", "1", "--dry-run").out
    assert "--- live/a.lua\n+++ generation 1/a.lua\n@@ -1 +1 @@\n-return 3\n+return 1\n" in shown
    assert "0 to create, 1 to update, 2 to delete" in shown
    said = shell.ok("rollback", "1", "--dry-run", "--json").json
    assert (said["commit"], said["generation"], said["to"]) == (first, 3, 1)
    assert (said["updated"], said["deleted"]) == (["a.lua"], ["only2.lua", "only3.lua"])
    assert shell.everything() == before


def test_one_sproc_with_a_reason_and_its_end(shell: Shell) -> None:
    three_generations(shell)
    shell.ok("rollback", "--sproc", "a.lua", "--why", "3 was wrong")
    assert shell.ok("execute", "a.lua").out == "2\n"
    assert [row[0] for row in shell.ok("list").rows] == ["a.lua", "only1.lua", "only2.lua", "only3.lua"]
    assert shell.ok("history", "--json", "-n", "1").json["why"] == "3 was wrong"
    [pinned] = [one for one in shell("status", "--json").json["findings"] if one["code"] == "pinned"]
    assert pinned["names"] == ["a.lua"]
    assert "3 was wrong" in pinned["message"]
    assert shell("rollback", "--sproc", "none.lua").code == 2
    assert shell("unpin", "only1.lua").code == 2
    assert "a.lua" in shell.ok("unpin", "a.lua").out
    assert shell("unpin").code == 2
    shell.ok("sync")
    assert shell.ok("execute", "a.lua").out == "3\n"
