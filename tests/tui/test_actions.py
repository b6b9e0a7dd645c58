from __future__ import annotations

import inspect

import pytest
from textual.binding import Binding

from luasprocs_tui import actions, keys_page
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


def test_every_action_is_in_the_docs() -> None:
    page = (ROOT / "docs" / "screen.md").read_text(encoding="utf-8")
    assert keys_page.written(page) == page, "run python -m luasprocs_tui.keys_page"
    for place in {where for one in actions.ACTIONS for where in one.where}:
        assert keys_page.table(place) in page, place


def test_no_two_actions_of_a_screen_have_one_key() -> None:
    assert actions.clash({}) == ""


@pytest.mark.parametrize("action", actions.ACTIONS, ids=lambda one: one.name)
def test_an_action_is_a_method_that_stands_in_the_class_of_each_place(action: actions.Action) -> None:
    """By its name alone a reader, grep and mypy find what a key does."""
    places = SCREENS if action.name in actions.ANYWHERE else actions.places_of(action)
    for owner in [TuiApp] if action.app else [SCREENS[place] for place in places]:
        method = inspect.getattr_static(owner, f"action_{action.name}")
        assert f"def action_{action.name}(self" in inspect.getsource(method)


@pytest.mark.parametrize("place", SCREENS)
def test_a_screen_has_each_key_that_leads_from_it(place: str) -> None:
    bound = {one.id for one in SCREENS[place].BINDINGS if isinstance(one, Binding)}
    assert bound >= {one.id for one in actions.bindings(place)}


def test_a_binding_names_a_method_and_the_users_name_for_the_key() -> None:
    found = {one.id: (one.key, one.action) for one in actions.bindings("sprocs")}
    assert found["sprocs.pause"] == ("p", "pause")
    assert found["sprocs.ctx"] == ("C", "app.ctx")
