from __future__ import annotations

from luasprocs.state.executions import Execution
from luasprocs_tui.values.cascade import cascade


def run(at: int, sproc: str, depth: int, event: str, key: str) -> Execution:
    return Execution(f"{at}-0", at, sproc, "event", key, event, "7-0", depth, "ok", 100)


def test_each_run_stands_below_what_caused_it() -> None:
    runs = [
        run(1000, "charge.lua", 1, "set", "order:1"),
        run(1001, "count.lua", 1, "set", "order:1"),
        run(1003, "mail.lua", 2, "incr", "orders"),
        run(1004, "mail.lua", 2, "incr", "orders"),
        run(1009, "log.lua", 3, "lpush", "mails"),
    ]
    shown = []
    for node in cascade(runs[::-1]):
        cause = f"{node.cause} → " if node.cause else ""
        shown.append((f"{node.branch}{cause}{node.run.sproc}", node.after_ms))
    assert shown == [
        ("├ set order:1 → charge.lua", 0),
        ("└ count.lua", 1),
        ("  ├ incr orders → mail.lua", 3),
        ("  └ mail.lua", 4),
        ("    └ lpush mails → log.lua", 9),
    ]


def test_a_chain_whose_beginning_is_not_kept_is_whole_all_the_same() -> None:
    found = cascade([run(5, "b.lua", 3, "set", "x"), run(6, "c.lua", 4, "set", "y")])
    assert [(node.branch, node.run.sproc) for node in found] == [("└ ", "b.lua"), ("  └ ", "c.lua")]
    assert cascade([]) == []
