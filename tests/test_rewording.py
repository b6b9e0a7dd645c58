"""The mode of `make test-wording`: rewording/sitecustomize.py."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING, Any

import pytest

from tests.gitrepo import GitRepo
from tests.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

FOLDER = ROOT / "tests" / "rewording"


@pytest.fixture(scope="module")
def rewording() -> ModuleType:
    spec = spec_from_file_location("rewording", FOLDER / "sitecustomize.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def executed(rewording: ModuleType, name: str, source: str, **known: object) -> dict[str, Any]:
    names = {"in_either_words": rewording.in_either_words, "is_in": rewording.is_in, **known}
    exec(compile(rewording.changed(name, ast.parse(source)), name, "exec"), names)
    return names


def in_both_words(*command: str, cwd: Path = ROOT) -> list[subprocess.CompletedProcess[str]]:
    """What a Python prints in our words, and in others."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environs = (plain | {"PYTHONPATH": folder} for folder in ("", str(FOLDER)))
    return [
        subprocess.run([sys.executable, *command], cwd=cwd, env=one, capture_output=True, text=True, check=False)
        for one in environs
    ]


def test_problems_have_other_words_and_the_same_codes_and_places(tmp_path):
    repo = GitRepo(tmp_path / "shop")
    repo.write("sprocs/a.lua", "-- evnt=set\n-- timeout=5\nreturn os.execute(1)\n")
    ours, others = in_both_words("-m", "sync.cli", "check", "--json", cwd=repo.path)
    assert (ours.returncode, others.returncode) == (1, 1)
    problems = [[json.loads(line) for line in one.stdout.splitlines()] for one in (ours, others)]
    messages = [[problem.pop("message") for problem in some] for some in problems]
    assert len(problems[0]) == 3
    assert problems[0] == problems[1]
    assert not {*messages[0]} & {*messages[1]}


def test_the_engine_has_other_words_and_the_same_codes():
    code = (
        "from luasprocs.contract.keys import Keys; from luasprocs.engine import render\n"
        "print(render(Keys(), 'owner', 0).text)"
    )
    ours, others = (done.stdout for done in in_both_words("-c", code))
    assert "no sproc named" in ours
    assert "no sproc named" not in others
    assert re.findall(r"\b[A-Z]{3,}", ours) == re.findall(r"\b[A-Z]{3,}", others)


def test_code_that_looks_at_a_message_fails(rewording):
    source = "def said(): return f'the server {1} is gone'\ndef looks(): return 'is gone' in said()"
    assert not executed(rewording, "sync.some", source)["looks"]()
    by_regex = "import re\ndef said(): return 'it is gone'\ndef looks(): return re.search('is gone', said())"
    assert not executed(rewording, "sync.some", by_regex)["looks"]()


def test_words_of_others_docstrings_and_what_is_no_sentence_stay(rewording):
    source = "'''A module of ours.'''\ndef f() -> 'a str of it': return {'the key of': 1}, 'FCALL x 0', f'{1.5:d of m}'"
    tree = rewording.changed("luasprocs.some", ast.parse(source))
    assert ast.unparse(tree) == ast.unparse(ast.parse(source))
    assert (
        ast.unparse(rewording.changed("luasprocs.some", ast.parse("KILLED = 'Script killed'")))
        == "KILLED = 'Script killed'"
    )


def test_a_test_sees_a_word_and_its_reverse_as_one(rewording):
    source = (
        "assert 'is gone' in said and said == ['it is gone'][0] and said.startswith('it is')\n"
        "assert {'k': [b'it is gone']} == {'k': [said.encode()]}\n"
        "assert 'is here' not in said and said != 'it is here' and not said.endswith('here')\n"
    )
    for said in ("it is gone", "ti si enog"):
        executed(rewording, "tests.some", source, said=said)
    with pytest.raises(AssertionError):
        executed(rewording, "tests.some", "assert said == 'it is here'", said="it is gone")
