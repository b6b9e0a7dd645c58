from __future__ import annotations

from luasprocs.contract.codes import FindingCode
from luasprocs.operations.findings import Finding
from luasprocs.operations.snapshot import Missed
from luasprocs.registry.revision import Revision
from luasprocs.state.daemons import Running
from luasprocs.state.executions import Gap
from luasprocs_tui.values.outage_card import SHOWN_MS, Card, Watch, text_of
from luasprocs_tui.values.outages import outages, outages_of
from luasprocs_tui.values.rows import Row
from luasprocs_tui.values.snapshots import Snapshot, State

NOW_MS = 1_000_000.0


def state(*codes: FindingCode, error: str = "", gaps: tuple[Gap, ...] = (), missed: tuple[Missed, ...] = ()) -> State:
    findings = tuple(Finding(code, "m", since_ms=int(NOW_MS) - 5000) for code in codes)
    return State(
        "", Snapshot(Revision(), (), 0.0, findings=findings, running=Running(0, (), gaps), missed=missed), error
    )


def gap(source: str, from_ms: float, to_ms: float) -> Gap:
    return Gap(f"{int(to_ms)}-0", int(to_ms), source, int(from_ms), int(to_ms), "no daemon was alive")


def test_what_was_dark_is_told_when_it_is_back_with_what_it_cost() -> None:
    watch = Watch()
    assert watch.look(state(), NOW_MS) is None
    assert watch.look(state(FindingCode.NO_DAEMON), NOW_MS + 1000) is None
    card = watch.look(state(), NOW_MS + 37_000)
    assert card is not None
    back = state(
        gaps=(
            gap("a", NOW_MS - 5000, NOW_MS + 36_000),
            gap("b", NOW_MS - 5000, NOW_MS + 36_000),
            gap("old", 1000, 2000),
        ),
        missed=(Missed("tick.lua", int(NOW_MS) + 37_500),),
    )
    assert back.snapshot is not None
    assert text_of(card, back.snapshot) == (
        "Back: no daemon lived for 42s. Events of 2 sources were not seen (41s) and 1 schedule missed times; "
        "U lists it. (esc)"
    )
    assert watch.look(back, NOW_MS + 38_000) == card
    assert watch.look(back, NOW_MS + 40_000 + SHOWN_MS) is None


def test_what_catches_up_by_itself_is_named_and_what_does_not() -> None:
    rows = Row("scan.lua", catches_up=True), Row("other.lua"), Row("else.lua", catches_up=True)
    sources = {"a": ("other.lua", "scan.lua"), "b": ("else.lua",)}
    running = Running(0, (), (gap("a", NOW_MS, NOW_MS + 1000),))
    snapshot = Snapshot(Revision(), rows, 0.0, running=running, sources=sources)
    assert [(one.sprocs, one.caught) for one in outages_of(snapshot)] == [(("other.lua", "scan.lua"), ("scan.lua",))]
    assert "; scan.lua catches up by itself, and U lists it. (esc)" in text_of(Card(NOW_MS, NOW_MS, "dark"), snapshot)


def test_a_server_that_was_away_and_a_card_that_is_taken_away() -> None:
    watch = Watch()
    watch.look(state(error="gone"), NOW_MS)
    card = watch.look(state(), NOW_MS + 3000)
    assert card is not None
    assert text_of(card, state().snapshot or Snapshot(Revision(), (), 0.0)) == (
        "Back: the server was away for 3s. No event and no scheduled time is known to be lost. (esc)"
    )
    assert watch.close()
    assert watch.look(state(), NOW_MS + 4000) is None
    assert not watch.close()


def test_gaps_of_one_stretch_are_one_outage() -> None:
    gaps = gap("a", 1000, 5000), gap("b", 1500, 6000), gap("a", 60_000, 61_000)
    found = outages(gaps, (Missed("t.lua", 6500), Missed("u.lua", 500_000)), 5500, 0)
    assert [(one.from_ms, one.to_ms, one.sources, one.missed, one.new) for one in found] == [
        (500_000, 500_000, (), ("u.lua",), True),
        (60_000, 61_000, ("a",), (), True),
        (1000, 6000, ("a", "b"), ("t.lua",), True),
    ]


def test_it_was_not_dark_while_the_screen_saw_a_daemon() -> None:
    watch = Watch()
    late_ms = NOW_MS + 600_000
    assert watch.look(state(), late_ms) is None
    assert watch.look(state(FindingCode.NO_DAEMON), late_ms + 2000) is None  # dated by one that died ten minutes ago
    card = watch.look(state(), late_ms + 14_000)
    assert card is not None
    assert text_of(card, state().snapshot or Snapshot(Revision(), (), 0.0)).startswith("Back: no daemon lived for 14s.")
