"""Which screen shows what was asked for. Imports all of them, and with them Redis: after the first paint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from luasprocs_tui import messages
from luasprocs_tui.screens.cron import CronScreen
from luasprocs_tui.screens.executions import ExecutionsScreen
from luasprocs_tui.screens.history import HistoryScreen
from luasprocs_tui.screens.jobs import JobsScreen
from luasprocs_tui.screens.record import RecordScreen
from luasprocs_tui.screens.source import SourceScreen
from luasprocs_tui.screens.stats import StatsScreen
from luasprocs_tui.screens.wanted import WantedScreen

if TYPE_CHECKING:
    from luasprocs_tui.screens.base import BaseScreen


def screen_for(asked: messages.Open) -> BaseScreen:
    """A new screen; nothing is read for it yet."""
    match asked:
        case messages.OpenSource(sproc, line):
            return SourceScreen(sproc, line)
        case messages.OpenExecutions(sproc):
            return ExecutionsScreen(sproc)
        case messages.OpenRecord(record, chain, line):
            return RecordScreen(record, chain, line)
        case messages.OpenHistory(sproc):
            return HistoryScreen(sproc)
        case messages.OpenStats(sproc):
            return StatsScreen(sproc)
        case messages.OpenWanted(sproc):
            return WantedScreen(sproc)
        case messages.OpenSchedules():
            return CronScreen()
        case messages.OpenJobs():
            return JobsScreen()
    raise NotImplementedError(type(asked).__name__)
