"""What an editor sees and changes of a real registry, by a real `luasprocs lsp`."""

from __future__ import annotations

import json

import pytest

from tests.lsp.conftest import own
from tests.lsp.raw import RefusedError


def test_a_sproc_is_run_and_what_ran_is_told(colleague):
    editor = colleague().connected()
    assert editor.own("tail", on=True) == {"on": True}
    found = editor.own("run", name="own0.lua", keys=["k"], args=[])
    assert (found["reply"], found["text"], found["job"]) == (1, "(integer) 1", None)
    assert 0 < found["duration_us"] < 10_000_000


def test_publish(colleague):
    editor = colleague().connected()
    editor.open("own1.lua")
    editor.change("own1.lua", own(1) + "-- more\n")
    print(editor.own("publish", uri=editor.uri("own1.lua")))
    print(editor.own("state"))
    print(editor.own("list"))
    print(editor.lenses("own1.lua"))
    print(editor.own("history", name="own1.lua"))
    print(editor.own("metadata", name="own1.lua"))
    print(json.dumps(editor.own("rollback", name="own1.lua", generation=1, dry_run=True)))
    with pytest.raises(RefusedError) as refused:
        editor.own("publish", uri=editor.uri("own99.lua"))
    print(refused.value.code)
