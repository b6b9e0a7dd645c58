"""Line ends and names as git has them, through the commands."""

from __future__ import annotations

import pytest

from tests.sync.commands.shell import Shell

LF, CRLF = "-- timeout=1s\nreturn 'one'\n", "-- timeout=1s\r\nreturn 'one'\r\n"


@pytest.mark.parametrize(("attributes", "autocrlf"), [("* text eol=crlf\n", "false"), ("", "true")])
def test_a_checkout_with_crlf_is_the_same_as_its_commit(shell: Shell, attributes: str, autocrlf: str) -> None:
    shell.git("config", "core.autocrlf", autocrlf)
    shell.write("../.gitattributes", attributes)
    shell.write("a.lua", CRLF)
    commit = shell.commit()
    assert shell.git("show", f"{commit}:sprocs/a.lua") + "\n" == LF
    shell.ok("sync")

    same = shell("plan", "--worktree", "--json")

    assert (same.code, same.json["updated"], same.json["unchanged"]) == (0, [], 1)
    shell.write("a.lua", CRLF.replace("one", "two"))
    changed = shell("plan", "--worktree")
    assert changed.code == 1
    lines = [line for line in changed.out.splitlines() if line[:1] in "+-" and line[:3] not in {"+++", "---"}]
    assert lines == ["-return 'one'", "+return 'two'"]
    shell.ok("sync", "--worktree")
    assert shell.ok("execute", "a.lua").out == "two\n"


def test_a_branch_whose_name_is_no_utf8(shell: Shell) -> None:
    shell.git("checkout", "-q", "-b", "b\udcff")
    shell.commit(a="return 1")
    assert shell("sync").code == 0
    assert shell("status").code in {0, 1}
    assert shell("history").code == 0
