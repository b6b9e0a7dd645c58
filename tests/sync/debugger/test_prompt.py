"""`luasprocs debug` where no screen is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.gitrepo import GitRepo

pytestmark = pytest.mark.wording
SPROCS = Path(__file__).parents[3] / "sprocs"


def debugged(tree: Path, typed: str, *args: str) -> tuple[int, list[str], str]:
    done = subprocess.run(
        [sys.executable, "-m", "sync.cli", "debug", *args],
        cwd=tree,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_an_event_sproc_of_the_examples_is_stepped_through(tmp_path):
    repo = GitRepo(tmp_path / "shop")
    repo.write("sprocs/sc2.lua", (SPROCS / "sc2.lua").read_bytes())
    repo.write("luasprocs.toml", "")
    typed = "where\nkeys\nprint KEYS[1] .. '!'\nnext\n"
    code, lines, problems = debugged(repo.path, typed, "sprocs/sc2.lua", "--key", "dream")
    assert (code, problems) == (0, "")
    assert "sc2.lua:11  redis.call('SET', 'sc2', KEYS[1] .. '=' .. ARGV[1])" in lines
    assert 'ARGV = {"example", "set", "string"}' in lines
    assert "SET sc2 dream=example" in lines
    assert any(line.strip('"') == "dream!" for line in lines)


def test_breakpoints_steps_and_mistakes(tree):
    typed = "b lib/money.lua:6\nb\nc\nw\np total + amount\np\np nowhere\nx\nb none.lua:1\n> GET sum\no\nb lib/money.lua:6\nc\n"
    code, lines, problems = debugged(tree.parent, typed, "sprocs/order.lua", "--key", "sum", "3", "4")
    assert code == 0
    assert lines[1:4] == [
        "breakpoint at lib/money.lua:6",
        "lib/money.lua:6",
        "lib/money.lua:6  local sum = total + amount",
    ]
    assert lines[4].startswith("lib/money.lua:6")
    assert lines[6] == "3"
    assert lines[-1] == "reply: 7"
    assert len(problems.splitlines()) == 3


def test_an_error_is_the_exit_code(tree):
    code, lines, problems = debugged(tree.parent, "c\nc\n", "sprocs/fails.lua")
    assert code == 1
    assert any(line.startswith("fails.lua:5") for line in lines)
    assert problems.splitlines()[-1] == "luasprocs: fails.lua:5: attempt to index local 'none' (a nil value)"
    assert debugged(tree.parent, "c\n", "sprocs/fails.lua")[0] == 1, "the input ends where the error was raised"
    assert debugged(tree.parent, "", "sprocs/fails.lua")[0] == 0


def test_a_breakpoint_takes_a_path_as_one_sees_it(tree):
    typed = f"b sprocs/order.lua:7\nb {tree / 'lib' / 'money.lua'}:6\nb\nb sprocs/none.lua:1\n"
    _, lines, problems = debugged(tree.parent, typed, "sprocs/order.lua", "--key", "sum", "3")
    assert lines[-2:] == ["order.lua:7", "lib/money.lua:6"]
    assert "sprocs/none.lua:1" in problems


@pytest.mark.parametrize("option", ["--execution", "--redis"])
def test_an_empty_option_is_refused(tree, option):
    """An empty --execution ran it without the record."""
    code, _, problems = debugged(tree.parent, "", "sprocs/order.lua", option, "")
    assert (code, option in problems) == (2, True)


def test_its_input_may_end(tree):
    code, _, problems = debugged(tree.parent, "", "sprocs/endless.lua")
    assert (code, problems) == (0, "")


def test_an_async_sproc_prints_and_is_stepped_through(tree):
    (tree / "job.lua").write_text(
        "-- runasync=yes\nlocal a = 1\nprint('printed', a)\nio.write('half a line')\nreturn a\n"
    )
    code, lines, problems = debugged(tree.parent, "n\nn\np a + 1\nc\n", "sprocs/job.lua")
    assert (code, problems) == (0, "")
    assert lines[1:] == [
        "job.lua:3  print('printed', a)",
        "printed\t1",
        "job.lua:4  io.write('half a line')",
        "2",
        "half a line",
        "reply: 1",
    ]
