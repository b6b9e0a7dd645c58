from __future__ import annotations

from luasprocs.state.executions import Execution
from luasprocs_tui.values.alike import KINDS_LIMIT, Kinds


def failed(at: int, error: str, sproc: str = "a.lua") -> Execution:
    return Execution(f"{at}-0", at, sproc, "event", "k", "set", status="error", error=error)


def test_records_that_differ_in_numbers_alone_are_one_kind() -> None:
    kinds = Kinds()
    kinds.add([failed(1, "ERR no card 17"), failed(2, "ERR no card 4"), failed(3, "ERR no cart 4")])
    kinds.add([failed(4, "ERR no card 5"), failed(5, "ERR no card 5", "b.lua")])
    found = [(one.last.sproc, one.last.error, one.runs, one.since_ms, one.last.time_ms) for _, one in kinds.all()]
    assert found == [
        ("b.lua", "ERR no card 5", 1, 5, 5),
        ("a.lua", "ERR no cart 4", 1, 3, 3),
        ("a.lua", "ERR no card 5", 3, 1, 4),
    ]
    assert len({key for key, _ in kinds.all()}) == 3


def test_of_too_many_kinds_those_stay_that_came_last() -> None:
    kinds = Kinds()
    kinds.add([failed(0, "ERR always")])
    for at in range(1, 10 * KINDS_LIMIT):
        word = "".join(chr(97 + int(digit)) for digit in str(at))
        kinds.add([failed(at, f"ERR {word}"), failed(at, "ERR always")])
    found = [one for _, one in kinds.all()]
    assert len(found) == KINDS_LIMIT
    assert min(one.last.time_ms for one in found) >= 9 * KINDS_LIMIT
    assert [(one.runs, one.since_ms) for one in found if one.last.error == "ERR always"] == [(10 * KINDS_LIMIT, 0)]
