from __future__ import annotations

import inspect

import pytest

from luasprocs_tui import actions
from luasprocs_tui.app import TuiApp
from luasprocs_tui.screens.base import BaseScreen
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.screens.daemons import DaemonsScreen
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.screens.findings import FindingsScreen
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.screens.outages import OutagesScreen
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.screens.replay import ReplayScreen
from luasprocs_tui.screens.ribbon import RibbonScreen
from luasprocs_tui.screens.shards import ShardsScreen
from luasprocs_tui.screens.source import SourceScreen
from luasprocs_tui.screens.sprocs import SprocsScreen
from luasprocs_tui.screens.stats import StatsScreen
from luasprocs_tui.screens.wanted import WantedScreen
from tests.paths import ROOT

SCREENS: dict[str, type[BaseScreen]] = {
    one.PLACE: one
    for one in (
        CronScreen,
        DaemonsScreen,
        ExecutionsScreen,
        FindingsScreen,
        HistoryScreen,
        JobsScreen,
        OutagesScreen,
        RecordScreen,
        ReplayScreen,
        RibbonScreen,
        ShardsScreen,
        SourceScreen,
        SprocsScreen,
        StatsScreen,
        WantedScreen,
    )
}
TITLES = {
    "views": "From each screen to each",
    "sprocs": "In the list",
    "source": "At one sproc",
    "executions": "At the executions (`x`)",
    "record": "At one execution (`enter`)",
    "replay": "At a replay (`t` at one execution)",
    "cron": "At the schedules (`c`)",
    "jobs": "At the jobs (`J`)",
    "history": "At the history (`h`)",
    "ribbon": "At the ribbon (`W`)",
    "everywhere": "Everywhere",
}
"""Where docs/screen.md says which keys a screen has."""


def test_every_action_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "screen.md").read_text(encoding="utf-8")
    for place, title in TITLES.items():
        table = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
        wanted = [one for one in actions.ACTIONS if place in one.where]
        for one in wanted:
            key = f"`{actions.key_of(one)}`" if actions.key_of(one) else ""
            takes = f" {one.takes}" if one.takes else ""
            assert f"| {key} | `:{one.name.replace('_', '-')}{takes}` | {one.says} |" in table, (title, one.name)
        assert table.count("\n| ") == len(wanted) + 2, title


def test_no_two_actions_of_a_screen_have_one_key() -> None:
    assert actions.clash({}) == ""


@pytest.mark.parametrize("action", actions.ACTIONS, ids=lambda one: one.name)
def test_an_action_is_a_method_that_stands_in_the_class_of_each_place(action: actions.Action) -> None:
    """By its name alone a reader, grep and mypy find what a key does."""
    places = SCREENS if action.name in actions.ANYWHERE else actions.places_of(action)
    for owner in [TuiApp] if action.app else [SCREENS[place] for place in places]:
        method = inspect.getattr_static(owner, f"action_{action.name}")
        assert f"def action_{action.name}(self" in inspect.getsource(method)


def test_a_binding_names_a_method_and_the_users_name_for_the_key() -> None:
    found = {one.id: (one.key, one.action) for one in actions.bindings("sprocs")}
    assert found["sprocs.pause"] == ("p", "pause")
    assert found["sprocs.ctx"] == ("C", "app.ctx")
