from __future__ import annotations

from luasprocs.state.executions import Execution
from luasprocs_tui.values.cascade import cascade, chain_of


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


def test_a_call_begins_a_chain_though_who_calls_is_the_same() -> None:
    calls = [
        run(at, name, depth, "", "")._replace(origin="ann@host", trigger="call" if depth == 1 else "event")
        for at, name, depth in ((1, "a.lua", 1), (2, "b.lua", 2), (5, "c.lua", 1), (6, "d.lua", 2), (9, "e.lua", 1))
    ]
    for one, names in zip(calls, ("ab", "ab", "cd", "cd", "e"), strict=True):
        assert [each.sproc[0] for each in chain_of(one, calls[::-1])] == list(names)
    events = [run(at, "a.lua", 1, "set", "k") for at in (1, 2)]
    assert chain_of(events[0], events) == events, "one event may run several"
    assert chain_of(events[0]._replace(origin="-"), events) == []
