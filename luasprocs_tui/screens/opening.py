"""Which screen shows what was asked for. Imports all of them, and with them Redis: after the first paint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from luasprocs_tui import messages
from luasprocs_tui.screens.base import BaseScreen
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.screens.daemons import DaemonsScreen
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.screens.findings import FindingsScreen
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import EachJobScreen, JobsScreen
from luasprocs_tui.screens.outages import OutagesScreen
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.screens.replay import ReplayScreen
from luasprocs_tui.screens.ribbon import RibbonScreen
from luasprocs_tui.screens.shards import ShardsScreen
from luasprocs_tui.screens.source import SourceScreen
from luasprocs_tui.screens.stats import StatsScreen
from luasprocs_tui.screens.wanted import WantedScreen

_OF_ONE: Mapping[type[messages.OpenOf], Callable[[str], BaseScreen]] = {
    messages.OpenExecutions: ExecutionsScreen,
    messages.OpenHistory: HistoryScreen,
    messages.OpenRibbon: RibbonScreen,
    messages.OpenStats: StatsScreen,
    messages.OpenWanted: WantedScreen,
}
_OF_ALL: Mapping[type[messages.Open], Callable[[], BaseScreen]] = {
    messages.OpenSchedules: CronScreen,
    messages.OpenJobs: JobsScreen,
    messages.OpenFailures: partial(ExecutionsScreen, wanted="-s failed"),
    messages.OpenDaemons: DaemonsScreen,
    messages.OpenOutages: OutagesScreen,
    messages.OpenShards: ShardsScreen,
}


def screen_for(asked: messages.Open) -> BaseScreen:
    """A new screen; nothing is read for it yet."""
    match asked:
        case messages.OpenSource(sproc, line):
            return SourceScreen(sproc, line)
        case messages.OpenRecord(record, chain):
            return RecordScreen(record, chain)
        case messages.OpenReplay(record):
            return ReplayScreen(record)
        case messages.OpenEachJob(alike):
            return EachJobScreen(alike)
        case messages.OpenFindings(row):
            return FindingsScreen(row)
        case messages.OpenOf(sproc):
            return _OF_ONE[type(asked)](sproc)
    return _OF_ALL[type(asked)]()
