from __future__ import annotations

import pytest

from luasprocs.state.executions import Execution
from luasprocs_tui.values.reruns import ValueNow, rerun

EVENT = Execution("1-1", 1, "a.lua", "event", "order 1", "set", origin="1-0")


@pytest.mark.parametrize(
    ("record", "value", "keys", "args", "says"),
    [
        (EVENT, ValueNow("it's", "string"), "'order 1'", "'it'\"'\"'s' set string", "value is that of now"),
        (EVENT, ValueNow("", "none"), "'order 1'", "'' set none", "value is that of now"),
        (EVENT, ValueNow(None, "hash"), "'order 1'", "", "hash"),
        (EVENT, ValueNow("\x1b[2J", "string"), "'order 1'", "", "records keep no value"),
        (EVENT._replace(key="\x1b[2J"), None, "", "", "no line can hold"),
        (
            EVENT._replace(trigger="cron", key="", origin="1790000000"),
            None,
            "",
            "1790000000 cron",
            "as that run had it",
        ),
        (EVENT._replace(trigger="call"), None, "'order 1'", "", "its first key is known"),
        (EVENT._replace(trigger="async", key=""), None, "", "", "a job that is dead has it: J"),
    ],
)
def test_what_a_run_was_given(record: Execution, value: ValueNow | None, keys: str, args: str, says: str) -> None:
    found = rerun(record, value)
    assert (found.keys, found.args) == (keys, args)
    assert says in found.note
