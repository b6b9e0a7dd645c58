"""What a terminal gets: tables and colours, and nothing that could drive it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from luasprocs.contract.keys import Keys

if TYPE_CHECKING:
    from tests.sync.commands.shell import Shell

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\u200b\u2060\u00ad\ufeff\u3164\ufe0f\u2028\U000e0041\r\nnew line\ttab"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_DANGER = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\u2060\u00ad\ufeff\u3164\ufe00-\ufe0f\u2028\u2029\U000e0000-\U000e01ef]"
)


def harmful(text: str) -> list[str]:
    """What is left that a terminal would obey, once colours are taken out."""
    return _DANGER.findall(_COLOUR.sub("", text))


@pytest.fixture
def live(shell: Shell) -> Shell:
    shell.commit(a="-- description=the first\nreturn 1", long=f"-- description={'word ' * 60}\nreturn 1")
    shell.ok("sync")
    return shell


def test_a_list_is_a_table_with_a_bold_head_cut_to_fit(live: Shell) -> None:
    head, first, second = live.terminal("list").out.splitlines()
    assert head.startswith("\x1b[1mNAME")
    assert _COLOUR.sub("", head).split() == ["NAME", "TRIGGER", "STATE", "DESCRIPTION"]
    assert first.split(None, 3) == ["a.lua", "call", "ok", "the first"]
    assert len(second) <= 100
    assert second.endswith("…")
    assert head.index("TRIGGER") - len("\x1b[1m") == first.index("call") == second.index("call")


def test_no_color_takes_the_colours_only(live: Shell) -> None:
    for args in (("list",), ("history",), ("status",), ("show", "a.lua")):
        plain = live.terminal(*args, NO_COLOR="1").out
        assert "\x1b" not in plain
        assert _COLOUR.sub("", live.terminal(*args).out) == plain


def test_a_plan_is_coloured_on_a_terminal_and_plain_in_a_pipe(live: Shell) -> None:
    live.commit(a="return 2")
    assert "\x1b[32m+return 2\x1b[0m" in live.terminal("plan").out
    assert "\x1b" not in live.process("plan").out
    assert "\x1b[32m+return 2\x1b[0m" in live.process("plan", FORCE_COLOR="1").out


def test_check_says_on_a_terminal_that_all_is_fine(live: Shell) -> None:
    assert _COLOUR.sub("", live.terminal("check").out) == "2 sprocs fine\n"


def test_hostile_values_of_the_registry_stay_text(live: Shell) -> None:
    client = live.redis
    for field in ("description", "owner", "event", "x_anything", "commit", "source", "sha"):
        client.hset(Keys().name("a.lua"), field, HOSTILE)
    client.hset(Keys().name("a.lua"), HOSTILE, HOSTILE)
    client.hset(Keys().stats("a.lua"), HOSTILE, HOSTILE)
    for field in ("branch", "applied_by", "applied_at", "pinned"):
        client.hset(Keys().revision, field, HOSTILE)
    client.rpush(Keys().list, HOSTILE)

    for args in (("list",), ("show", "a.lua"), ("status",), ("plan",), ("history",), ("show", HOSTILE)):
        said = live.terminal(*args).out
        assert harmful(said) == [], (args, said)
        assert "Traceback" not in said, (args, said)


def test_hostile_files_authors_and_errors_stay_text(shell: Shell) -> None:
    shell.write("a.lua", f"-- prose {HOSTILE!s}\nreturn 1\n")
    shell.write("reply.lua", "return '\\27]0;owned\\7\\27[2J'")
    shell.git("add", "--all")
    shell.git("-c", "user.name=x", "commit", "-qm", f"subject {HOSTILE}")
    for args in (("plan",), ("sync",), ("history",), ("list",), ("status",), ("execute", "reply.lua")):
        said = shell.terminal(*args).out
        assert harmful(said) == [], (args, said)
        assert "Traceback" not in said, (args, said)


def test_a_scripts_error_is_harmless_on_a_terminal(shell: Shell) -> None:
    shell.commit(fail="error('\\27]0;owned\\7\\27[2J')")
    shell.ok("sync")
    said = shell.terminal("execute", "fail.lua")
    assert said.code == 1
    assert harmful(said.out) == []
    assert "0;owned" in said.out
