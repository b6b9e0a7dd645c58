from __future__ import annotations

import pytest
from rich.cells import cell_len

from luasprocs.operations.onset import onset
from luasprocs.registry.history import Generation
from luasprocs.state.minutes import DAY, MINUTE_MS, ByMinute, Minute
from luasprocs_tui.values.ribbon import SPANS, Past, lines_of
from tests.tui.pilot import FORBIDDEN, HOSTILE

NOW = 29_474_010
WIDTHS = (*range(20, 161, 7), 160)


def generation(
    number: int, ago_s: int, *names: str, subject: str = "Charge twice", author: str = "Ann <a@b>"
) -> Generation:
    return Generation(
        *(number, "sync", "c0ffee" * 6, author, subject, "main", "2026-01-14T01:17:50Z", "ci@host"),
        *({}, dict.fromkeys(names, ("a", "b")), {}),
        at_ms=(NOW + 1) * MINUTE_MS - ago_s * 1000,
    )


HISTORY = [generation(25, 100, "b.lua"), generation(24, 790, "a.lua"), generation(23, 3000, "a.lua", subject="Old")]


def past(name: str = "a.lua") -> Past:
    """Thirteen minutes of errors, and a stretch in which nothing ran."""
    ran = {NOW - ago: Minute(100 + ago, 8 if ago < 13 else 0) for ago in range(900) if not 30 <= ago < 36}
    day = ByMinute(NOW * MINUTE_MS, ran)
    found = onset(day, HISTORY, "a.lua")
    assert found is not None
    return Past(name, day, HISTORY, (("a.lua", found),))


def shown(width: int, minutes: int = 60, chosen: int = 0, name: str = "a.lua") -> list[str]:
    return [line.plain for line in lines_of(past(name), width, minutes, chosen)]


def test_an_hour_in_eighty_columns() -> None:
    head, runs, errors, ticks, *labels, axis, said = shown(80, chosen=24)
    assert head == "last hour  6975 runs, at most 159 a minute  104 errors, at most 8 a minute"
    assert runs.startswith("runs   █")
    assert errors.startswith("errors ····")
    assert errors.endswith("·███████████████"), "thirteen minutes of sixty"
    assert "·       ·" in errors, "a blank where nothing ran, a dot where all went well"
    assert ticks.index("▲") < ticks.index("◆"), "signs tell apart what is chosen"
    assert labels[0].index("24! Ann: Charge twice┘") + 21 == ticks.index("◆"), "each label stands beneath its tick"
    assert any(line.find("└23 Ann: Old") == ticks.index("▲") for line in labels)
    assert not any("25 Ann" in line for line in labels), "another sproc's"
    assert axis.split() == ["00:31", "UTC", "00:41", "00:51", "01:01", "01:11", "01:21", "now"]
    assert said == "! errors began 10 to 70 s after gen 24 by Ann: Charge twice"


def test_what_is_said_is_folded_where_it_is_narrow() -> None:
    assert [line.strip() for line in shown(40)[-2:]] == [
        "! errors began 10 to 70 s after gen 24",
        "by Ann: Charge twice",
    ]


def test_of_all_each_generation_has_a_tick_and_each_that_fails_a_line() -> None:
    *_, said = shown(80, name="")
    assert said == "! a.lua: errors began 10 to 70 s after gen 24 by Ann: Charge twice"
    assert sum(line.count("▲") for line in shown(80, name="")) == 3


@pytest.mark.parametrize("minutes", SPANS)
def test_no_line_is_wider_than_there_is_room_and_each_error_is_seen_at_any_width(minutes: int) -> None:
    for width in WIDTHS:
        lines = shown(width, minutes)
        assert max(map(cell_len, lines)) <= width, (width, lines)
        assert any(bar in lines[2] for bar in "▁▂▃▄▅▆▇█"), (width, lines)
        assert any("24! " in line for line in lines), (width, lines)
        assert cell_len(lines[3]) == width, "all the room is used"


def test_one_error_among_a_million_runs_is_seen() -> None:
    day = ByMinute(NOW * MINUTE_MS, {NOW - ago: Minute(1_000_000, int(ago == 700)) for ago in range(DAY)})
    assert lines_of(Past("a.lua", day), 27, DAY)[2].plain.strip("· ") == "█"


def test_why_nothing_is_shown() -> None:
    assert lines_of(Past("a.lua", ByMinute(NOW * MINUTE_MS, {})), 80, 60)[-1].plain == "nothing ran in the last day"
    long_ago = ByMinute(NOW * MINUTE_MS, {NOW - 200: Minute(1, 0)})
    assert lines_of(Past("a.lua", long_ago), 80, 60)[-1].plain == "it ran last 3h ago: + shows a day"
    unknown = ByMinute(NOW * MINUTE_MS, {NOW: Minute(1, 1)})
    assert lines_of(Past("a.lua", unknown), 80, 60)[-1].plain == "which generation the errors began with can't be said"


def test_many_generations_in_little_room() -> None:
    many = [generation(number, (60 - number) * 60, "a.lua") for number in range(50, 0, -1)]
    lines = [line.plain for line in lines_of(past()._replace(history=many), 80, 60)]
    assert sum("more generations: h lists all" in line for line in lines) == 1
    assert len(lines) == 10


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_authors_and_subjects(text: str) -> None:
    hostile = past("")._replace(history=[generation(24, 790, "a.lua", subject=text, author=text)])
    for width in (20, 80, 160):
        for line in lines_of(hostile, width, 60, 24):
            assert cell_len(line.plain) <= width
            assert not FORBIDDEN & set(line.plain)


def test_a_high_screen_has_high_bars_and_names_more_generations() -> None:
    many = past()._replace(history=[generation(number, (60 - number) * 60, "a.lua") for number in range(50, 0, -1)])
    low, high = ([line.plain for line in lines_of(many, 160, 60, height=height)] for height in (17, 38))
    assert low[1].startswith("runs")
    assert [line[:6].strip() for line in high[1:16]] == [*[""] * 6, "runs", *[""] * 7, "errors"]
    assert high[8] == "", "bars of runs and errors stand apart"
    assert high[15].startswith("errors ····")
    assert not set("".join(high[9:15])) - set(" ▁▂▃▄▅▆▇█"), "what went well has a dot in the last line alone"
    assert {line[-1] for line in high[9:16]} == {"█"}, "the worst minute is as high as there is room"
    assert 17 >= len(low) < len(high) <= 38
    assert any("and 1 more generation: h" in line for line in one_more())
    nothing = [line.plain for line in lines_of(Past("a.lua", ByMinute(NOW * MINUTE_MS, {})), 160, 60, height=38)]
    assert [line[:6].strip() for line in nothing[1:4]] == ["runs", "errors", "gens"], "no high bars of nothing"


def one_more() -> list[str]:
    """Four generations of one minute, of which three have room."""
    history = [generation(number, 100, "a.lua") for number in (4, 3, 2, 1)]
    return [line.plain for line in lines_of(past()._replace(history=history), 80, 60)]
